package transport

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"

	"callboard/actors"
)

// pending are the connections that are no WebSocket yet. With one more than there may be, one of these is
// cut: one that is kept alive between two requests if there is any, or else the one that has taken
// longest over its request, so that who says nothing keeps nobody out. Those whose request is being
// answered stay.
type pending struct {
	mu      sync.Mutex
	of      map[net.Conn]*visit // guarded by mu, as the rest
	asking  list.List           // of net.Conn: their request has not come whole, oldest first
	resting map[net.Conn]struct{}
}

// pendingPlace is where a visit stands among the pending; guarded by pending.mu.
type pendingPlace struct {
	at *list.Element // in asking; nil: not there
}

func newPending() *pending {
	return &pending{of: make(map[net.Conn]*visit), resting: make(map[net.Conn]struct{})}
}

// add is for a connection that is new.
func (p *pending) add(nc net.Conn, v *visit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.of[nc] = v
	p.ask(nc)
}

// ask: the connection's next request begins.
func (p *pending) ask(nc net.Conn) {
	delete(p.resting, nc)
	if v := p.of[nc]; v != nil && v.at == nil {
		v.at = p.asking.PushBack(nc)
	}
}

// answered: a handler has the request of the visit.
func (p *pending) answered(v *visit) {
	if v == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leave(v)
}

func (p *pending) leave(v *visit) {
	if v.at != nil {
		p.asking.Remove(v.at)
		v.at = nil
	}
}

// state follows what net/http says of a connection.
func (p *pending) state(nc net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateActive:
		p.ask(nc)
	case http.StateIdle:
		if v := p.of[nc]; v != nil { // it was not cut meanwhile
			p.leave(v)
			p.resting[nc] = struct{}{}
		}
	default:
		delete(p.resting, nc)
		if v := p.of[nc]; v != nil {
			p.leave(v)
			delete(p.of, nc)
		}
	}
}

// number is how many there are.
func (p *pending) number() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.of)
}

// yield cuts one of them; false if all are being answered. It says whether that one was at rest. One that
// is cut counts no longer, though net/http has yet to notice: or else the next would cut another.
func (p *pending) yield() (atRest, some bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for nc := range p.resting {
		delete(p.resting, nc)
		delete(p.of, nc)
		hangUp(nc)
		return true, true
	}
	oldest := p.asking.Front()
	if oldest == nil {
		return false, false
	}
	nc := p.asking.Remove(oldest).(net.Conn)
	p.of[nc].at = nil
	delete(p.of, nc)
	hangUp(nc)
	return false, true
}

// hangUp closes a connection without a word.
func hangUp(nc net.Conn) {
	if conn, ok := nc.(*tls.Conn); ok {
		nc = conn.NetConn() // TLS would take its time to say farewell
	}
	_ = nc.Close()
}

// connState bounds the connections that are no WebSocket yet. net/http calls it.
func (s *Server) connState(nc net.Conn, state http.ConnState) {
	if state != http.StateNew {
		s.pending.state(nc, state)
		return
	}
	if s.pending.number() <= s.live.Load().MaxPending { // visited has counted it
		return
	}
	if atRest, some := s.pending.yield(); !some {
		hangUp(nc)
	} else if atRest {
		return // it loses nothing: its next request is sent again
	}
	s.system.HitLimit(actors.LimitPending, "", nc.RemoteAddr().String(), "too many connections are no WebSocket yet")
}
