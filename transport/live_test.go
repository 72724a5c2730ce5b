package transport

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"callboard/actors"
)

func TestReloadHoldsForHandshakesToCome(t *testing.T) {
	s := start(t, Config{MaxConnections: 2}, actors.Config{})
	friend := http.Header{"Origin": {"https://friend.example"}}
	if _, answer, err := s.dial("1", friend); err == nil || answer.status != http.StatusForbidden {
		t.Fatalf("%v, %v", answer, err)
	}
	first := s.connect("1")
	must(t, s.server.Reload(Live{MaxConnections: 1, AllowOrigins: []string{"https://friend.example"}}))
	if _, answer, err := s.dial("1", friend); err == nil || answer.status != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", answer, err)
	}
	first.send("1", "to myself") // who is there stays
	first.gets("to myself")
	for _, wrong := range []Live{{}, {MaxConnections: 1, Drain: -1}, {MaxConnections: 1, AllowOrigins: []string{"friend.example"}}} {
		if s.server.Reload(wrong) == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
	must(t, s.server.Reload(Live{MaxConnections: 2, AllowOrigins: []string{"https://friend.example"}}))
	p, _, err := s.dial("1", friend)
	must(t, err)
	must(t, p.ws.Close())
}

func TestReloadDisturbsNoHandshake(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	var reloads sync.WaitGroup
	reloads.Go(func() {
		for n := range 500 {
			if err := s.server.Reload(Live{MaxConnections: 1000 + n, AllowOrigins: []string{fmt.Sprintf("https://%d.example", n)}}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 20 {
		s.connect("1")
	}
	reloads.Wait()
}

// The time to drain is the one that was given last.
func TestReloadedDrainIsTheOneAtTheEnd(t *testing.T) {
	s := startWith(t, Config{}, actors.Config{}, 2*patience, new(net.ListenConfig))
	for i := range 20 {
		s.connect(fmt.Sprint(i))
	}
	must(t, s.server.Reload(Live{MaxConnections: 100, Drain: 100 * time.Millisecond}))
	began := time.Now()
	s.stop()
	must(t, <-s.served)
	if took := time.Since(began); took > patience {
		t.Errorf("it took %s", took)
	}
}
