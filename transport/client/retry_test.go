package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
	"callboard/transport/client"
)

func TestClientSendsNothingForAsLongAsTheServiceAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{})
		p, _ := s.open(&protocol.Connect{User: "1"})
		first, err := c.SendAsync(t.Context(), "2", "too much")
		if err != nil {
			t.Fatal(err)
		}
		p.write(&protocol.Error{Id: p.send().Id, Code: string(protocol.CodeRateLimited), Reason: "slowly", Retry: 1500})
		_, err = first.Wait(t.Context())
		refused, ok := errors.AsType[*client.SendError](err)
		if !ok || refused.Code != protocol.CodeRateLimited || refused.RetryAfter != 1500*time.Millisecond || !refused.Temporary() || refused.Unconfirmed {
			t.Fatalf("the error is %+v", err)
		}
		began := time.Now()
		for range 3 {
			if _, err := c.SendAsync(t.Context(), "2", "later"); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			p.send()
		}
		if waited := time.Since(began); waited != 1500*time.Millisecond {
			t.Errorf("it waited %v", waited)
		}
		if _, err := c.SendAsync(t.Context(), "2", "at once"); err != nil {
			t.Fatal(err)
		}
		p.send()
		if waited := time.Since(began); waited != 1500*time.Millisecond {
			t.Errorf("the pause is not over after %v", waited)
		}
		p.ends(c)
	})
}

func TestClientComesBackNoSoonerThanTheServiceAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
		for _, code := range []protocol.CloseCode{protocol.CloseRateLimited, protocol.CloseTryAgainLater} {
			p, _ := s.open(&protocol.Connect{User: "1"})
			p.write(&protocol.Error{Code: string(protocol.CodeInvalidMessage), Reason: "says nothing of a time"},
				&protocol.Error{Code: string(protocol.CodeRateLimited), Retry: 20_000})
			began := time.Now()
			p.closes(code)
			synctest.Wait()
			closed, ok := errors.AsType[*client.ClosedError](c.State().Err)
			if !ok || closed.RetryAfter != 20*time.Second {
				t.Errorf("the state is %+v", c.State())
			}
			p, _ = s.open(&protocol.Connect{User: "1"})
			if waited := time.Since(began); waited < 20*time.Second || waited > 21*time.Second {
				t.Errorf("it came back after %v", waited)
			}
			p.cut() // what was said on the last connection is not for this one
			synctest.Wait()
		}
		p, _ := s.open(&protocol.Connect{User: "1"})
		p.ends(c)
	})
}

func TestRefusalOfConnectHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		c := s.client(client.Config{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond})
		p := s.accept()
		p.read()
		p.write(&protocol.Error{Code: string(protocol.CodeTooManySessions), Reason: "no room", Retry: 5000})
		began := time.Now()
		p, _ = s.open(&protocol.Connect{User: "1"})
		if waited := time.Since(began); waited < 5*time.Second || waited > 6*time.Second {
			t.Errorf("it came back after %v", waited)
		}
		p.ends(c)
	})
}
