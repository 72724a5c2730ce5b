package transport

import (
	"container/list"
	"net"
	"sync"

	"callboard/actors"
)

// unidentified are the connections that have been upgraded and are to show their token in CONNECT.
// With one more than there may be, the one is cut that has been silent longest, so that who says nothing
// keeps nobody out. Those whose token is being looked at stay.
type unidentified struct {
	mu     sync.Mutex
	count  int       // guarded by mu, as the rest
	silent list.List // of *nameless, oldest first
}

// nameless is one of them. The goroutine that serves it has it, but for what unidentified guards.
type nameless struct {
	from string // for events
	nc   net.Conn
	at   *list.Element // in silent; nil: not there
	gone bool          // it is not counted any more
}

// enter counts a connection; false if there is no room, for all are being looked at. gaveWay is who was cut for it, if anybody.
func (u *unidentified) enter(most int) (gaveWay *nameless, room bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for u.count >= most { // more than once where the bound has become smaller
		oldest := u.silent.Front()
		if oldest == nil {
			return gaveWay, false
		}
		gaveWay = oldest.Value.(*nameless)
		u.forget(gaveWay)
		hangUp(gaveWay.nc)
	}
	u.count++
	return gaveWay, true
}

// listen: from now on it is on the client to say something.
func (u *unidentified) listen(n *nameless, nc net.Conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n.nc, n.at = nc, u.silent.PushBack(n)
}

// heard: the token has come.
func (u *unidentified) heard(n *nameless) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unlist(n)
}

// leave: it has ended, or is somebody.
func (u *unidentified) leave(n *nameless) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(n)
}

func (u *unidentified) forget(n *nameless) {
	u.unlist(n)
	if !n.gone {
		n.gone = true
		u.count--
	}
}

func (u *unidentified) unlist(n *nameless) {
	if n.at != nil {
		u.silent.Remove(n.at)
		n.at = nil
	}
}

// number is how many there are.
func (u *unidentified) number() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.count
}

const unidentifiedReason = "too many connections have shown no token yet"

// roomForNameless counts a connection that is to show its token in CONNECT; false if there is no room.
func (s *Server) roomForNameless() bool {
	gaveWay, room := s.unidentified.enter(s.live.Load().MaxPending)
	if gaveWay != nil {
		s.system.HitLimit(actors.LimitPending, "", gaveWay.from, unidentifiedReason)
	}
	return room
}
