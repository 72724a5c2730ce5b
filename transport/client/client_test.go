package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

// receives takes the next messages and checks their numbers.
func receives(t *testing.T, c *client.Client, numbers ...uint64) {
	t.Helper()
	if len(numbers) == 0 {
		return
	}
	i := 0
	for m, err := range c.Messages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Seq != numbers[i] {
			t.Fatalf("message %d came, not %d", m.Seq, numbers[i])
		}
		if i++; i == len(numbers) {
			m.Ack()
			return
		}
	}
}

// phase waits for a phase of the client.
func phase(t *testing.T, c *client.Client, want client.Phase) client.State {
	t.Helper()
	for s := range c.States(t.Context()) {
		if s.Phase == want {
			return s
		}
	}
	t.Fatalf("the client was never %v", want)
	return client.State{}
}

func TestSendReturnsWhenTheMessageIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, hello := s.open(&protocol.Connect{})
		if hello.Device != "" || hello.Cursor != nil || hello.Window != 0 {
			t.Errorf("CONNECT is %v", hello)
		}
		kept := make(chan client.Receipt)
		go func() {
			receipt, err := c.Send(t.Context(), "2", "hello")
			if err != nil {
				t.Error(err)
			}
			kept <- receipt
		}()

		m := p.send()
		synctest.Wait()
		select {
		case <-kept:
			t.Error("Send returned before the message was confirmed")
		default:
		}
		p.write(&protocol.Sent{Id: m.Id, Seq: 7, At: 1234})

		if m.Receiver != "2" || m.Content != "hello" || m.Sender != "" {
			t.Errorf("SEND is %v", m)
		}
		if got := <-kept; got.ID != m.Id || got.Seq != 7 || !got.At.Equal(time.UnixMilli(1234)) {
			t.Errorf("the receipt is %v", got)
		}
		p.ends(c)
	})
}

func TestUnconfirmedIsSentAgainInItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{})
		var sendings []*client.Sending
		for range 5 {
			sending, err := c.SendAsync(t.Context(), "2", "hello")
			if err != nil {
				t.Fatal(err)
			}
			sendings = append(sendings, sending)
		}
		for _, sending := range sendings {
			if m := p.send(); m.Id != sending.ID() {
				t.Fatalf("%s was sent, not %s", m.Id, sending.ID())
			}
		}

		p.write(&protocol.Sent{Id: sendings[1].ID(), Seq: 2})
		p.cut()

		p, _ = s.open(&protocol.Connect{})
		for i, sending := range sendings {
			if i == 1 {
				continue
			}
			if m := p.send(); m.Id != sending.ID() {
				t.Fatalf("%s was sent again, not %s", m.Id, sending.ID())
			}
			p.write(&protocol.Sent{Id: sending.ID(), Seq: uint64(i + 1)})
		}
		for i, sending := range sendings {
			if receipt, err := sending.Wait(t.Context()); err != nil || receipt.Seq != uint64(i+1) {
				t.Errorf("message %d: %v, %v", i, receipt, err)
			}
		}
		p.ends(c)
	})
}

func TestRefusalIsTypedAndIsTheAnswer(t *testing.T) {
	for code, is := range map[protocol.ErrorCode]struct{ unconfirmed, temporary bool }{
		protocol.CodeUnavailable: {true, true}, protocol.CodeStorageFull: {true, true}, protocol.CodeInternal: {true, true},
		protocol.CodeInboxFull: {false, true}, protocol.CodeConflict: {false, false}, protocol.CodePoisoned: {false, false}, protocol.CodeTooLarge: {false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c := s.client(client.Config{})
			p, _ := s.open(&protocol.Connect{})
			sending, err := c.SendAsync(t.Context(), "2", "hello", client.WithID("mine"))
			if err != nil {
				t.Fatal(err)
			}
			p.wants(&protocol.Send{Receiver: "2", Content: "hello", Id: "mine"})

			p.write(&protocol.Error{Id: "mine", Code: string(code), Reason: "why"})

			_, err = sending.Wait(t.Context())
			refused, ok := errors.AsType[*client.SendError](err)
			if !ok || refused.Code != code || refused.Reason != "why" || refused.ID != "mine" || refused.Unconfirmed != is.unconfirmed {
				t.Errorf("%#v", err)
			}
			if refused.Temporary() != is.temporary {
				t.Errorf("%s is temporary: %t", code, refused.Temporary())
			}
			if rest := p.ends(c); len(rest) > 0 {
				t.Errorf("the client sent again what was refused: %v", rest)
			}
		})
	}
}

func TestReconnectsWhereTheProgramIsAndHidesRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{Device: "phone", Window: 10, ManualAck: true})
		p, hello := s.open(&protocol.Connect{Cursor: new(uint64(4)), Head: 7})
		if hello.Device != "phone" || hello.Cursor != nil || hello.Window != 10 {
			t.Errorf("CONNECT is %v", hello)
		}
		p.brings(5, 7)
		var got []*client.Message
		for m, err := range c.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, m); len(got) == 2 {
				break
			}
		}
		got[0].Ack()
		p.wants(&protocol.Ack{Seq: 5})
		p.cut()

		p, hello = s.open(&protocol.Connect{Cursor: new(uint64(5)), Head: 9})
		if hello.GetCursor() != 5 || c.Cursor().Seq != 5 {
			t.Errorf("the cursor is %v, of the client %v", hello.Cursor, c.Cursor())
		}
		p.brings(6, 9)
		receives(t, c, 7, 8, 9)
		p.wants(&protocol.Ack{Seq: 9})
		p.ends(c)
	})
}

func TestMessageIsAcknowledgedWhenTheLoopAsksForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{Window: 64})
		p.brings(1, 3)
		synctest.Wait() // or an ACK would go out as soon as the last that has come is done with
		for m, err := range c.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if m.Seq == 2 {
				break // left in the middle of it
			}
		}
		if c.Cursor().Seq != 1 {
			t.Errorf("the cursor is %v", c.Cursor())
		}
		p.wants(&protocol.Ack{Seq: 1}) // after AckDelay

		receives(t, c, 2, 3)

		p.wants(&protocol.Ack{Seq: 3})
		p.ends(c)
	})
}

func TestManualAckIsLeftToTheProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{ManualAck: true})
		p, _ := s.open(&protocol.Connect{Window: 64})
		p.brings(1, 3)
		loop, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all []*client.Message
		for m, err := range c.Messages(loop) {
			if err == nil {
				all = append(all, m)
			}
		}
		if len(all) != 3 || c.Cursor().Seq != 0 {
			t.Errorf("%d messages came, and %d are acknowledged", len(all), c.Cursor().Seq)
		}

		all[1].Ack()
		all[0].Ack()

		p.wants(&protocol.Ack{Seq: 2})
		if c.Cursor().Seq != 2 {
			t.Errorf("the cursor is %v", c.Cursor())
		}
		if rest := p.ends(c); len(rest) > 0 {
			t.Errorf("the client wrote %v", rest)
		}
	})
}

func TestReceiveKeepsWhatItsHandlerFailedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{})
		p.brings(1, 2)
		fault := errors.New("the database is away")
		var got []uint64
		for range 2 {
			err := c.Receive(t.Context(), func(_ context.Context, m *client.Message) error {
				if got = append(got, m.Seq); m.Seq == 2 {
					return fault
				}
				return nil
			})
			if !errors.Is(err, fault) {
				t.Fatal(err)
			}
		}
		if len(got) != 3 || got[1] != 2 || got[2] != 2 {
			t.Errorf("the handler got %v", got)
		}
		p.wants(&protocol.Ack{Seq: 1})
		p.ends(c)
	})
}

func TestAcksAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{Window: 64})
		p.brings(1, 64)
		synctest.Wait()
		acks := make(chan int)
		go func() {
			for n := 1; ; n++ {
				if m := p.read().(*protocol.Ack); m.Seq == 64 {
					acks <- n
					return
				}
			}
		}()

		all := make([]uint64, 64)
		for i := range all {
			all[i] = uint64(i + 1)
		}
		receives(t, c, all...)

		if n := <-acks; n > 5 {
			t.Errorf("%d ACKs for 64 messages", n)
		}
		p.ends(c)
	})
}

func TestGapIsToldInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{Cursor: &client.Cursor{Seq: 3}})
		p, hello := s.open(&protocol.Connect{Cursor: new(uint64(10)), Head: 10, Gap: &protocol.Gap{First: 4, Last: 10}})
		if hello.GetCursor() != 3 {
			t.Errorf("CONNECT is %v", hello)
		}
		p.brings(11, 11)
		p.write(&protocol.Error{Code: string(protocol.CodeGap), Gap: &protocol.Gap{First: 12, Last: 14}})
		p.brings(15, 15)
		p.write(&protocol.Error{Code: string(protocol.CodeGap), Reason: "without the numbers"})
		p.brings(20, 20)

		var got []any
		for m, err := range c.Messages(t.Context()) {
			if gap, ok := errors.AsType[*client.GapError](err); ok {
				got = append(got, *gap)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, m.Seq); m.Seq == 20 {
				m.Ack()
				break
			}
		}

		want := []any{client.GapError{First: 4, Last: 10}, uint64(11), client.GapError{First: 12, Last: 14}, uint64(15),
			client.GapError{First: 16, Last: 19}, uint64(20)}
		if len(got) != len(want) {
			t.Fatalf("got %v", got)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("got %v, want %v", got[i], want[i])
			}
		}
		p.acks(20)
		p.ends(c)
	})
}

func TestInboxThatWasRestoredGoesOnFromThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{Head: 9})
		p.brings(1, 9)
		receives(t, c, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		p.acks(9)
		p.cut()

		p, _ = s.open(&protocol.Connect{Cursor: new(uint64(6)), Head: 6})
		p.brings(7, 8) // others than before

		receives(t, c, 7, 8)
		if c.Cursor().Seq != 8 {
			t.Errorf("the cursor is %v", c.Cursor())
		}
		p.acks(8)
		p.ends(c)
	})
}

func TestEpochGoesWithTheCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{Cursor: &client.Cursor{Epoch: 11, Seq: 2}})
		p, hello := s.open(&protocol.Connect{Cursor: new(uint64(2)), Epoch: 11, Head: 9})
		if hello.Epoch != 11 || hello.GetCursor() != 2 {
			t.Errorf("the first CONNECT is %v", hello)
		}
		p.brings(3, 4)
		receives(t, c, 3, 4)
		p.acks(4)
		p.cut()

		// Begun anew, and larger than before: the numbers alone would not show it.
		p, hello = s.open(&protocol.Connect{Epoch: 12, Head: 50})
		if hello.Epoch != 11 || hello.GetCursor() != 4 {
			t.Errorf("the second CONNECT is %v", hello)
		}
		p.brings(1, 5)
		receives(t, c, 1, 2, 3, 4, 5)
		p.acks(5)
		p.cut()

		p, hello = s.open(&protocol.Connect{Cursor: new(uint64(5)), Epoch: 12, Head: 50})
		if hello.Epoch != 12 || hello.GetCursor() != 5 {
			t.Errorf("the third CONNECT is %v", hello)
		}
		if want := (client.Cursor{Epoch: 12, Seq: 5}); c.Cursor() != want {
			t.Errorf("the cursor is %v", c.Cursor())
		}
		p.ends(c)
	})
}

func TestCloseThatForbidsReconnectingIsTheEnd(t *testing.T) {
	for _, code := range []protocol.CloseCode{protocol.CloseReplaced, protocol.CloseByOperator, protocol.ClosePolicyViolation} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c := s.client(client.Config{Device: "phone"})
			p, _ := s.open(&protocol.Connect{})
			waiting, err := c.SendAsync(t.Context(), "2", "hello")
			if err != nil {
				t.Fatal(err)
			}
			p.send()

			p.closes(code)

			is := func(what string, err error) {
				t.Helper()
				if closed, ok := errors.AsType[*client.ClosedError](err); !ok || closed.Code != code {
					t.Errorf("%s: %v", what, err)
				}
			}
			for _, err := range c.Messages(t.Context()) {
				is("Messages", err)
			}
			_, err = waiting.Wait(t.Context())
			is("the Send that waited", err)
			if failed, ok := errors.AsType[*client.SendError](err); !ok || !failed.Unconfirmed || !failed.Temporary() {
				t.Errorf("%#v", err)
			}
			_, err = c.Send(t.Context(), "2", "hello")
			is("Send", err)
			if failed, ok := errors.AsType[*client.SendError](err); !ok || failed.Unconfirmed {
				t.Errorf("%#v", err)
			}
			is("State", phase(t, c, client.Closed).Err)
			closes(t, c)
		})
	}
}

func TestServerThatDrainsIsComeBackTo(t *testing.T) {
	for _, code := range []protocol.CloseCode{protocol.CloseGoingAway, protocol.CloseTryAgainLater, protocol.CloseSlowConsumer, protocol.CloseInternal} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c := s.client(client.Config{})
			p, _ := s.open(&protocol.Connect{})
			p.closes(code)

			state := phase(t, c, client.Disconnected)

			if closed, ok := errors.AsType[*client.ClosedError](state.Err); !ok || closed.Code != code {
				t.Errorf("the reason is %v", state.Err)
			}
			if wait := state.Retry.Sub(state.Since); wait < 0 || wait > 100*time.Millisecond {
				t.Errorf("the first pause is %v", wait)
			}
			p, _ = s.open(&protocol.Connect{})
			p.ends(c)
		})
	}
}

func TestConnectionThatLastedMakesThePauseShortAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		for range 12 {
			s.refuse(http.StatusServiceUnavailable, protocol.CodeDraining, nil)
		}
		p, _ := s.open(&protocol.Connect{})
		time.Sleep(3 * time.Second)
		p.cut()
		for range 5 {
			state := phase(t, c, client.Disconnected)
			if wait := state.Retry.Sub(state.Since); wait > 100*time.Millisecond {
				t.Errorf("the pause is %v", wait)
			}
			p, _ = s.open(&protocol.Connect{})
			time.Sleep(3 * time.Second)
			p.cut()
			synctest.Wait()
		}
		closes(t, c)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		s.refuse(http.StatusServiceUnavailable, protocol.CodeTooManyConnections, http.Header{"Retry-After": {"7"}})
		began := time.Now()

		p, _ := s.open(&protocol.Connect{})

		if waited := time.Since(began); waited < 7*time.Second || waited > 8*time.Second {
			t.Errorf("it came back after %v", waited)
		}
		p.ends(c)
	})
}

func TestPermanentRefusalIsTheEnd(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			c := s.client(client.Config{})
			s.refuse(status, protocol.CodeBadRequest, nil)

			_, err := c.Send(t.Context(), "2", "hello")

			if refused, ok := errors.AsType[*client.RefusedError](err); !ok || refused.Status != status {
				t.Errorf("%d: %v", status, err)
			}
			closes(t, c)
		})
	}
}

func TestTrafficKeepsAConnectionAndSilenceEndsIt(t *testing.T) {
	for name, last := range map[string]func(*peer){
		"silence":      func(*peer) {},
		"half a frame": func(p *peer) { _, _ = p.ws.NetConn().Write([]byte{0x81, 20, '{', '"'}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				c := s.client(client.Config{})
				p, _ := s.open(&protocol.Connect{Limits: &protocol.Limits{PingIntervalMs: 10_000}})
				pongs := 0
				p.ws.SetPongHandler(func(string) error {
					pongs++
					return nil
				})
				go func() { _, _ = p.next() }()
				for range 30 {
					time.Sleep(20 * time.Second)
					if err := p.ws.WriteControl(9, nil, time.Now().Add(time.Second)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait()
				if pongs != 30 {
					t.Errorf("%d pongs for 30 pings", pongs)
				}
				last(p)
				began := time.Now()

				state := phase(t, c, client.Disconnected)

				if silent := state.Since.Sub(began); silent < 20*time.Second || silent > 26*time.Second {
					t.Errorf("it was left after %v", silent)
				}
				p.cut()
				p, _ = s.open(&protocol.Connect{})
				p.ends(c)
			})
		})
	}
}

func TestServerThatDoesNotAnswerConnectIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p := s.accept()
		p.read()
		if state := phase(t, c, client.Disconnected); !errors.Is(state.Err, context.DeadlineExceeded) {
			t.Errorf("the reason is %v", state.Err)
		}
		p.cut()

		nc := <-s.calls // and one that does not even shake hands
		if state := phase(t, c, client.Disconnected); state.Err == nil {
			t.Error("it was not left")
		}
		_ = nc.Close()
		closes(t, c)
	})
}

func TestServerThatBreaksTheProtocolIsLeft(t *testing.T) {
	for name, m := range map[string]protocol.Message{
		"a jump":    &protocol.Receive{Seq: 3, Receiver: "1"},
		"no number": &protocol.Receive{Receiver: "1"},
		"a SEND":    &protocol.Send{Receiver: "1"},
		"a CONNECT": &protocol.Connect{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				c := s.client(client.Config{})
				p, _ := s.open(&protocol.Connect{})
				p.brings(1, 1)
				p.write(m)
				if m, err := p.next(); err == nil {
					t.Errorf("the client wrote %v", m)
				}

				p, _ = s.open(&protocol.Connect{})
				p.brings(1, 2)

				receives(t, c, 1, 2)
				p.acks(2)
				p.ends(c)
			})
		})
	}
}

func TestServerThatSendsMoreThanAWindowIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{})
		var failed error
		for seq := uint64(1); failed == nil && seq < 10_000; seq++ {
			failed = p.ws.WriteMessage(1, protocol.AppendJSON(nil, &protocol.Receive{Seq: seq, Receiver: "1"}))
		}
		if failed == nil {
			t.Error("the client took 10,000 messages that it did not ask for")
		}
		p.cut()
		closes(t, c)
	})
}

func TestContextEndsASend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		send := func(content string) *client.SendError {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := c.Send(ctx, "2", content)
			failed, ok := errors.AsType[*client.SendError](err)
			if !ok || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%s: %v", content, err)
			}
			return failed
		}

		if failed := send("before there is a connection"); failed.Unconfirmed || failed.Temporary() {
			t.Errorf("%#v", failed)
		}
		p, _ := s.open(&protocol.Connect{})
		wire := make(chan *protocol.Send)
		go func() { wire <- p.send() }()
		failed := send("on the wire")
		if !failed.Unconfirmed || !failed.Temporary() {
			t.Errorf("%#v", failed)
		}
		if m := <-wire; m.Content != "on the wire" || m.Id != failed.ID {
			t.Errorf("the client sent %v", m)
		}
		p.cut()

		p, _ = s.open(&protocol.Connect{})
		if rest := p.ends(c); len(rest) > 0 {
			t.Errorf("what nobody waits for was sent again: %v", rest)
		}
	})
}

func TestWireAndOutboxAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{Outbox: 5})
		p, _ := s.open(&protocol.Connect{Limits: &protocol.Limits{InFlight: 3}})
		var done sync.WaitGroup
		started := 0
		for range 8 {
			done.Go(func() {
				sending, err := c.SendAsync(t.Context(), "2", "hello")
				if err != nil {
					t.Error(err)
					return
				}
				started++
				if _, err := sending.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		if started != 5 {
			t.Errorf("%d messages are in an outbox of 5", started)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.SendAsync(ctx, "2", "hello"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("there was room: %v", err)
		}

		sends := make(chan *protocol.Send, 10)
		go func() {
			for range 8 {
				sends <- p.send()
			}
		}()
		for range 8 {
			synctest.Wait()
			if len(sends) > 3 {
				t.Fatalf("%d messages wait for their answer, the limit is 3", len(sends))
			}
			p.write(&protocol.Sent{Id: (<-sends).Id, Seq: 1})
		}
		done.Wait()
		p.ends(c)
	})
}

func TestSameIDIsTheSameMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{Outbox: 2})
		p, _ := s.open(&protocol.Connect{})
		first, err := c.SendAsync(t.Context(), "2", "hello", client.WithID("a"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.SendAsync(t.Context(), "2", "hello", client.WithID("a"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.SendAsync(t.Context(), "2", "goodbye", client.WithID("a"))
		if failed, ok := errors.AsType[*client.SendError](err); !ok || failed.Code != protocol.CodeConflict {
			t.Errorf("another message under the id: %v", err)
		}
		p.send()
		p.write(&protocol.Sent{Id: "a", Seq: 1})
		for _, s := range []*client.Sending{first, again} {
			if receipt, err := s.Wait(t.Context()); err != nil || receipt.Seq != 1 {
				t.Errorf("%v, %v", receipt, err)
			}
		}
		if rest := p.ends(c); len(rest) > 0 {
			t.Errorf("it was sent twice: %v", rest)
		}
	})
}

func TestMessageGoesOutAsLongAsSomebodyWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		first, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		send := func(ctx context.Context) {
			_, err := c.Send(ctx, "2", "hello", client.WithID("a"))
			ended <- err
		}
		go send(first)
		synctest.Wait()
		go send(t.Context())
		synctest.Wait()

		cancel()

		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p, _ := s.open(&protocol.Connect{})
		p.send()
		p.write(&protocol.Sent{Id: "a", Seq: 1})
		if err := <-ended; err != nil {
			t.Error(err)
		}
		p.ends(c)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{AckDelay: time.Hour})
		p, _ := s.open(&protocol.Connect{Window: 64})
		p.brings(1, 3)
		synctest.Wait()
		ended, busy := make(chan error), make(chan struct{})
		go func() {
			for m, err := range c.Messages(t.Context()) {
				if err != nil {
					ended <- err
					return
				}
				if m.Seq == 3 {
					<-busy
				}
			}
		}()
		go func() {
			_, err := c.Send(context.Background(), "2", "hello")
			ended <- err
		}()
		p.send()
		synctest.Wait()

		rest := p.ends(c)

		if len(rest) != 1 || rest[0].(*protocol.Ack).Seq != 2 {
			t.Errorf("at the end the client wrote %v", rest)
		}
		if err := <-ended; !errors.Is(err, client.ErrClosed) {
			t.Errorf("Send: %v", err)
		}
		close(busy)
		if err := <-ended; !errors.Is(err, client.ErrClosed) {
			t.Errorf("Messages: %v", err)
		}
		if _, err := c.Send(t.Context(), "2", "hello"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
		closes(t, c)
	})
}

func TestCloseDoesNotWaitForADeafServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{})
		synctest.Wait()
		const limit = 20 * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		began := time.Now()
		if err := c.Close(ctx); err == nil {
			t.Error("the server is said to have answered")
		}
		if took := time.Since(began); took > limit {
			t.Errorf("Close took %v", took)
		}
		p.cut()
	})
}

func TestOneLoopAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{})
		p.brings(1, 1)
		for m, err := range c.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range c.Messages(t.Context()) {
				if !errors.Is(err, client.ErrReceiving) {
					t.Errorf("a loop in a loop: %v", err)
				}
			}
			m.Ack()
			break
		}
		p.wants(&protocol.Ack{Seq: 1})
		p.ends(c)
	})
}

func TestStatesAreToldToWhoeverWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		phases := make(chan []client.Phase)
		for range 2 {
			go func() {
				var seen []client.Phase
				for state := range c.States(context.Background()) {
					seen = append(seen, state.Phase)
				}
				phases <- seen
			}()
		}
		synctest.Wait()
		p, _ := s.open(&protocol.Connect{Session: "s-1"})
		if state := phase(t, c, client.Connected); state.Session.Session != "s-1" {
			t.Errorf("Connected is %v", state)
		}
		p.cut()
		if state := phase(t, c, client.Disconnected); !errors.Is(state.Err, io.ErrUnexpectedEOF) {
			t.Errorf("Disconnected because of %v", state.Err)
		}
		p, _ = s.open(&protocol.Connect{})
		p.ends(c)

		want := []client.Phase{client.Connecting, client.Connected, client.Disconnected, client.Connecting, client.Connected, client.Closed}
		for range 2 {
			seen := <-phases
			if len(seen) != len(want) {
				t.Fatalf("seen were %v", seen)
			}
			for i := range want {
				if seen[i] != want[i] {
					t.Fatalf("seen were %v", seen)
				}
			}
		}
	})
}
