package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/protocol"
	"callboard/transport/identity/identitytest"
)

// limited starts a service with limits, and returns what gives it others.
func limited(t *testing.T, limits string) (url string, reload func(limits string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "c.yaml")
	service, url := serve(t, "--config", configured(t, file, "limits: {"+limits+"}\n"))
	times := 0
	return url, func(limits string) {
		t.Helper()
		times++
		configured(t, file, "limits: {"+limits+"}\n")
		service.signal(syscall.SIGHUP)
		service.stderr.has(t, fmt.Sprintf(`(?s)(msg="configuration reloaded".*){%d}`, times))
	}
}

func enters(t *testing.T, url, user, subprotocol string) *caller {
	t.Helper()
	c, got := (way{"", subprotocol}).tries(t, url, "/ws/"+user, "", nil)
	if c == nil {
		t.Fatal(got)
	}
	return c
}

// sendsMany sends so many messages as fast as it can. It says how many of them came before the first that was refused,
// and how often it was refused.
func sendsMany(t *testing.T, url string, messages int) (passed, refused int, closed string) {
	t.Helper()
	c := enters(t, url, "mallory", protocol.SubprotocolJSON)
	go func() { // ends with the connection
		for n := range messages {
			frame := c.codec.Append(nil, &protocol.Send{Id: fmt.Sprint(n), Receiver: "bob", Content: "x"})
			if c.ws.WriteMessage(1, frame) != nil {
				return
			}
		}
	}()
	for sent := 0; sent < messages; {
		m, why := c.hears()
		if why != "" {
			return passed, refused, why
		}
		switch got := m.(type) {
		case *protocol.Sent: // maybe not all before the end
			sent++
		case *protocol.Error:
			if got.Code != string(protocol.CodeRateLimited) || got.Retry == 0 {
				t.Fatalf("refused with %v", got)
			}
			if refused++; refused == 1 {
				n, err := strconv.Atoi(got.Id)
				must(t, err)
				passed = n
			}
		}
	}
	return messages, refused, ""
}

func TestSendsAreBoundedAsConfigured(t *testing.T) {
	for whose, sends := range map[string]string{
		"session": "sends: {session-rate: 1, session-burst: 5, slow-for: 0s, refusals: 256}",
		"user":    "sends: {user-rate: 1, user-burst: 5, slow-for: 0s, refusals: 256}",
	} {
		t.Run(whose, func(t *testing.T) {
			url, reload := limited(t, sends)
			begun := time.Now()

			passed, refused, closed := sendsMany(t, url, 400)

			took := time.Since(begun)
			if most := 6 + int(took/time.Second); passed < 5 || passed > most {
				t.Errorf("%d messages passed in %v, not the burst of 5 and 1 each second", passed, took)
			}
			if refused != 257 || closed != "4008 rate_limited" { // with the last word
				t.Errorf("%d messages were refused, and then it was closed with %q", refused, closed)
			}
			if took >= 10*time.Second {
				t.Errorf("it was slowed down for %v, as if nothing were configured", took)
			}

			reload(fmt.Sprintf("sends: {%s-rate: 0}", whose))
			if passed, refused, closed := sendsMany(t, url, 400); passed != 400 || refused != 0 {
				t.Errorf("without a bound %d messages passed and %d were refused: %q", passed, refused, closed)
			}
		})
	}
}

func TestSessionsAndFramesAreBoundedAsConfigured(t *testing.T) {
	url, reload := limited(t, "sessions-per-user: 2, frame-bytes: 8192")
	long := strings.Repeat("x", 9000)
	first := enters(t, url, "alice", "")
	_ = enters(t, url, "alice", "")
	if why := enters(t, url, "alice", "").closed(); why != "1013 too_many_sessions" {
		t.Errorf("a third session was closed with %q", why)
	}
	first.says(&protocol.Send{Receiver: "alice", Content: long})
	if why := first.closed(); !strings.HasPrefix(why, "1009 ") {
		t.Errorf("a frame of 9,000 bytes was closed with %q", why)
	}

	reload("sessions-per-user: 4, frame-bytes: 20000")
	limit := time.Now().Add(patience)
	for passed := 0; passed < 3; {
		c := enters(t, url, "alice", "")
		c.says(&protocol.Send{Receiver: "alice", Content: long})
		m, closed := c.hears()
		if got, ok := m.(*protocol.Receive); ok && got.Content == long {
			passed++
		} else if got, ok := m.(*protocol.Error); !ok || got.Code != "too_many_sessions" || time.Now().After(limit) { // the first may not have gone yet
			t.Fatalf("with more room it gets %v, %s", m, closed)
		}
	}
}

func TestPendingConnectionsAreBoundedAsConfigured(t *testing.T) {
	url, reload := limited(t, "pending: 1")
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
		must(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		return conn
	}
	asks := func(conn net.Conn) {
		t.Helper()
		_, err := conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
		must(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		must(t, err)
		must(t, response.Body.Close())
	}
	first, second := dial(), dial()
	if n, err := first.Read(make([]byte, 1)); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("with a second connection the first reads %d bytes and %v, and was not cut", n, err)
	}

	reload("pending: 2")
	asks(dial())
	asks(second)
}

func TestWhoShowsNoTokenGivesWayAsConfigured(t *testing.T) {
	keys := identitytest.Serve(t, nil)
	signer := identitytest.Ed(t, "1")
	keys.Put(identitytest.Set(t, signer))
	file := filepath.Join(t.TempDir(), "c.yaml")
	service, url, operator := signedIn(t, keys, "--config", configured(t, file, "limits: {pending: 2}\n"))
	service.stderr.has(t, `msg="issuer's keys fetched"`) // or nobody would be let in yet
	dialer := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: []string{protocol.SubprotocolJSON}}
	silent := func() *websocket.Conn {
		t.Helper()
		ws, answer, err := dialer.DialContext(t.Context(), url+"/ws", nil)
		must(t, err)
		must(t, answer.Body.Close())
		t.Cleanup(func() { _ = ws.Close() })
		return ws
	}
	enters := func() {
		t.Helper()
		if _, got := (way{"connect", protocol.SubprotocolJSON}).tries(t, url, "/ws", signer.Token(t, identitytest.Claims("alice")), nil); got != "in" {
			t.Errorf("who shows a token in CONNECT: %s", got)
		}
	}
	oldest, younger := silent(), silent()
	enters()
	isCut := func(ws *websocket.Conn) error { // whose time was over would be told so
		must(t, ws.SetReadDeadline(time.Now().Add(patience)))
		_, _, err := ws.ReadMessage()
		end, told := errors.AsType[*websocket.CloseError](err)
		if told = told && end.Code != websocket.CloseAbnormalClosure; told || err == nil || os.IsTimeout(err) {
			return fmt.Errorf("it ends with %w", err)
		}
		return nil
	}
	if err := isCut(oldest); err != nil {
		t.Errorf("the oldest is not cut: %v", err)
	}

	configured(t, file, "limits: {pending: 1}\n")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="configuration reloaded"`)
	enters()
	if err := isCut(younger); err != nil {
		t.Errorf("with a smaller bound the next is not cut: %v", err)
	}
	counted := func(f families) float64 { return f.value(t, "callboard_limits_hit_total", "limit", "too_many_pending") }
	if n := counted(scrapeUntil(t, operator, func(f families) bool { return counted(f) >= 2 })); n != 2 {
		t.Errorf("%v are counted", n)
	}
}

// askedFrom is how many connections are welcome before one is turned away, or 100.
func askedFrom(t *testing.T, url, address string) int {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	for n := range 100 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http"+strings.TrimPrefix(url, "ws")+"/ws/1", http.NoBody)
		must(t, err)
		request.Header.Set("X-Forwarded-For", address)
		response, err := client.Do(request)
		must(t, err)
		must(t, response.Body.Close())
		switch response.StatusCode {
		case http.StatusTooManyRequests:
			return n
		case http.StatusUpgradeRequired:
		default:
			t.Fatal(response.Status)
		}
	}
	return 100
}

func TestAttemptsAreBoundedAsConfigured(t *testing.T) {
	url, reload := limited(t, "attempts: {rate: 0, exempt: [10.0.0.0/8]}") // who waits for it to be ready asks too
	begun := time.Now()
	reload("attempts: {rate: 1, burst: 10, exempt: [10.0.0.0/8]}")
	if got, most := askedFrom(t, url, "192.0.2.1"), 11+int(time.Since(begun)/time.Second); got < 5 || got > most {
		t.Errorf("%d were let in, not the burst of 10 and 1 each second", got)
	}
	reload("attempts: {rate: 1, burst: 10, exempt: [127.0.0.0/8]}")
	if got := askedFrom(t, url, "192.0.2.1"); got != 100 {
		t.Errorf("%d of who is exempt were let in", got)
	}
	reload("attempts: {rate: 1, burst: 10, proxies: [127.0.0.1]}")
	for _, address := range []string{"192.0.2.1", "192.0.2.2"} {
		if got := askedFrom(t, url, address); got < 10 || got == 100 {
			t.Errorf("%d from %s were let in, not the burst of 10", got, address)
		}
	}
	reload("attempts: {rate: 0, proxies: [127.0.0.1]}")
	if got := askedFrom(t, url, "192.0.2.1"); got != 100 {
		t.Errorf("without a bound %d were let in", got)
	}
}
