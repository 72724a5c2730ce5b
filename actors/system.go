package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/btree"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

// System is one node's actors, and the only way in to them. Its methods may be
// called by any goroutine.
type System struct {
	config  Config
	log     *slog.Logger
	actors  *actor.ActorSystem
	root    *actor.RootContext
	workers mailbox.Workers // run all actors

	// Every message reads these, and hardly anybody writes them: they share a cache line.
	ring    atomic.Pointer[ring]              // written by the registry
	limits  atomic.Pointer[Limits]            // written by Reload
	watches atomic.Pointer[readers[*Watch]]   // nil: nobody watches
	traces  atomic.Pointer[readers[*Trace]]   // nil: nobody is traced
	skipped atomic.Pointer[map[spot]struct{}] // messages that are not delivered; nil: there are none. No map in it ever changes
	tracer  Tracer                            // constant; nil: there is none

	scaling        atomic.Pointer[Scaling]     // written by the registry
	intensity      atomic.Pointer[Intensity]   // of users
	supervision    atomic.Pointer[Supervision] // of the others
	sickest        sickest
	registry       *actor.PID
	gateway        *actor.PID
	doorkeeper     *actor.PID
	coroner        *actor.PID
	journal        *actor.PID // nil: the store needs none
	journalBox     *mailbox.Mailbox
	registryUp     chan struct{} // closed by the registry when the ring is set
	registryDone   chan struct{} // closed by the registry when all below it has stopped
	gatewayDone    chan struct{} // closed by the gateway, likewise
	doorkeeperDone chan struct{} // closed by the doorkeeper, likewise
	coronerDone    chan struct{} // closed by the coroner, likewise
	journalDone    chan struct{} // closed by the journal when all that it had is committed

	blocked atomic.Pointer[btree.BTreeG[*Block]] // written by the doorkeeper; no tree in it ever changes

	draining atomic.Bool // set by Drain and StartDrain
	looks    looks
	troubled atomic.Int64 // when storeTrouble last said something, as now has it

	committing atomic.Int64 // when the commit under way began, as now has it; 0: none is

	stuckActors atomic.Pointer[stuckNow] // written by stuck; nil: nobody ever was

	storage atomic.Pointer[storageFailure] // written by the journal; nil: the store works

	started time.Time

	counts      *counts // by itself, so that what is counted shares no cache line with what is read
	stopwatches []stopwatch
}

// New reads who is blocked, builds the tree and returns when it is ready. End it with
// Stop.
func New(config Config) (*System, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configuration of the actors: %w", err)
	}
	s := &System{
		config:         config,
		log:            config.Log,
		started:        time.Now(),
		counts:         newCounts(),
		sickest:        newSickest(),
		registryUp:     make(chan struct{}),
		registryDone:   make(chan struct{}),
		gatewayDone:    make(chan struct{}),
		doorkeeperDone: make(chan struct{}),
		coronerDone:    make(chan struct{}),
		journalDone:    make(chan struct{}),
		tracer:         config.Tracer,
	}
	s.intensity.Store(&config.Intensity)
	s.supervision.Store(&config.Supervision)
	s.limits.Store(limitsOf(&config))
	// What protoactor has to say is said by our own actors with more knowledge;
	// a dead letter is a message to a session that has just gone.
	quiet := slog.New(slog.DiscardHandler)
	s.actors = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	s.root = s.actors.Root
	s.startStopwatches()
	s.workers.Watch(config.StuckAfter, s.stuck)

	blocked, err := loadBlocks(config.Store) // before anybody can connect
	if err != nil {
		return nil, err
	}
	s.blocked.Store(blocked)
	if err := s.startJournal(); err != nil {
		return nil, err
	}
	if s.doorkeeper, err = s.spawn("doorkeeper", newDoorkeeper(s)); err != nil {
		return nil, err
	}
	coroner, err := newCoroner(s)
	if err != nil {
		return nil, err
	}
	if s.coroner, err = s.spawn("coroner", coroner); err != nil {
		return nil, err
	}
	if s.registry, err = s.spawn("registry", newRegistry(s)); err != nil {
		return nil, err
	}
	<-s.registryUp
	if s.gateway, err = s.spawn("gateway", newGateway(s)); err != nil {
		return nil, err
	}
	return s, nil
}

// startJournal starts the journal, if the store wants one.
func (s *System) startJournal() (err error) {
	if _, ok := s.config.Store.(inbox.Immediate); ok {
		close(s.journalDone)
		return nil
	}
	j := &journal{system: s, barred: make(map[protocol.UserID]*actor.PID)}
	j.box = mailbox.New(j)
	s.journalBox = j.box
	s.journal, err = s.spawn("journal", j, actor.WithMailbox(func() actor.Mailbox { return j.box }))
	return err
}

// spawn starts one of the actors at the top.
func (s *System) spawn(level string, a actor.Actor, options ...actor.PropsOption) (*actor.PID, error) {
	props := actor.PropsFromProducer(func() actor.Actor { return a },
		actor.WithMailbox(newMailbox),
		actor.WithDispatcher(&s.workers),
		actor.WithGuardian(&supervisor{level: level, system: s}),
		actor.WithSupervisor(&supervisor{level: childOf[level], system: s}))
	props.Configure(options...)
	pid, err := s.root.SpawnNamed(props, level)
	if err != nil {
		return nil, fmt.Errorf("starting the %s: %w", level, err)
	}
	return pid, nil
}

// Connect makes a session of the user for a socket. The socket's goroutine reads and
// passes on what it reads by the Link; the session writes.
//
// In the seed's dialect Connect returns when the user can be reached through the
// session. In V1 it returns when there is a session; that goes on when the client's
// CONNECT has been passed on by Link.Connect, and closes if there is none within
// Config.HandshakeTimeout.
//
// With ErrTooManySessions or ErrUnavailable the Link comes all the same, unless
// the session has ended by then: it is closing in order, and the goroutine reads
// until the peer has closed too. With ErrDraining, ErrInternal or the context's
// error there is no Link, and the Conn is the caller's to close.
func (s *System) Connect(ctx context.Context, user protocol.UserID, dialect Dialect, conn Conn) (*Link, error) {
	session := &session{conn: conn}
	session.box.Init(session)
	link := &session.link
	link.system, link.user, link.dialect = s, user, dialect
	wake := link.waker()
	defer link.wake.Store(nil) // most never wait again
	link.credits.Store(int32(s.config.MaxInFlight))
	link.frameBytes = int32(s.limits.Load().MaxFrameBytes)
	s.root.Send(s.gateway, &open{session})
	for !link.opened.Load() {
		select {
		case <-wake.word:
		case <-s.gatewayDone:
			return nil, ErrDraining
		case <-ctx.Done():
			link.abandoned.Store(true)
			if link.opened.Load() && link.pid != nil { // it was ready in the same instant
				link.Gone(0)
			}
			return nil, fmt.Errorf("connecting user %s: %w", user, ctx.Err())
		}
	}
	switch {
	case link.pid == nil || link.ended.Load():
		return nil, or(wake.err, ErrInternal)
	case wake.err != nil:
		return link, wake.err
	}
	return link, nil
}

// Send puts a message from its Sender into the inbox of its Receiver and returns
// when it is kept, with its place there if it has an Id. The same Sender, Receiver
// and Id again is answered with the first place.
//
// Errors: an *Error with a code (invalid_user_id, invalid_message, too_large,
// inbox_full, conflict, unavailable, storage_full, internal, draining), or the
// context's. After the last four and the context's the message may be kept all the
// same: send it again with the same Id.
func (s *System) Send(ctx context.Context, msg *protocol.Send) (*protocol.Sent, error) {
	if err := CheckSend(msg); err != nil {
		if why, ok := errors.AsType[*Error](err); ok {
			s.counts.frames.add(why.Code)
		}
		return nil, err
	}
	begun := false
	if s.tracer != nil && msg.Traceparent == "" {
		msg = &protocol.Send{Receiver: msg.Receiver, Content: msg.Content, Id: msg.Id, Sender: msg.Sender} // the caller's stays as it is
		begun = s.begins(msg)
	}
	if s.traced(msg.Sender, msg.Receiver, msg.Traceparent) {
		s.read(msg, 0, "", begun)
	}
	return askUser[*protocol.Sent](ctx, s, protocol.UserID(msg.Receiver), msg)
}

// CheckSend is why Send refuses a message whoever the receiver is, or nil.
func CheckSend(msg *protocol.Send) error {
	for field, id := range map[string]string{"receiver": msg.Receiver, "sender": msg.Sender} {
		if _, err := protocol.ParseUserID(id); err != nil {
			return &Error{protocol.CodeInvalidUserID, field + ": " + err.Error()}
		}
	}
	if size := len(protocol.AppendJSON(nil, msg)); size > protocol.MaxFrameBytes {
		return &Error{protocol.CodeTooLarge, fmt.Sprintf("content: the frame would have %d bytes, the limit is %d", size, protocol.MaxFrameBytes)}
	}
	if msg.Id != "" {
		if _, err := protocol.ParseMessageID(msg.Id); err != nil {
			return &Error{protocol.CodeInvalidMessage, err.Error()}
		}
	}
	if msg.Traceparent != "" && !protocol.IsTraceparent(msg.Traceparent) {
		return &Error{protocol.CodeInvalidMessage, "traceparent: none; leave it out"}
	}
	return nil
}

// CloseUser closes all sessions of a user with the code and the reason, and
// returns how many there were.
func (s *System) CloseUser(ctx context.Context, user protocol.UserID, code protocol.CloseCode, reason string) (sessions int, err error) {
	msg := &protocol.Close{Code: uint32(code), Reason: reason}
	return s.close(ctx, user, &closeUser{user, msg})
}

// CloseSession closes one session of a user, by the number that DescribeUser
// gives, and returns whether it was there.
func (s *System) CloseSession(ctx context.Context, user protocol.UserID, number uint64, code protocol.CloseCode, reason string) (bool, error) {
	msg := &protocol.Close{Code: uint32(code), Reason: reason}
	n, err := s.close(ctx, user, &closeSession{user, number, msg})
	return n > 0, err
}

func (s *System) close(ctx context.Context, user protocol.UserID, msg any) (int, error) {
	answer, err := askUser[*closed](ctx, s, user, msg)
	if err != nil {
		return 0, err
	}
	return answer.sessions, nil
}

// Drain opens no more sessions, closes those there are with 1001, evenly over
// the time given, and returns when all have ended or the context is done.
func (s *System) Drain(ctx context.Context, over time.Duration) error {
	s.draining.Store(true)
	_, err := ask[*drained](ctx, s, s.gateway, &drain{over})
	return err
}

// Stop ends all actors, sockets first, and returns when all have ended or the
// context is done. The System is of no use afterwards.
func (s *System) Stop(ctx context.Context) error {
	pill := new(actor.PoisonPill)
	for _, part := range []struct {
		pid  *actor.PID
		last any // behind what it has been sent
		done chan struct{}
	}{
		{s.gateway, msgEnd, s.gatewayDone},
		{s.registry, msgEnd, s.registryDone},
		{s.doorkeeper, pill, s.doorkeeperDone},
		{s.coroner, pill, s.coronerDone},
		{s.journal, pill, s.journalDone},
	} {
		if part.pid == nil {
			continue
		}
		if part.pid == s.registry {
			s.wrapUp(ctx)
		}
		s.root.Send(part.pid, part.last)
		select {
		case <-part.done:
		case <-ctx.Done():
			return fmt.Errorf("stopping the %s: %w", part.pid.GetId(), ctx.Err())
		}
	}
	s.stopStopwatches()
	if !s.actors.IsStopped() {
		s.actors.Shutdown()
	}
	s.workers.Close()
	return nil
}

// wrapUp has all users hand over what is to be kept. If the time is over before, the
// cursors that moved last are lost, and their devices get some messages again.
func (s *System) wrapUp(ctx context.Context) {
	if _, err := ask[*halted](ctx, s, s.registry, &halt{}); err != nil {
		s.log.Warn("users are on the way to another shard", slog.Any("error", err))
	}
	for _, shard := range s.ring.Load().all() {
		if _, err := askShard[*wrappedUp](ctx, s, shard, &wrapUpShard{}); err != nil && !errors.Is(err, errGivenUp) {
			s.log.Warn("users not wrapped up", slog.String("shard", shard.pid.GetId()), slog.Any("error", err))
			if ctx.Err() != nil {
				return
			}
		}
	}
}

// storeTrouble says that the store has failed a user, at most once in a second: when
// it fails one it fails many.
func (s *System) storeTrouble(what string, user protocol.UserID, err error) {
	now, last := int64(s.now()), s.troubled.Load()
	if (last == 0 || now-last > int64(time.Second)) && s.troubled.CompareAndSwap(last, now) {
		s.log.Error("store failed", slog.String("what", what), slog.String("user", string(user)), slog.Any("error", err))
		if s.watched() {
			s.publish(Event{Kind: StoreTrouble, User: user, Code: storageError(err).Code, Reason: what + ": " + err.Error()})
		}
	}
}

// post puts a message on the one road to a user. Messages of one goroutine arrive in the
// order in which it posted them, also while the user moves to another shard.
func (s *System) post(user protocol.UserID, message any) {
	for posted := false; !posted; { // once more at most for each step of a change of the number of shards
		posted = s.ring.Load().post(user, message)
	}
}

// postPriority is post with priority over the mail that the user's shard has not come to.
func (s *System) postPriority(user protocol.UserID, message any) {
	for posted := false; !posted; {
		ring := s.ring.Load()
		posted = ring.road(user).box.PostPriority(ring.version, message)
	}
}

// after has the actor sent a message when the time is over.
func (s *System) after(d time.Duration, to *actor.PID, msg any) *time.Timer {
	return time.AfterFunc(d, func() { s.root.Send(to, msg) })
}

// now is the time since the start; it takes a third of the room of a time.Time.
func (s *System) now() time.Duration { return time.Since(s.started) }

// fault is where tests break an actor.
func (s *System) fault(actor string, message any) {
	if s.config.hooks.fault != nil {
		s.config.hooks.fault(actor, message)
	}
}

// faultIn is fault for an actor that survives its panics. Its own life is left alone, for nothing
// of ours could fail there, and nobody would do it again. The ends of those below it are not.
func (s *System) faultIn(name string, message any) {
	if s.config.hooks.fault == nil {
		return
	}
	switch message.(type) {
	case *actor.Terminated:
		s.config.hooks.fault(name, message)
	case actor.AutoReceiveMessage, actor.SystemMessage, *end:
	default:
		s.config.hooks.fault(name, message)
	}
}

// unhandled counts a message that the actor has no case for.
func (s *System) unhandled(ctx actor.Context) {
	s.counts.unhandled.Add(1)
	s.log.Error("message not handled", slog.String("actor", ctx.Self().GetId()), slog.String("message", kind(ctx.Message())))
	if s.config.hooks.unhandled != nil {
		s.config.hooks.unhandled(ctx.Self().GetId(), ctx.Message())
	}
}
