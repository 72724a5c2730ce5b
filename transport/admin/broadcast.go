package admin

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

const (
	// maxBroadcastUsers bounds the list of one call.
	maxBroadcastUsers = 10_000

	// maxBroadcasts bounds the broadcasts that are under way at once.
	maxBroadcasts = 2

	// broadcastWindow is how many messages of a broadcast wait for their answer at once:
	// few enough to leave the journal to the users, whose sessions may have 256 each.
	broadcastWindow = 16

	// progressEvery is the time between two answers.
	progressEvery = 250 * time.Millisecond

	// maxRefusals bounds the users who are named as refused.
	maxRefusals = 1000
)

// broadcast is one on its way. The goroutine of the call owns it.
type broadcast struct {
	server   *Server
	message  protocol.Send // without a receiver
	request  *adminv1.BroadcastRequest
	progress *adminv1.BroadcastResponse
	named    int // of those refused
}

// delivery is what became of one message.
type delivery struct {
	user protocol.UserID
	err  error
}

// Broadcast implements adminv1.AdminServiceHandler.
func (s *Server) Broadcast(ctx context.Context, request *adminv1.BroadcastRequest, stream *connect.ServerStream[adminv1.BroadcastResponse]) error {
	defer s.broadcasts.Add(-1)
	if s.broadcasts.Add(1) > maxBroadcasts {
		reason := fmt.Sprintf("%d broadcasts are under way", maxBroadcasts)
		s.system.HitLimit(actors.LimitBroadcasts, "", "", reason)
		return refusal(connect.CodeResourceExhausted, actors.LimitBroadcasts, reason,
			"wait until one of them is done")
	}
	b, err := s.newBroadcast(ctx, request)
	if err != nil {
		return err
	}
	err = b.run(ctx, stream.Send)
	refused := uint64(0)
	for _, n := range b.progress.Refused {
		refused += n
	}
	s.config.Audit.LogAttrs(context.WithoutCancel(ctx), slog.LevelInfo, "broadcast ended",
		slog.String("who", caller(ctx).Name), slog.String("id", b.message.Id), slog.Uint64("sent", b.progress.Sent),
		slog.Uint64("refused", refused), slog.Uint64("total", b.progress.Total), slog.Bool("done", b.progress.Done))
	return err
}

// newBroadcast checks what can be checked before the first message.
func (s *Server) newBroadcast(ctx context.Context, request *adminv1.BroadcastRequest) (*broadcast, error) {
	switch {
	case request.AllConnected == (len(request.Users) > 0):
		return nil, invalid("users", "give a list of users or all_connected, and not both", "say who gets the message")
	case len(request.Users) > maxBroadcastUsers:
		return nil, invalid("users", fmt.Sprintf("%d are too many", len(request.Users)),
			fmt.Sprintf("give at most %d at once, and the others in further calls with the same id", maxBroadcastUsers))
	}
	longest := string(protocol.System)
	for i, id := range request.Users {
		if _, err := parseUser(fmt.Sprintf("users[%d]", i), id); err != nil {
			return nil, err
		}
		if len(id) > len(longest) {
			longest = id
		}
	}
	b := &broadcast{server: s, request: request}
	b.message.Content, b.message.Receiver = request.Content, longest
	b.message.Sender, b.message.Id = cmp.Or(request.Sender, string(protocol.System)), cmp.Or(request.Id, rand.Text())
	b.message.Traceparent = traceparentOf(ctx)
	if err := actors.CheckSend(&b.message); err != nil {
		return nil, refused(err)
	}
	b.progress = &adminv1.BroadcastResponse{Id: b.message.Id, Refused: map[string]uint64{}, Total: uint64(len(request.Users))}
	if request.AllConnected {
		tree, err := s.system.Describe(ctx)
		if err != nil {
			return nil, refused(err)
		}
		b.progress.Total = uint64(tree.Gateway.Sessions)
	}
	return b, nil
}

// run sends to all, and reports. It ends with the context, and when a report cannot be
// delivered; all that it has started has ended then.
func (b *broadcast) run(ctx context.Context, report func(*adminv1.BroadcastResponse) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	users := make(chan protocol.UserID)
	deliveries := make(chan delivery)
	var sending sync.WaitGroup
	var listing error // to be read when deliveries is closed
	sending.Go(func() {
		defer close(users)
		listing = b.list(ctx, users)
	})
	for range broadcastWindow {
		sending.Go(func() {
			for user := range users {
				deliveries <- delivery{user, b.send(ctx, user)}
			}
		})
	}
	go func() { // ends with those above, which end with the context
		sending.Wait()
		close(deliveries)
	}()
	failed := b.collect(ctx, deliveries, report)
	if failed != nil { // it did not wait for the rest
		cancel()
		for range deliveries {
		}
		return failed
	}
	switch {
	case ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, errors.New("the caller has gone"))
	case listing != nil:
		return refused(listing)
	}
	b.progress.Done, b.progress.Total = true, b.progress.Sent
	for _, n := range b.progress.Refused {
		b.progress.Total += n
	}
	return report(b.progress)
}

// collect counts until there is no more, and reports now and then; at once too, so that
// the caller knows the id.
func (b *broadcast) collect(ctx context.Context, deliveries <-chan delivery, report func(*adminv1.BroadcastResponse) error) error {
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	if err := report(b.progress); err != nil {
		return err
	}
	for {
		select {
		case d, more := <-deliveries:
			if !more {
				return nil
			}
			if err := b.count(ctx, d); err != nil {
				return err
			}
		case <-ticker.C:
			if err := report(b.progress); err != nil {
				return err
			}
			b.progress.Refusals = nil
		}
	}
}

// count notes what became of a message. It returns an error if the next would fare no better.
func (b *broadcast) count(ctx context.Context, d delivery) error {
	if d.err == nil {
		b.progress.Sent++
		return nil
	}
	if ctx.Err() != nil {
		return connect.NewError(connect.CodeCanceled, errors.New("the caller has gone"))
	}
	code := codeTimeout
	if why, ok := errors.AsType[*actors.Error](d.err); ok {
		code = why.Code
	}
	if why, ok := errors.AsType[*actors.Error](b.server.system.Ready()); ok && code == why.Code {
		return refusal(connect.CodeUnavailable, code, fmt.Sprintf("%s; %d users had got the message by then", why.Reason, b.progress.Sent),
			"when the service works again, repeat the broadcast with the id "+b.message.Id)
	}
	b.progress.Refused[string(code)]++
	if b.named < maxRefusals {
		b.named++
		b.progress.Refusals = append(b.progress.Refusals, &adminv1.RefusedUser{User: string(d.user), Code: string(code)})
	}
	return nil
}

func (b *broadcast) send(ctx context.Context, user protocol.UserID) error {
	ctx, cancel := context.WithTimeout(ctx, b.server.config.CallTimeout)
	defer cancel()
	_, err := b.server.system.Send(ctx, &protocol.Send{
		Receiver: string(user), Content: b.message.Content, Sender: b.message.Sender, Id: b.message.Id,
		Traceparent: b.message.Traceparent,
	})
	return err
}

// list names the users one after the other: those of the list, or those who have a
// session, who are asked for a page at a time when the page before has been sent to.
func (b *broadcast) list(ctx context.Context, users chan<- protocol.UserID) error {
	for _, id := range b.request.Users {
		if !next(ctx, users, protocol.UserID(id)) {
			return nil
		}
	}
	from, more := actors.UserPlace{}, b.request.AllConnected
	for more {
		var page []actors.UserSummary
		var err error
		if page, from, more, err = b.server.system.ListUsers(ctx, "", from, actors.MaxPage); err != nil {
			return err
		}
		for _, u := range page {
			if u.Sessions > 0 && !next(ctx, users, u.User) {
				return nil
			}
		}
	}
	return nil
}

func next(ctx context.Context, users chan<- protocol.UserID, user protocol.UserID) bool {
	select {
	case users <- user:
		return true
	case <-ctx.Done():
		return false
	}
}
