package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"callboard/protocol"
)

// An Attack is a kind of handshake that comes to nothing.
type Attack string

// The kinds.
const (
	Silent  Attack = "silent"  // connects and says nothing
	Half    Attack = "half"    // half a request, and no more
	Forged  Attack = "forged"  // a request with a token that somebody else's key has signed
	Mute    Attack = "mute"    // upgrades to version 1 without a token, and sends no CONNECT
	Garbage Attack = "garbage" // what is no HTTP
)

// Attacks are all kinds there are.
var Attacks = []Attack{Silent, Half, Forged, Mute, Garbage}

// handshake is a request that nothing is wrong with. Its key is the sample of RFC 6455, section 1.3.
const handshake = "GET /ws/1 HTTP/1.1\r\nHost: callboard\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// lines is what each kind says; token is forged.
func lines(token string) map[Attack]string {
	return map[Attack]string{
		Silent:  "",
		Half:    "GET /ws/1 HTTP/1.1\r\nHost: callboard\r\nX-Half: ",
		Forged:  handshake + "Authorization: Bearer " + token + "\r\n\r\n",
		Mute:    handshake + "Sec-WebSocket-Protocol: " + protocol.SubprotocolJSON + "\r\n\r\n",
		Garbage: "\x16\x03\x01 this is no request \r\n\r\n",
	}
}

const (
	// maxOpen is how many connections of a storm are open at once. What becomes due beyond it has failed.
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
	lines   map[Attack]string
	tls     bool
	next    int

	open  atomic.Int64
	fates map[Attack]*fate // of the kinds
}

func newStorm(address string, kinds []Attack) (*storm, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	token, err := forge()
	if err != nil {
		return nil, err
	}
	s := &storm{address: u.Host, kinds: kinds, lines: lines(token), tls: u.Scheme == "wss", fates: map[Attack]*fate{}}
	for _, kind := range kinds {
		s.fates[kind] = &fate{}
	}
	return s, nil
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
				n := s.next
				s.next++
				if s.open.Load() >= maxOpen {
					s.fates[s.kinds[n%len(s.kinds)]].failed.Add(1)
					continue
				}
				s.open.Add(1)
				all.Go(func() { s.attempt(ctx, n); s.open.Add(-1) })
			}
		}
	})
	return func() { cancel(); all.Wait() }
}

// attempt is one handshake, held until the service ends it.
func (s *storm) attempt(ctx context.Context, n int) {
	kind := s.kinds[n%len(s.kinds)]
	fate := s.fates[kind]
	d := net.Dialer{Timeout: dialTimeout}
	if host, _, _ := net.SplitHostPort(s.address); host == "127.0.0.1" || host == "localhost" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%stormSources))}
		d.Control = latePort
	}
	nc, err := d.DialContext(ctx, "tcp", s.address)
	if err != nil && ctx.Err() != nil {
		return // the storm is over: there was no attempt
	}
	fate.made.Add(1)
	if err != nil {
		fate.failed.Add(1)
		return
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	_ = nc.SetDeadline(time.Now().Add(stormPatience)) // an error shows itself when it is read
	if s.tls && kind != Silent && kind != Garbage {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) //nolint:gosec // nothing is told to it
	}
	if say := s.lines[kind]; say != "" {
		_, _ = io.Copy(nc, strings.NewReader(say)) // it may be cut already
	}
	in := bufio.NewReaderSize(nc, 256)
	answer, err := http.ReadResponse(in, nil)
	if err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusSwitchingProtocols && kind == Mute {
			err = closed(in)
		}
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		fate.kept.Add(1)
	case err != nil:
		fate.cut.Add(1)
	case answer.StatusCode == http.StatusSwitchingProtocols:
		fate.letIn.Add(1)
	default:
		fate.answered.Add(1)
	}
}

// closed reads what the service says until it closes the connection, which the error tells.
func closed(in *bufio.Reader) error {
	const finalClose = 0x88 // RFC 6455, section 5.2
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		if head[0] == finalClose {
			return io.EOF
		}
		length := int64(head[1])
		if length == 126 {
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return err
			}
			length = int64(binary.BigEndian.Uint16(head[:]))
		}
		if _, err := io.CopyN(io.Discard, in, length); err != nil {
			return err
		}
	}
}
