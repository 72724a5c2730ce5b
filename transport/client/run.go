package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"callboard/protocol"
)

const (
	// steady is how long a connection lasts that counts as a success. One that ends
	// sooner makes the next pause longer, as if it had failed.
	steady = 2 * time.Second

	// openTimeout bounds the making of a connection up to the server's CONNECT.
	openTimeout = 2 * protocol.HandshakeTimeout
)

// A session is a connection on which both sides have said CONNECT.
type session struct {
	conn    *Conn
	granted *protocol.Connect // the server's CONNECT
	token   string            // what it was let in by; empty: the service was shown none
}

// run is the Client's goroutine: it owns the connection, is the only one who writes
// to it, and makes the next one.
func (c *Client) run(life context.Context, first *session) {
	defer close(c.ended)
	pause := backoff{least: c.config.MinBackoff, most: c.config.MaxBackoff}
	for s := first; ; s = nil {
		var err error
		if s == nil {
			c.become(State{Phase: Connecting})
			s, err = c.connect(life)
		}
		if err == nil {
			began := time.Now()
			err = c.serve(life, s)
			if time.Since(began) >= steady {
				pause.success()
			}
		}
		switch {
		case life.Err() != nil:
			c.closed()
			return
		case final(err):
			c.config.Log.Warn("disconnected for good", slog.Any("error", err))
			c.end(err)
			return
		}
		wait := pause.next(err)
		c.config.Log.Info("disconnected", slog.Any("error", err), slog.Duration("retry_in", wait))
		c.become(State{Phase: Disconnected, Err: err, Retry: time.Now().Add(wait)})
		select {
		case <-time.After(wait):
		case <-life.Done():
		}
	}
}

// closed ends a Client that was told to.
func (c *Client) closed() {
	c.mu.Lock()
	some, _ := c.intake.owes()
	c.mu.Unlock()
	if some && c.closeErr == nil {
		c.closeErr = errUnacknowledged
	}
	c.end(ErrClosed)
}

// final reports whether to connect again makes no sense: the service has said so, or
// it would answer the same to the same request.
func final(err error) bool {
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		return !closed.Code.Reconnect()
	}
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return false
	}
	switch refused.Code {
	case protocol.CodeTokenExpired, // the next one is new
		protocol.CodeUnavailable, protocol.CodeInternal, protocol.CodeStorageFull, protocol.CodeDraining,
		protocol.CodeTooManySessions: // the one before this may not have been missed yet
		return false
	}
	switch refused.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return false
	}
	return refused.Status < http.StatusInternalServerError
}

// connect makes one connection, up to the server's CONNECT.
func (c *Client) connect(ctx context.Context) (*session, error) {
	limit, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	token, err := c.token(limit)
	if err != nil {
		return nil, err
	}
	conn, err := DialConn(limit, c.address, c.user, c.config.connWith(token))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(limit, conn.Abort)
	granted, err := c.open(conn, token)
	if !stop() && ctx.Err() == nil {
		err = fmt.Errorf("no answer to CONNECT within %v: %w", openTimeout, context.DeadlineExceeded)
	} else if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Abort()
		return nil, err
	}
	return &session{conn: conn, granted: granted, token: token}, nil
}

// open says CONNECT and reads the server's.
func (c *Client) open(conn *Conn, token string) (*protocol.Connect, error) {
	hello := &protocol.Connect{Device: c.config.Device, Window: uint32(c.config.Window)}
	if c.config.TokenInConnect {
		hello.Token = token
	}
	c.mu.Lock()
	c.intake.hello(hello)
	c.mu.Unlock()
	written := conn.Write(hello)
	m, err := conn.Read() // though writing may have failed: the server may have said why
	if err != nil {
		return nil, reason(written, err)
	}
	switch m := m.(type) {
	case *protocol.Connect:
		return m, nil
	case *protocol.Error:
		return nil, &RefusedError{Status: http.StatusSwitchingProtocols, Code: protocol.ErrorCode(m.Code), Reason: m.Reason, RetryAfter: retryOf(m)}
	case *protocol.Close:
		return nil, closedBy(conn, m)
	}
	return nil, conn.fail(protocol.ClosePolicyViolation, errors.New("a "+m.Type().String()+" before its CONNECT"))
}

// closedBy is the end that a CLOSE of the server announces.
func closedBy(conn *Conn, m *protocol.Close) error {
	code := protocol.CloseCode(m.Code)
	if code == 0 {
		code = protocol.CloseNormal
	}
	conn.sayGoodbye(code)
	return &ClosedError{Code: code, Reason: m.Reason}
}

// serve works on one connection until it ends, and returns why.
func (c *Client) serve(life context.Context, s *session) error {
	c.connected(s)
	read := make(chan error, 1)
	go func() { read <- c.read(s.conn) }() // every way out of serve waits for it
	err := c.write(life, s, read)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, ErrClosed) {
		c.intake.lost()
	}
	if closed, ok := errors.AsType[*ClosedError](err); ok {
		closed.RetryAfter = c.hint
	}
	for _, forgotten := range c.outbox.lost() {
		forgotten.finish(Receipt{}, forgotten.failure(err))
	}
	return err
}

// connected takes in what the server granted.
func (c *Client) connected(s *session) {
	g := s.granted
	interval := time.Duration(g.GetLimits().GetPingIntervalMs()) * time.Millisecond
	if interval <= 0 {
		interval = protocol.PingInterval
	}
	silence := c.config.Silence
	if silence == 0 {
		silence = interval * 5 / 2
	}
	s.conn.SetSilence(silence)
	inFlight := int(g.GetLimits().GetInFlight())
	if inFlight == 0 {
		inFlight = protocol.MaxInFlight
	}
	c.mu.Lock()
	c.late, c.renewing, c.hint = false, 0, 0
	c.outbox.connected(inFlight)
	restored := c.intake.connected(g)
	c.mu.Unlock()
	signal(c.come)
	c.become(State{Phase: Connected, Session: g})
	log := c.config.Log.With(slog.String("session", g.Session), slog.Uint64("cursor", g.GetCursor()), slog.Uint64("head", g.Head))
	log.Info("connected")
	if restored {
		log.Warn("the inbox was begun anew, or has gone back to an earlier state: messages may come again",
			slog.Uint64("epoch", uint64(g.Epoch)))
	}
}

// write writes what there is to write until the connection ends, and waits for the
// reader's end.
func (c *Client) write(life context.Context, s *session, read <-chan error) error {
	conn := s.conn
	renewal := newRenewal(life, c, s.token)
	defer renewal.end()
	var batch []protocol.Message
	late, paused := stoppedTimer(), stoppedTimer() // for acknowledgements that nothing else hurries, and for what waits for the service
	defer late.Stop()
	defer paused.Stop()
	waiting, due := false, false
	for life.Err() == nil {
		var some bool
		var pause time.Duration
		batch, some, pause = c.batch(batch[:0], due)
		due = false
		if len(batch) > 0 {
			if err := conn.Write(batch...); err != nil {
				if _, ours := errors.AsType[*protocol.FrameError](err); ours {
					conn.Abort() // check lets none of these through; reading would go on
				}
				return reason(err, <-read)
			}
			clear(batch)
			continue
		}
		if some && !waiting {
			late.Reset(c.config.AckDelay)
			waiting = true
		}
		if pause > 0 {
			paused.Reset(pause)
		}
		select {
		case <-c.wake:
		case <-paused.C:
		case <-late.C:
			waiting, due = false, true
		case <-renewal.timer.C:
			renewal.begin()
		case got := <-renewal.got:
			if token := renewal.take(got); token != "" {
				if err := conn.Write(&protocol.Connect{Token: token}); err != nil {
					return reason(err, <-read)
				}
			}
		case err := <-read:
			return err
		case <-life.Done():
		}
	}
	return c.leave(conn, read)
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// batch appends what is to be written now. It returns whether an acknowledgement
// waits for others; one that is due does not; and for how long messages wait because the
// service wants it so.
func (c *Client) batch(batch []protocol.Message, due bool) (_ []protocol.Message, some bool, pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	some, now := c.intake.owes()
	if some && (now || due) {
		batch = append(batch, c.intake.ack())
		some = false
	}
	c.late = some
	if !c.pause.IsZero() {
		if pause = time.Until(c.pause); pause > 0 {
			return batch, some, pause
		}
		c.pause = time.Time{}
	}
	return c.outbox.take(batch, maxFlush), some, 0
}

// leave says goodbye.
func (c *Client) leave(conn *Conn, read <-chan error) error {
	ctx, cancel := context.WithTimeout(c.farewell, protocol.CloseTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, conn.Abort)()
	c.mu.Lock()
	ack := c.intake.ack()
	c.mu.Unlock()
	if ack != nil {
		c.closeErr = conn.Write(ack)
	}
	if err := conn.Close(ctx, protocol.CloseNormal); c.closeErr == nil {
		c.closeErr = err
	}
	c.config.Log.Debug("left", slog.Any("reason", <-read))
	return ErrClosed
}

// reason is why a connection ended on which writing and reading failed.
func reason(writing, reading error) error {
	if _, closed := errors.AsType[*ClosedError](reading); closed || writing == nil {
		return reading
	}
	return writing
}

// read takes in what comes until the connection ends, and returns why.
func (c *Client) read(conn *Conn) error {
	for {
		m, err := conn.Read()
		if err != nil {
			return err
		}
		if err := c.received(conn, m); err != nil {
			conn.Abort() // whoever writes stops, too
			return err
		}
	}
}

// received takes in one message. An error ends the connection.
func (c *Client) received(conn *Conn, m protocol.Message) error {
	if m, over := m.(*protocol.Close); over {
		return closedBy(conn, m)
	}
	if m, ok := m.(*protocol.Error); ok && m.Id == "" && m.Code != string(protocol.CodeGap) {
		c.config.Log.Warn("refused by the service", slog.String("code", m.Code), slog.String("reason", m.Reason))
	}
	more, err := c.accept(m)
	if more {
		signal(c.come)
	}
	if err != nil {
		return conn.fail(protocol.ClosePolicyViolation, err)
	}
	return nil
}

// accept is what a message changes. It returns whether there is something new in the
// queue; an error says that the server broke the protocol.
func (c *Client) accept(m protocol.Message) (more bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := m.(type) {
	case *protocol.Receive:
		return c.intake.received(m)
	case *protocol.Sent:
		c.sent(m)
	case *protocol.Error:
		if m.Id != "" {
			c.refused(m)
		} else if m.Code == string(protocol.CodeGap) {
			return c.intake.gap(m.Gap), nil
		} else {
			c.hint = retryOf(m)
		}
	case *protocol.Connect:
		if c.renewing == 0 {
			return false, errors.New("a second " + m.Type().String())
		}
		c.renewing--
	default:
		return false, errors.New("a " + m.Type().String())
	}
	return false, nil
}
