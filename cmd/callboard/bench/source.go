package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"
)

// perSource is how many connections go from one source address to one server: Linux
// has 28,232 ports for them (net.ipv4.ip_local_port_range), and some are taken.
const perSource = 20_000

// dialTimeout bounds how long TCP may take to connect.
const dialTimeout = 20 * time.Second

// A source makes the connections of a run and counts their bytes. It spreads them
// over addresses 127.0.0.1, 127.0.0.2 and so on when ports would run short.
type source struct {
	spread   bool
	sent     atomic.Int64
	received atomic.Int64
}

// newSource is for so many connections to an address. Only on the loopback are there
// source addresses enough.
func newSource(address string, connections int) (*source, error) {
	s := &source{}
	if connections <= perSource {
		return s, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if u.Hostname() != "localhost" && (err != nil || !ip.Is4() || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%d connections to %s need more ports than one source address has, which is about %d: "+
			"start several of these on several machines, or run it beside the service with --url ws://127.0.0.1:8080",
			connections, u.Host, perSource)
	}
	s.spread = true
	return s, nil
}

// dialer makes the n-th connection, in the form of client.ConnConfig.NetDial.
func (s *source) dialer(n int) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{Timeout: dialTimeout}
		if s.spread {
			number := n/perSource + 1
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(number>>8), byte(number))}
			d.Control = latePort
			network = "tcp4"
		}
		nc, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &counted{nc, s}, nil
	}
}

// A counted connection tells its source how much went through it.
type counted struct {
	net.Conn
	source *source
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.source.received.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.source.sent.Add(int64(n))
	return n, err
}
