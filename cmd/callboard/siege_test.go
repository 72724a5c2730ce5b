package main_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
)

// siege is one row in one dialect.
type siege struct {
	t     *testing.T
	url   string
	codec protocol.Codec
	user  string // of this dialect alone
	from  string // an address that this dialect alone comes from, and that is not exempt
}

func exactly(n int) [2]float64 { return [2]float64{float64(n), float64(n)} }

// refusal is what is answered in place of a WebSocket.
type refusal struct {
	status int
	code   string
	after  int // Retry-After, in seconds
}

// asks connects, or is refused; neither if there is no answer at all.
func (s *siege) asks(user string) (*caller, *refusal) {
	s.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(s.from)}}
	dialer := websocket.Dialer{HandshakeTimeout: patience, NetDialContext: d.DialContext}
	if s.codec != protocol.Seed {
		dialer.Subprotocols = []string{s.codec.String()}
	}
	ws, answer, err := dialer.DialContext(s.t.Context(), s.url+"/ws/"+user, nil)
	if answer == nil {
		return nil, nil
	}
	defer answer.Body.Close()
	if err != nil {
		return nil, s.refusal(answer)
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	return &caller{s.t, ws, s.codec}, nil
}

// enters connects a device of the user, and returns its limits, if the dialect tells them.
func (s *siege) enters(device string) (*caller, *protocol.Limits) {
	s.t.Helper()
	c, _ := s.asks(s.user)
	if c == nil {
		s.t.Fatalf("%s is not let in", s.user)
	}
	if s.codec == protocol.Seed {
		return c, nil
	}
	c.says(&protocol.Connect{Device: device})
	m, closed := c.hears()
	hello, ok := m.(*protocol.Connect)
	if !ok {
		s.t.Fatalf("%v %s comes and no CONNECT", m, closed)
	}
	return c, hello.Limits
}

func (s *siege) refusal(answer *http.Response) *refusal {
	s.t.Helper()
	r := &refusal{status: answer.StatusCode}
	var told struct{ Code, Reason string }
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil || told.Reason == "" {
		s.t.Errorf("%q: answered with %s %+v: %v", s.codec, answer.Status, told, err)
	}
	r.code = told.Code
	r.after, _ = strconv.Atoi(answer.Header.Get("Retry-After"))
	return r
}

// floods sends n messages. They have room on the way: nobody need read meanwhile.
func (s *siege) floods(c *caller, device string, n int) {
	for i := range n {
		frame := s.codec.Append(nil, &protocol.Send{Receiver: "carol", Content: "x", Id: fmt.Sprint(device, i)})
		if c.ws.WriteMessage(s.opcode(), frame) != nil {
			return // closed already
		}
	}
}

func (s *siege) opcode() int {
	if s.codec == protocol.Proto {
		return websocket.BinaryMessage
	}
	return websocket.TextMessage
}

// refusals reads all that comes until the session is closed, and holds it to what a client over its rate is told.
func (s *siege) refusals(c *caller) (n int) {
	s.t.Helper()
	var last *protocol.Error
	for {
		m, closed := c.hears()
		if closed != "" {
			if closed != "4008 rate_limited" || last == nil || last.Id != "" || last.Retry < 1000 {
				s.t.Errorf("%q: after %v it is closed with %q", s.codec, last, closed)
			}
			_ = c.ws.Close()
			return n
		}
		if e, refused := m.(*protocol.Error); refused {
			last = e
			if n++; e.Code != "rate_limited" || e.Retry == 0 || e.Retry > 5000 {
				s.t.Fatalf("%q: refused with %v", s.codec, e)
			}
		}
	}
}

// pressesOn: slowed down first, then refused, then closed.
func (s *siege) pressesOn() [2]float64 {
	c, _ := s.enters("d")
	s.floods(c, "d", 400)
	if n := s.refusals(c); n != 257 {
		s.t.Errorf("%q: refused %d times", s.codec, n)
	}
	return exactly(257)
}

// sendsOverTwoSessions: both draw from one stock.
func (s *siege) sendsOverTwoSessions() [2]float64 {
	phone, _ := s.enters("phone")
	desk, _ := s.enters("desk")
	began := time.Now()
	s.floods(phone, "phone", 100)
	s.floods(desk, "desk", 100)
	refused := s.refused(phone) + s.refused(desk)
	if most := 40 + int(time.Since(began)/(25*time.Millisecond)) + 1; 200-refused > most {
		s.t.Errorf("%q: %d messages of one user passed, want %d at most", s.codec, 200-refused, most)
	}
	s.floods(phone, "again", 600)
	return exactly(refused + s.refusals(phone))
}

// refused is how many messages are refused of those that a session has sent. A frame that is none comes behind them, and so does its
// refusal; the seed's dialect says nothing of those that pass.
func (s *siege) refused(c *caller) (n int) {
	s.t.Helper()
	must(s.t, c.ws.WriteMessage(s.opcode(), []byte("{")))
	for {
		m, closed := c.hears()
		if closed != "" {
			s.t.Fatalf("%q: closed with %s", s.codec, closed)
		}
		switch e, ok := m.(*protocol.Error); {
		case ok && e.Code != "rate_limited":
			return n
		case ok && e.Retry == 0:
			s.t.Fatalf("%q: refused with %v", s.codec, e)
		case ok:
			n++
		}
	}
}

// asksTooOften: some connections, some answers, and then nothing.
func (s *siege) asksTooOften() [2]float64 {
	const enough = 50
	in, turnedAway, cut := 0, 0, 0
	var first *caller
	for n := 0; cut == 0 && n < enough; n++ {
		switch c, answer := s.asks(s.user); {
		case c != nil:
			first = cmp.Or(first, c)
			in++
		case answer == nil:
			cut++
		default:
			turnedAway++
			if want := (refusal{http.StatusTooManyRequests, "too_many_attempts", 1}); *answer != want {
				s.t.Errorf("%q: answered with %v", s.codec, *answer)
			}
		}
	}
	if in < 3 || turnedAway < 3 || cut != 1 {
		s.t.Errorf("%q: %d are let in, %d turned away, %d cut", s.codec, in, turnedAway, cut)
	}
	if s.codec == protocol.Seed {
		first.toMyself(s.user, "still here")
	}
	return exactly(turnedAway + cut)
}

func (s *siege) opensTooManySessions() [2]float64 {
	s.enters("phone")
	s.enters("desk")
	third, _ := s.asks(s.user)
	if s.codec != protocol.Seed {
		third.says(&protocol.Connect{Device: "third"})
	}
	m, _ := third.hears()
	if e, ok := m.(*protocol.Error); !ok || e.Code != "too_many_sessions" || e.Retry != 5000 {
		s.t.Errorf("%q: %v comes", s.codec, m)
	}
	if why := third.closed(); why != "1013 too_many_sessions" {
		s.t.Errorf("%q: closed with %s", s.codec, why)
	}
	return exactly(1)
}

func (s *siege) findsNoRoom() [2]float64 {
	c, answer := s.asks(s.user)
	if c != nil || answer == nil {
		s.t.Fatalf("%q: let in, or no answer", s.codec)
	}
	if want := (refusal{http.StatusServiceUnavailable, "too_many_connections", 5}); *answer != want {
		s.t.Errorf("%q: answered with %v", s.codec, *answer)
	}
	return exactly(1)
}

// leavesHandshakesHalfOpen: those that are left longest give way to those who mean it.
func (s *siege) leavesHandshakesHalfOpen() [2]float64 {
	var half []net.Conn
	address := strings.TrimPrefix(s.url, "ws://")
	for range 6 {
		nc, err := net.Dial("tcp", address)
		must(s.t, err)
		s.t.Cleanup(func() { _ = nc.Close() })
		_, err = io.WriteString(nc, "GET /ws/"+s.user+" HTTP/1.1\r\nHost: callboard\r\n")
		must(s.t, err)
		half = append(half, nc)
	}
	c, _ := s.enters("d")
	defer c.ws.Close()
	oldest, youngest := half[0], half[5]
	must(s.t, oldest.SetReadDeadline(time.Now().Add(patience)))
	if n, err := oldest.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
		s.t.Errorf("%q: the oldest is not cut: %d, %v", s.codec, n, err)
	}
	_, err := io.WriteString(youngest, "\r\n")
	must(s.t, err)
	must(s.t, youngest.SetReadDeadline(time.Now().Add(patience)))
	answer := make([]byte, 12)
	if _, err := io.ReadFull(youngest, answer); string(answer) != "HTTP/1.1 426" {
		s.t.Errorf("%q: the youngest has %q, %v", s.codec, answer, err)
	}
	return [2]float64{1, 7}
}

func (s *siege) sendsALongFrame() [2]float64 {
	c, limits := s.enters("d")
	if s.codec != protocol.Seed && limits.GetFrameBytes() != 8192 {
		s.t.Errorf("%q: told %v", s.codec, limits)
	}
	empty := len(s.codec.Append(nil, &protocol.Send{Id: "1", Receiver: s.user, Content: strings.Repeat("x", 8000)})) - 8000
	longest := strings.Repeat("x", 8192-empty)
	c.toMyself(s.user, "first")
	c.says(&protocol.Send{Id: "2", Receiver: s.user, Content: longest})
	for got := ""; got != longest; {
		m, closed := c.hears()
		if closed != "" {
			s.t.Fatalf("%q: the longest frame ends the session: %s", s.codec, closed)
		}
		if r, ok := m.(*protocol.Receive); ok {
			got = r.Content
		}
	}
	c.says(&protocol.Send{Id: "3", Receiver: s.user, Content: longest + "x"})
	if why := c.closed(); why != "1009 too_large" {
		s.t.Errorf("%q: closed with %s", s.codec, why)
	}
	return exactly(1)
}

func (s *siege) fillsAnInbox() [2]float64 {
	c, _ := s.enters("d")
	for n := range 10 {
		c.says(&protocol.Send{Id: strconv.Itoa(n), Receiver: "away-" + s.user, Content: "x"})
	}
	for {
		m, closed := c.hears()
		if closed != "" {
			s.t.Fatalf("%q: closed with %s", s.codec, closed)
		}
		if e, ok := m.(*protocol.Error); ok {
			if e.Code != "inbox_full" || e.Id != "9" || e.Retry != 0 {
				s.t.Errorf("%q: refused with %v", s.codec, e)
			}
			return exactly(1)
		}
	}
}
