package transport

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"callboard/protocol"
)

// door is the listener that addresses ask at. Who has asked too often is cut here, before TLS and
// before a goroutine is started. One goroutine accepts.
type door struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (d door) Accept() (net.Conn, error) {
	for {
		nc, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		v, how := d.server.knock(nc)
		if how != cut {
			d.server.atDoor = v
			return nc, nil
		}
		d.server.hitAttempts(nc.RemoteAddr().String())
		if tcp, ok := nc.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // no farewell, and nothing stays of it
		}
		_ = nc.Close()
	}
}

// visit is one connection up to its upgrade. The goroutine that serves it has it, but for what
// pending guards.
type visit struct {
	asked bool // one attempt has been counted and not been used for a request yet
	how   welcome
	retry time.Duration
	pendingPlace
}

// knock counts the attempt of a connection that is new, unless it is not for its address to be counted.
func (s *Server) knock(nc net.Conn) (*visit, welcome) {
	v := &visit{}
	live := s.live.Load()
	from, known := addressOf(nc.RemoteAddr().String())
	if live.Attempts.Every == 0 || !known || live.exempt(from) || live.proxied(from) {
		return v, letIn
	}
	v.asked = true
	v.how, v.retry = s.attempts.ask(household(from), live.Attempts, s.now())
	return v, v.how
}

// visitKey is where the context of a request has its visit.
type visitKey struct{}

// visited puts the visit of the connection that was accepted last into the contexts of its requests.
func (s *Server) visited(ctx context.Context, nc net.Conn) context.Context {
	v := s.atDoor
	s.pending.add(nc, v)
	return context.WithValue(ctx, visitKey{}, v)
}

// visitOf is the visit that a request belongs to.
func visitOf(r *http.Request) *visit {
	v, _ := r.Context().Value(visitKey{}).(*visit)
	return v
}

// tooOften refuses a request if its address has asked too often. The first of a connection was counted at
// the door; behind a proxy it is each request that counts.
func (s *Server) tooOften(w http.ResponseWriter, r *http.Request) bool {
	live := s.live.Load()
	if live.Attempts.Every == 0 {
		return false
	}
	how, retry := letIn, time.Duration(0)
	if v := visitOf(r); v != nil && v.asked {
		how, retry, v.asked = v.how, v.retry, false
	} else if from, known := live.source(r); known && !live.exempt(from) {
		how, retry = s.attempts.ask(household(from), live.Attempts, s.now())
	}
	if how == letIn {
		return false
	}
	s.hitAttempts(s.from(r))
	retryAfter(w.Header(), retry)
	w.Header().Set("Connection", "close")
	s.refuse(w, http.StatusTooManyRequests, protocol.CodeTooManyAttempts, attemptsReason)
	return true
}

const attemptsReason = "this address asks for connections too often; try again later"

func (s *Server) hitAttempts(remote string) {
	s.system.HitLimit(protocol.CodeTooManyAttempts, "", remote, attemptsReason)
}

// source is the address that a request comes from: behind a proxy of ours the last one that it names
// and that is none of ours. If it names none, it is the proxy's own: what nobody can be asked for is not for free.
func (l *live) source(r *http.Request) (netip.Addr, bool) {
	from, known := addressOf(r.RemoteAddr)
	if !known || !l.proxied(from) {
		return from, known
	}
	named := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, text := range slices.Backward(named) {
		addr, read := addressNamed(strings.TrimSpace(text))
		if !read {
			break
		}
		if !l.proxied(addr) {
			return addr, true
		}
	}
	return from, true
}

// addressNamed reads an address as proxies write it, some with a port. A zone would mean something on the proxy alone,
// and may be as long as a header.
func addressNamed(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	known := err == nil
	if !known {
		addr, known = addressOf(text)
	}
	return addr.Unmap().WithZone(""), known
}

// from is where a request comes from, in the words of events and of the log: behind a proxy of ours the address that it
// names, else the peer's with its port.
func (s *Server) from(r *http.Request) string {
	return cmp.Or(s.named(r), r.RemoteAddr)
}

// named is the address that a proxy of ours names; empty if the peer is no proxy of ours, or names nobody.
func (s *Server) named(r *http.Request) string {
	peer, _ := addressOf(r.RemoteAddr)
	if source, known := s.live.Load().source(r); known && source != peer {
		return source.String()
	}
	return ""
}

func (l *live) exempt(addr netip.Addr) bool { return within(l.Exempt, addr) }

func (l *live) proxied(addr netip.Addr) bool { return within(l.Proxies, addr) }

func within(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// addressOf reads the address of a peer.
func addressOf(remote string) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(remote)
	return peer.Addr(), err == nil
}
