package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

const (
	// sendTries is how often a message is sent, under one id, when the service cannot take
	// it or nobody knows whether it has.
	sendTries = 3

	// sendPause is how long it waits before the second time; twice as long each time.
	sendPause = 200 * time.Millisecond
)

// sendAsSystem sends all texts through the admin API, one after the other.
func sendAsSystem(ctx context.Context, o *sendOptions, texts *texts, out, notes io.Writer) error {
	receiver, err := parseUser("--to", o.to)
	if err != nil {
		return err
	}
	client, err := o.caller.dial()
	if err != nil {
		return err
	}
	if o.wait > 0 && !texts.lines {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.wait)
		defer cancel()
	}
	count, refused := 0, 0
	for text := range texts.next {
		count++
		sent, err := o.sendOnce(ctx, client, receiver, text)
		switch {
		case err == nil:
			if err := o.printSent(out, receiver, &protocol.Sent{Id: sent.Id, Seq: sent.Seq, At: sent.AtMs}); err != nil {
				return err
			}
		case !texts.lines:
			return o.caller.explained(err)
		case ctx.Err() != nil || connect.CodeOf(err) == connect.CodeUnavailable || connect.CodeOf(err) == connect.CodeUnauthenticated:
			return fmt.Errorf("line %d: %w; %d of %d messages were confirmed", count, o.caller.explained(err), count-1-refused, count)
		default:
			refused++
			_, _ = fmt.Fprintf(notes, "line %d: %s\n", count, o.caller.explained(err)) // the exit status says it too
		}
	}
	switch {
	case texts.err != nil:
		return texts.err
	case refused > 0:
		return exits(exitRefused, fmt.Errorf("%d of %d messages were refused; the lines above say why", refused, count))
	}
	return nil
}

// sendOnce sends a text under one id, again if need be.
func (o *sendOptions) sendOnce(ctx context.Context, client adminv1.AdminServiceClient, receiver protocol.UserID, text string) (sent *adminv1.SendResponse, err error) {
	request := &adminv1.SendRequest{Receiver: string(receiver), Content: text, Id: rand.Text()}
	for try := range sendTries {
		sent, err = client.Send(ctx, request)
		code := connect.CodeOf(err)
		if err == nil || code != connect.CodeUnavailable && code != connect.CodeDeadlineExceeded || try == sendTries-1 {
			break
		}
		select {
		case <-time.After(sendPause << try):
		case <-ctx.Done():
			return nil, err
		}
	}
	return sent, err
}
