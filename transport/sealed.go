package transport

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// sealed is TLS between a socket and the network. The session and the reader wait for nothing:
// what is to leave is encrypted into memory and leaves like plain frames do, and what has come in is
// read as far as it goes and decrypted when a record is whole.
type sealed struct {
	conn *tls.Conn
	wire *wire
}

// wire is the connection below TLS. Until the upgrade it is the network's, and net/http's, and then
// the introduction's, if there is one. From then on, when it is detached, it reads what is there and no more, and writes into memory.
type wire struct {
	net.Conn
	detached bool    // set by detach, before the session and the reader begin
	fd       uintptr // set and used by the reader while it reads

	mu      sync.Mutex // TLS itself answers the peer now and then, from the reader
	sealing bool       // the session encrypts
	out     *outBuffer // what is encrypted and not yet taken; nil for nothing
}

// maxUnasked bounds what TLS itself may have to say until the session writes, in bytes: answers to a
// peer that renews its keys again and again.
const maxUnasked = 4 << 10

var errUnasked = errors.New("the peer renews its keys and lets nothing be sent")

// nothing is the error of a read that would have to wait. TLS goes on after it.
type nothing struct{}

var (
	_          net.Error = nothing{}
	errNothing error     = nothing{}
)

func (nothing) Error() string   { return "nothing has come in" }
func (nothing) Timeout() bool   { return true }
func (nothing) Temporary() bool { return true }

// detach makes the connection one that a session and a reader can have. Nobody waits on it from then
// on.
func (s *socket) detach() {
	if s.sealed != nil {
		s.sealed.wire.detached = true
	}
}

// attach is the contrary, for a connection that no session has taken. The caller is its only owner.
func (s *socket) attach() {
	if s.sealed != nil {
		s.sealed.wire.detached = false
	}
}

// plain is the connection that a peer's frames come and go on while it has one owner who waits for
// them: TLS, if there is TLS.
func (s *socket) plain() net.Conn {
	if s.sealed != nil {
		return s.sealed.conn
	}
	return s.nc
}

// Read implements net.Conn.
func (w *wire) Read(b []byte) (int, error) {
	if !w.detached {
		return w.Conn.Read(b)
	}
	return w.readNow(b)
}

// Write implements net.Conn.
func (w *wire) Write(b []byte) (int, error) {
	if !w.detached {
		return w.Conn.Write(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		w.out = newOutBuffer()
	}
	if !w.sealing && len(w.out.b)+len(b) > maxUnasked {
		return 0, errUnasked
	}
	w.out.b = append(w.out.b, b...)
	return len(b), nil
}

// SetWriteDeadline implements net.Conn. TLS sets one around its farewell; memory needs none.
func (w *wire) SetWriteDeadline(t time.Time) error {
	if !w.detached {
		return w.Conn.SetWriteDeadline(t)
	}
	return nil
}

// seal encrypts what a call of do writes, and returns it with what TLS had to say before.
func (s *sealed) seal(do func() error) (*outBuffer, error) {
	s.wire.sealed(true)
	err := do()
	return s.wire.sealed(false), err
}

// sealed begins or ends the encryption; what is encrypted is the caller's at the end.
func (w *wire) sealed(begins bool) (out *outBuffer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealing = begins; !begins {
		out, w.out = w.out, nil
	}
	return out
}

// sealLeaving puts the encrypted form in the place of what is to leave.
func (s *socket) sealLeaving() error {
	plain := s.leaving
	out, err := s.sealed.seal(func() error {
		_, err := s.sealed.conn.Write(plain.b)
		return err
	})
	if err != nil {
		return err
	}
	plain.free()
	s.leaving = out
	return nil
}

// farewell tells the peer's TLS that nothing follows, so that it does not take the end for an
// attack. If it cannot leave at once the peer has to do without.
func (s *socket) farewell() {
	if s.leaving != nil { // it would come in the midst of something else
		return
	}
	if out, _ := s.sealed.seal(s.sealed.conn.CloseWrite); out != nil {
		_, _ = s.tryWrite(out.b) // the peer may have gone
		out.free()
	}
}

// sealing makes the connections of a listener such that a session can do with them what it needs.
type sealing struct {
	net.Listener
}

// Accept implements net.Listener.
func (l sealing) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &wire{Conn: nc}, nil
}
