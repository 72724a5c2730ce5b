package transport

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

func TestRequestThatIsNoHandshakeIsAnswered(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, c := range []struct {
		method, path string
		status       int
		code         protocol.ErrorCode
	}{
		{http.MethodGet, "/ws/1", http.StatusUpgradeRequired, protocol.CodeUpgradeRequired},
		{http.MethodGet, "/ws/a%20b", http.StatusBadRequest, protocol.CodeInvalidUserID},
		{http.MethodGet, "/ws/%F0%9F%8E%AD", http.StatusBadRequest, protocol.CodeInvalidUserID},
		{http.MethodGet, "/ws/" + strings.Repeat("x", protocol.MaxUserIDBytes+1), http.StatusBadRequest, protocol.CodeInvalidUserID},
		{http.MethodPost, "/ws/1", http.StatusMethodNotAllowed, protocol.CodeMethodNotAllowed},
		{http.MethodDelete, "/ws/a%20b", http.StatusMethodNotAllowed, protocol.CodeMethodNotAllowed},
		{http.MethodGet, "/", http.StatusNotFound, protocol.CodeNotFound},
		{http.MethodGet, "/ws/", http.StatusNotFound, protocol.CodeNotFound},
		{http.MethodGet, "/ws/1/2", http.StatusNotFound, protocol.CodeNotFound},
	} {
		status, header, body := s.get(c.method, c.path, nil)
		var p problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Errorf("%s %s: body %q: %v", c.method, c.path, body, err)
		}
		if status != c.status || p.Code != c.code || p.Reason == "" || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %+v, want %d %s", c.method, c.path, status, p, c.status, c.code)
		}
	}
}

// A message from system is the service's or its operators', whatever a client speaks.
func TestNobodyConnectsAsSystem(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		for _, path := range []string{"/ws/system", "/ws/%73ystem"} {
			header := http.Header{
				"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
				"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
			}
			if subprotocol != "" {
				header.Set(subprotocolHeader, subprotocol)
			}
			status, _, answer := s.get(http.MethodGet, path, header)
			var body problem
			must(t, json.Unmarshal([]byte(answer), &body))
			if status != http.StatusBadRequest || body.Code != protocol.CodeInvalidUserID || !strings.Contains(body.Reason, "system is the sender of the service's own messages") {
				t.Errorf("%s %q: %d %s", path, subprotocol, status, answer)
			}
		}
	}
	s.connect("System") // is somebody else
	alice := s.connect("alice")
	alice.write(`{"type":1,"sender":"system","receiver":"bob","content":"believe me"}`)
	alice.refused(protocol.CodeSenderMismatch)
	alice.send("system", "for operators")
	eventually(t, "it is kept", func() bool { return s.system.Metrics().Kept == 1 })
	bob := s.connect("bob")
	_, err := s.system.Send(t.Context(), &protocol.Send{Sender: string(protocol.System), Receiver: "bob", Content: "maintenance"})
	must(t, err)
	if got := bob.read(); string(got.Sender) != `"system"` || got.Content != "maintenance" {
		t.Errorf("bob gets %+v", got)
	}
}

func TestBlockedUserIsRefusedAtTheUpgrade(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	bob := s.connect("bob")
	eventually(t, "bob's handshake is counted", func() bool { return s.server.Metrics().Upgraded == 1 })
	_, err := s.system.Block(t.Context(), actors.Block{User: "bob", Reason: "for operators' eyes"})
	must(t, err)
	bob.closed(protocol.CloseBlocked)
	for _, subprotocol := range []string{"", protocol.SubprotocolJSON, protocol.SubprotocolProto} {
		header := http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		if subprotocol != "" {
			header.Set(subprotocolHeader, subprotocol)
		}
		status, _, answer := s.get(http.MethodGet, "/ws/bob", header)
		var body problem
		must(t, json.Unmarshal([]byte(answer), &body))
		if status != http.StatusForbidden || body.Code != protocol.CodeBlocked || strings.Contains(answer, "eyes") {
			t.Errorf("%q: %d %s", subprotocol, status, answer)
		}
	}
	if m := s.server.Metrics(); m.Upgraded != 1 || m.Refused[protocol.CodeBlocked] != 3 {
		t.Errorf("%d upgraded and %d blocked are counted", m.Upgraded, m.Refused[protocol.CodeBlocked])
	}
	if m := s.server.Metrics(); m.BytesOut < 100 {
		t.Errorf("%d bytes are counted, fewer than the answer to a handshake has", m.BytesOut)
	}
	s.connect("alice")
	_, err = s.system.Unblock(t.Context(), "bob")
	must(t, err)
	s.connect("bob")
}

func TestHeaderThatIsTooLongIsRefused(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	status, _, _ := s.get(http.MethodGet, "/readyz", http.Header{"X-Long": {strings.Repeat("x", 64<<10)}})
	if status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", status)
	}
}

func TestOriginDecidesWhoMayConnect(t *testing.T) {
	s := start(t, Config{AllowOrigins: []string{"https://friend.example"}}, actors.Config{})
	_, port, err := net.SplitHostPort(s.address)
	must(t, err)
	for origin, allowed := range map[string]bool{
		"":                               true,
		"http://" + s.address:            !overTLS,
		"https://" + s.address:           true,
		"https://friend.example":         true,
		"http://friend.example":          false,
		"https://friend.example:444":     false,
		"https://friend.example.evil.eu": false,
		"https://evil.example":           false,
		"http://localhost:" + port:       false,
		"http://127.0.0.1:1":             false,
		"http://" + s.address + ".eu":    false,
		"null":                           false,
		"://":                            false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		p, answer, err := s.dial("1", header)
		switch {
		case allowed && err == nil:
			must(t, p.ws.Close())
		case !allowed && err != nil && answer.status == http.StatusForbidden:
		default:
			t.Errorf("origin %q: %v, %v", origin, answer, err)
		}
	}
}

func TestConnectionTooManyIsToldWhenToComeBack(t *testing.T) {
	s := start(t, Config{MaxConnections: 3}, actors.Config{})
	var peers []*peer
	for range 3 {
		peers = append(peers, s.connect("1"))
	}
	_, answer, err := s.dial("2", nil)
	if err == nil || answer.status != http.StatusServiceUnavailable {
		t.Fatalf("got %v, %v", answer, err)
	}
	if seconds, err := strconv.Atoi(answer.header.Get("Retry-After")); err != nil || seconds < 1 {
		t.Errorf("Retry-After is %q", answer.header.Get("Retry-After"))
	}
	must(t, peers[0].ws.Close())
	eventually(t, "there is room", func() bool { return s.server.connections.Load() == 2 })
	s.connect("2")
}

func TestSessionTooManyIsClosedInOrder(t *testing.T) {
	s := start(t, Config{}, actors.Config{MaxSessionsPerUser: 2})
	first, second := s.connect("1"), s.connect("1")
	third := s.raw("1")
	if reason := third.closed(protocol.CloseTryAgainLater); reason != string(protocol.CodeTooManySessions) {
		t.Errorf("the reason is %q", reason)
	}
	first.send("1", "to both")
	first.gets("to both")
	second.gets("to both")
}

func TestFrameThatCannotBeUnderstoodIsRefusedAndTheConnectionLives(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p := s.connect("1")
	for _, c := range []struct {
		frame string
		code  protocol.ErrorCode
	}{
		{``, protocol.CodeInvalidMessage},
		{`{`, protocol.CodeInvalidMessage},
		{`[]`, protocol.CodeInvalidMessage},
		{`{"type":1,"content":"no receiver"}`, protocol.CodeInvalidMessage},
		{`{"type":"1","receiver":2,"content":"x"}`, protocol.CodeInvalidMessage},
		{`{"type":1,"receiver":2,"content":"x"} more`, protocol.CodeInvalidMessage},
		{strings.Repeat("[", 60000), protocol.CodeInvalidMessage},
		{`{"type":1,"receiver":"a b","content":"x"}`, protocol.CodeInvalidUserID},
		{`{"type":1,"sender":2,"receiver":1,"content":"x"}`, protocol.CodeSenderMismatch},
		{`{"type":17}`, protocol.CodeUnknownType},
		{`{"type":2,"sender":1,"receiver":1,"content":"x"}`, protocol.CodeUnknownType},
		{`{"type":0}`, protocol.CodeUnknownType},
		{`{"type":5,"seq":1}`, protocol.CodeUnknownType},
	} {
		p.write(c.frame)
		f := p.read()
		if f.Type != protocol.TypeError || f.Code != c.code || f.Reason == "" {
			t.Errorf("%.60s got %+v, want ERROR %s", c.frame, f, c.code)
		}
	}
	p.write(`{"type":1,"sender":1,"receiver":1,"content":"still here"}`)
	p.gets("still here")
}

func TestSeedsOwnMessageArrives(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	one, two := s.connect("1"), s.connect("2")
	one.write(`{"type": 1, "content": "hello i am ws1", "receiver": 2, "send": 1}`)
	must(t, two.ws.SetReadDeadline(time.Now().Add(patience)))
	_, got, err := two.ws.ReadMessage()
	must(t, err)
	if want := `{"type":2,"sender":1,"receiver":2,"content":"hello i am ws1"}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The socket closes right behind a message: nothing tells the reader of it but the
// attempt to read on.
func TestPeerThatLeavesBehindItsLastWordIsNoticed(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	receiver := s.connect("1")
	for i := range 100 {
		p := s.raw("2")
		p.put(clientFrame(opText, send("1", fmt.Sprint(i))))
		must(t, p.Close())
		receiver.gets(fmt.Sprint(i))
		began := time.Now()
		eventually(t, "the session has ended", func() bool { return s.sessions() == 1 })
		if took := time.Since(began); took > patience/2 {
			t.Fatalf("it took %s: the reader has not noticed, the heartbeat has", took)
		}
	}
}

// In a path they mean something else, but for a client that writes them encoded.
func TestUsersCalledDotsCanConnect(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for encoded, user := range map[string]string{"%2E": ".", "%2e%2E": ".."} {
		p := s.raw(encoded)
		p.put(clientFrame(opText, send(user, "to myself")))
		if _, payload := p.reads(); !strings.Contains(string(payload), `"sender":"`+user+`"`) {
			t.Errorf("%s got %s", encoded, payload)
		}
	}
}

// Who has seen the answer to its handshake is reachable.
func TestConnectedMeansReachable(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	sender := s.connect("1")
	for i := range 200 {
		receiver, _, err := s.dial("2", nil)
		must(t, err)
		sender.send("2", fmt.Sprint(i))
		receiver.gets(fmt.Sprint(i))
		must(t, receiver.ws.Close())
		eventually(t, "the receiver has gone", func() bool { return s.sessions() == 1 })
	}
}

func TestEverySessionReceives(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	sender := s.connect("1")
	var all []*peer
	for range 5 {
		all = append(all, s.connect("2"))
	}
	for i := range 50 {
		sender.send("2", fmt.Sprint(i))
	}
	for _, p := range all {
		for i := range 50 {
			p.gets(fmt.Sprint(i))
		}
	}
}

func TestPingIsAnsweredInOrderWithItsPayload(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p := s.raw("1")
	for i := range 10 {
		p.put(clientFrame(opPing, strings.Repeat("p", i*125/9)))
	}
	for i := range 10 {
		if opcode, payload := p.reads(); opcode != opPong || len(payload) != i*125/9 {
			t.Fatalf("ping %d got %d with %d bytes", i, opcode, len(payload))
		}
	}
}

func TestCloseMessageEndsInOrder(t *testing.T) {
	s := start(t, Config{}, actors.Config{CloseTimeout: time.Hour})
	p, other := s.raw("1"), s.connect("1")
	p.put(clientFrame(opText, `{"type":3}`))
	p.put(clientFrame(opText, send("1", "after the end"))) // counts no more
	p.closed(protocol.CloseNormal)
	p.put(clientFrame(opClose, "\x03\xe8"))
	p.ended()
	eventually(t, "one session is left", func() bool { return s.sessions() == 1 })
	other.send("1", "only one ended")
	other.gets("only one ended")
}

func TestPeerThatDoesNotAnswerACloseIsCut(t *testing.T) {
	s := start(t, Config{}, actors.Config{CloseTimeout: 50 * time.Millisecond})
	p := s.raw("1")
	p.put(clientFrame(opText, `{"type":3}`))
	p.closed(protocol.CloseNormal)
	p.ended()
}

func TestOperatorClosesAUser(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	first, second, other := s.connect("1"), s.connect("1"), s.connect("2")
	n, err := s.system.CloseUser(t.Context(), "1", protocol.CloseByOperator, "bye")
	if n != 2 || err != nil {
		t.Errorf("closed %d sessions, %v", n, err)
	}
	first.closed(protocol.CloseByOperator)
	second.closed(protocol.CloseByOperator)
	eventually(t, "the sessions have gone", func() bool { return s.sessions() == 1 })
	other.send("1", "for later")
	s.connect("1").gets("for later")
}

// A session that closes does not take mail any more: what comes until the peer has
// answered the close frame is for the next session.
func TestClosingSessionSwallowsNoMail(t *testing.T) {
	s := start(t, Config{}, actors.Config{CloseTimeout: time.Hour})
	p, sender := s.raw("1"), s.connect("2")
	p.put(clientFrame(opText, `{"type":3}`))
	p.closed(protocol.CloseNormal) // and does not answer
	sender.send("1", "anybody?")
	s.connect("1").gets("anybody?")
}

// With a half of the sessions silent, a drain takes all its time and no more.
func TestShutdownIsPacedAndEnds(t *testing.T) {
	const drain = time.Second
	s := startWith(t, Config{}, actors.Config{}, drain, new(net.ListenConfig))
	var mu sync.Mutex
	var ended []time.Time
	var all sync.WaitGroup
	for i := range 50 {
		p := s.connect(fmt.Sprint(i))
		s.raw("silent")
		all.Go(func() {
			if _, err := p.tryRead(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("got %v, want close 1001", err)
			}
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, time.Now())
		})
		if i == 30 { // no more than a user may have
			break
		}
	}
	began := time.Now()
	s.stop()
	all.Wait()
	if spread := ended[len(ended)-1].Sub(ended[0]); spread < drain/4 {
		t.Errorf("all were closed within %s", spread)
	}
	must(t, <-s.served)
	if took := time.Since(began); took < drain*3/4 || took > drain+patience/4 {
		t.Errorf("Serve returned after %s", took)
	}
	if _, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.address); err == nil {
		t.Error("the port is still open")
	}
}

func TestServeReturnsAsSoonAsAllHaveGone(t *testing.T) {
	s := startWith(t, Config{}, actors.Config{}, time.Hour, new(net.ListenConfig))
	p := s.connect("1")
	s.stop()
	p.closed(protocol.CloseGoingAway)
	select {
	case err := <-s.served:
		must(t, err)
	case <-time.After(patience):
		t.Fatal("Serve waits for nobody")
	}
}

func TestNotReadyUntilServing(t *testing.T) {
	system, err := actors.New(actors.Config{Store: memory.New(memory.Config{})})
	must(t, err)
	defer func() { must(t, system.Stop(t.Context())) }()
	server, err := New(system, Config{})
	must(t, err)
	for path, status := range map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable, "/ws/1": http.StatusServiceUnavailable} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		request.Header = http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		answer := httptest.NewRecorder()
		server.http.Handler.ServeHTTP(answer, request)
		if answer.Code != status {
			t.Errorf("%s: %d, want %d", path, answer.Code, status)
		}
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for want, config := range map[string]Config{
		"MaxConnections": {MaxConnections: -1},
		"MaxPending":     {MaxPending: -1},
		"timeout":        {WriteTimeout: -1},
		"origin":         {AllowOrigins: []string{"friend.example"}},
	} {
		if _, err := New(nil, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", config, err)
		}
	}
}
