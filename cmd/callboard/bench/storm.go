package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// An Attack is a kind of handshake that comes to nothing.
type Attack string

// The kinds.
const (
	Silent  Attack = "silent"  // connects and says nothing
	Half    Attack = "half"    // half a request, and no more
	Forged  Attack = "forged"  // a request that is refused
	Garbage Attack = "garbage" // what is no HTTP
)

// Attacks are all kinds there are.
var Attacks = []Attack{Silent, Half, Forged, Garbage}

// attacks is what each kind says.
var attacks = map[Attack]string{
	Half:    "GET /ws/1 HTTP/1.1\r\nHost: callboard\r\nX-Half: ",
	Forged:  "GET /ws/%00 HTTP/1.1\r\nHost: callboard\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: forged\r\nAuthorization: Bearer forged\r\n\r\n",
	Garbage: "\x16\x03\x01 this is no request \r\n\r\n",
}

const (
	// maxOpen is how many connections of a storm are open at once. With so many it waits for the service
	// to end some, or ends the oldest itself.
	maxOpen = 12_000

	// stormSources is how many addresses of the loopback a storm comes from.
	stormSources = 4

	// stormPulse is how often handshakes become due.
	stormPulse = 2 * time.Millisecond

	// stormPatience is how long a connection of a storm is held.
	stormPatience = 30 * time.Second
)

// A storm is a flood of handshakes that come to nothing, from a few addresses.
type storm struct {
	address string
	kinds   []Attack
	tls     bool
	next    int

	made, answered, cut, failed, held atomic.Int64
}

// stormCounts is what became of the handshakes.
type stormCounts struct{ made, answered, cut, failed int64 }

func newStorm(address string, kinds []Attack, encrypted bool) (*storm, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return &storm{address: u.Host, kinds: kinds, tls: encrypted}, nil
}

func (s *storm) counts() stormCounts {
	return stormCounts{s.made.Load(), s.answered.Load(), s.cut.Load(), s.failed.Load()}
}

func (c stormCounts) since(b stormCounts) stormCounts {
	return stormCounts{c.made - b.made, c.answered - b.answered, c.cut - b.cut, c.failed - b.failed}
}

// rage makes so many handshakes, evenly over the time. What it returns ends it and waits for that; what is held
// half open is let go then.
func (s *storm) rage(ctx context.Context, attempts int, over time.Duration) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(stormPulse)
		defer tick.Stop()
		began := time.Now()
		for made := 0; made < attempts; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			due := min(attempts, int(float64(attempts)*time.Since(began).Seconds()/over.Seconds()))
			for ; made < due; made++ {
				if s.held.Load() >= maxOpen {
					s.failed.Add(1)
					continue
				}
				n := s.next
				s.next++
				s.held.Add(1)
				all.Go(func() { s.attempt(ctx, n); s.held.Add(-1) })
			}
		}
	})
	return func() { cancel(); all.Wait() }
}

// attempt is one handshake, held until the service ends it.
func (s *storm) attempt(ctx context.Context, n int) {
	d := net.Dialer{Timeout: dialTimeout}
	if host, _, _ := net.SplitHostPort(s.address); host == "127.0.0.1" || host == "localhost" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%stormSources))}
		d.Control = latePort
	}
	nc, err := d.DialContext(ctx, "tcp", s.address)
	s.made.Add(1)
	if err != nil {
		s.failed.Add(1)
		return
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	_ = nc.SetDeadline(time.Now().Add(stormPatience)) // an error shows itself when it is read
	kind := s.kinds[n%len(s.kinds)]
	if s.tls && kind != Silent && kind != Garbage {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // nothing is told to it
	}
	if say := attacks[kind]; say != "" {
		_, _ = io.Copy(nc, strings.NewReader(say)) // it may be cut already
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(nc, 256), nil)
	switch {
	case ctx.Err() != nil: // held until the end
	case err != nil:
		s.cut.Add(1)
	default:
		_ = answer.Body.Close()
		s.answered.Add(1)
	}
}
