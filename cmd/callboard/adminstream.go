package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// news is what Watch and Trace have in common.
type news interface {
	proto.Message
	GetMissed() *adminv1.Missed
	GetHeartbeat() *adminv1.Heartbeat
	GetEnd() *adminv1.End
}

// following is a stream while it is shown.
type following[Response any] struct {
	o     *callerOptions
	out   io.Writer
	notes io.Writer // what is no news: that some are missing, and how it ended

	// call begins the stream.
	call func(context.Context, adminv1.AdminServiceClient) (*connect.ServerStreamForClient[Response], error)
	// of is what comes, and line shows it as a line of the table.
	of     func(*Response) news
	header string
	line   func(*Response) string
}

// maxSilence is after how many heartbeats that did not come the service is taken for dead.
const maxSilence = 3

var errSilent = errors.New("nothing was heard")

// follow shows what comes until it is interrupted, which is no error, or the service ends
// the stream.
func (f *following[Response]) follow(ctx context.Context) error {
	client, err := f.o.dial()
	if err != nil {
		return err
	}
	alive, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(callPatience, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := f.call(alive, client)
	if err != nil {
		return f.ended(ctx, alive, err)
	}
	defer func() { _ = stream.Close() }() // the service notices
	patience, begun := callPatience, false
	for stream.Receive() {
		got := f.of(stream.Msg())
		if beat := got.GetHeartbeat(); beat != nil {
			patience = maxSilence * time.Duration(max(beat.EveryMs, 1)) * time.Millisecond
		}
		silence.Reset(patience)
		if err := f.show(stream.Msg(), got, &begun); err != nil {
			return fmt.Errorf("printing: %w", err)
		}
		if end := got.GetEnd(); end != nil {
			return f.bye(end)
		}
	}
	return f.ended(ctx, alive, stream.Err())
}

// show prints what has come.
func (f *following[Response]) show(msg *Response, got news, begun *bool) error {
	switch {
	case got.GetHeartbeat() != nil:
		if *begun {
			return nil
		}
		*begun = true
		if f.o.output != asTable {
			return nil
		}
		_, err := fmt.Fprintln(f.out, f.header)
		return err
	case f.o.output != asTable:
		return f.o.output.write(f.out, true, protoJSON(got), nil)
	case got.GetMissed() != nil:
		_, err := fmt.Fprintf(f.out, "(missed: %d, for they came faster than they were read)\n", got.GetMissed().Count)
		return err
	case got.GetEnd() != nil:
		return nil
	}
	_, err := fmt.Fprintln(f.out, f.line(msg))
	return err
}

// bye is how the stream ended that the service has ended in order.
func (f *following[Response]) bye(end *adminv1.End) error {
	if end.Code == string(protocol.CodeDraining) {
		return exits(exitUnavailable, fmt.Errorf("the service ended it: %s: %s", printable(end.Code), printable(end.Reason)))
	}
	_, err := fmt.Fprintf(f.notes, "%s: %s\n", printable(end.Code), printable(end.Reason))
	return err
}

// ended is how the stream ended that was cut off.
func (f *following[Response]) ended(ctx, alive context.Context, err error) error {
	switch {
	case interrupted(ctx):
		return nil // that is how one ends it
	case errors.Is(context.Cause(alive), errSilent):
		return exits(exitUnavailable, fmt.Errorf("nothing is heard from %s any more: see whether the service is there with 'callboard stats', and run this again", f.o.url))
	case err == nil:
		return exits(exitUnavailable, errors.New("the service broke off: run this again"))
	}
	if failed, ok := errors.AsType[*connect.Error](err); ok && len(failed.Details()) == 0 && cutOff(err) {
		return exits(exitUnavailable, fmt.Errorf("the connection to %s broke: see whether the service is there with 'callboard stats', and run this again", f.o.url))
	}
	return f.o.explained(err)
}

func interrupted(ctx context.Context) bool { return ctx.Err() != nil }

// columns puts fields under a header; the last has as much room as it needs.
func columns(widths []int, fields ...string) string {
	var line bytes.Buffer
	for i, field := range fields {
		if i == len(fields)-1 {
			line.WriteString(field)
		} else {
			fmt.Fprintf(&line, "%-*s  ", widths[i], field)
		}
	}
	return string(bytes.TrimRight(line.Bytes(), " "))
}

// clock is a moment of today, for people.
func clock(at time.Time, layout string) string { return at.Local().Format(layout) }

// number is empty for zero.
func number(n uint64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
