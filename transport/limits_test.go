package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/identity/identitytest"
)

// dialects are all that a client may speak.
var dialects = []protocol.Codec{protocol.Seed, protocol.JSON, protocol.Proto}

// enters connects a user and, in version 1, says CONNECT.
func (s *service) enters(user string, codec protocol.Codec) *rawPeer {
	s.t.Helper()
	if codec == protocol.Seed {
		return s.raw(user)
	}
	p := s.speak(user, codec)
	p.says(codec, &protocol.Connect{})
	if _, ok := p.hears(codec).(*protocol.Connect); !ok {
		s.t.Fatal("no CONNECT comes")
	}
	return p
}

// others are a pair of users who send to each other all the time, each message in time.
func (s *service) others(do func()) {
	s.t.Helper()
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- pairWorks(s, stop) }()
	do()
	close(stop)
	must(s.t, <-done)
}

// pairWorks sends to and fro until it is told to stop. An error says that something did not come in time.
func pairWorks(s *service, stop <-chan struct{}) error {
	olga, _, err := s.dial("olga", nil)
	if err != nil {
		return err
	}
	defer olga.ws.Close()
	tick := time.NewTicker(60 * time.Millisecond) // slower than any rate here
	defer tick.Stop()
	for n := 0; ; n++ {
		began := time.Now()
		if err := olga.ws.WriteMessage(1, []byte(send("olga", strconv.Itoa(n)))); err != nil {
			return err
		}
		got, err := olga.tryRead()
		if err != nil || got.Content != strconv.Itoa(n) {
			return fmt.Errorf("message %d: %+v, %w", n, got, err)
		}
		if took := time.Since(began); took > patience/4 {
			return fmt.Errorf("message %d took %s", n, took)
		}
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
	}
}

// The three steps over real sockets, in every dialect: what is above the rate is slowed down, refused with a hint, and then
// the session is closed; and others notice nothing.
func TestRateIsKeptInEveryDialect(t *testing.T) {
	for _, codec := range dialects {
		t.Run(codec.String()+"seed"[min(len(codec.String()), 4):], func(t *testing.T) {
			const each, burst, refused = 50 * time.Millisecond, 200, 300 // who cannot go on for five seconds has rested
			const rest, all = uint32(each / time.Millisecond * burst / 2), uint32(each / time.Millisecond * burst)
			rates := actors.Rates{Session: actors.Rate{Every: each, Burst: burst}, SlowFor: 500 * time.Millisecond, MaxRefusals: refused}
			s := start(t, Config{}, actors.Config{Rates: rates})
			s.others(func() {
				p := s.enters("mallory", codec)
				began := time.Now()
				go func() { // ends with the connection
					for n := range 2 * (burst + refused) {
						if _, err := p.Write(clientFrame(opcodeOf(codec), string(codec.Append(nil, &protocol.Send{Receiver: "carol", Content: "x", Id: fmt.Sprint(n)})))); err != nil {
							return
						}
					}
				}()
				refusals, last := 0, (*protocol.Error)(nil)
				for {
					opcode, payload := p.reads()
					if opcode == opClose {
						if code := protocol.CloseCode(payload[0])<<8 | protocol.CloseCode(payload[1]); code != protocol.CloseRateLimited || string(payload[2:]) != "rate_limited" {
							t.Fatalf("closed with %v %q", code, payload[2:])
						}
						break
					}
					m, err := codec.Decode(payload, nil)
					must(t, err)
					e, ok := m.(*protocol.Error)
					if !ok {
						continue
					}
					if refusals++; refusals == 1 && time.Since(began) < 500*time.Millisecond {
						t.Errorf("refused after %s", time.Since(began))
					}
					if e.Code != string(protocol.CodeRateLimited) || e.Retry == 0 || e.Retry > all {
						t.Fatalf("refused with %v", e)
					}
					last = e
				}
				if refusals != refused+1 || last.Id != "" || last.Retry <= rest {
					t.Errorf("refused %d times, the last with %v", refusals, last)
				}
				if m := s.system.Metrics(); m.Limits[actors.LimitSlowed] == 0 || m.Limits[protocol.CodeRateLimited] != refused+1 {
					t.Errorf("counted: %v", m.Limits)
				}
				eventually(t, "what was slowed down is kept", func() bool {
					carol, err := s.system.LookUser(t.Context(), "carol")
					must(t, err)
					return carol.Inbox.Head > burst
				})
			})
		})
	}
}

// What is reloaded holds for sessions to come; those that there are keep what they were told.
func TestFrameLimitIsToldKeptAndReloaded(t *testing.T) {
	for _, codec := range dialects {
		t.Run(codec.String()+"seed"[min(len(codec.String()), 4):], func(t *testing.T) {
			s := start(t, Config{}, actors.Config{MaxFrameBytes: 10_000})
			reload := func(bytes int) error {
				return s.system.Reload(actors.Limits{
					MaxInboxEntries: 100, MaxInboxBytes: 1 << 20, ForgetDevicesAfter: time.Hour, StuckAfter: time.Minute, MaxDeadletters: 1,
					MaxDeadletterBytes: 1 << 20, MaxSessionsPerUser: 32, MaxFrameBytes: bytes, Rates: actors.Rates{MaxRefusals: 1},
				})
			}
			s.others(func() {
				early := s.goesUpTo(codec, 10_000)
				must(t, reload(9000))
				p := s.goesUpTo(codec, 9000)
				p.says(codec, framed(codec, 9001))
				p.closed(protocol.CloseTooBig)
				if reload(100) == nil {
					t.Error("a limit is taken with which no token fits into a CONNECT")
				}
				early.says(codec, framed(codec, 10_000))
				early.stillHere()
				early.says(codec, framed(codec, 10_001))
				early.closed(protocol.CloseTooBig)

				p = s.enters("mallory", codec)
				p.put(fragment(false, opcodeOf(codec), strings.Repeat("x", 8990)))
				p.put(fragment(true, opContinuation, strings.Repeat("x", 11)))
				p.closed(protocol.CloseTooBig)
			})
			if n := s.system.Metrics().Limits[protocol.CodeTooLarge]; n != 3 {
				t.Errorf("%d are counted", n)
			}
		})
	}
}

// goesUpTo is a session that is told the limit, if its dialect has a place for it, and has sent a frame of that many bytes.
func (s *service) goesUpTo(codec protocol.Codec, bytes int) *rawPeer {
	s.t.Helper()
	var p *rawPeer
	if codec == protocol.Seed {
		p = s.raw("mallory")
	} else {
		p = s.speak("mallory", codec)
		p.says(codec, &protocol.Connect{Device: fmt.Sprint("of", bytes)})
		if c, ok := p.hears(codec).(*protocol.Connect); !ok || c.GetLimits().GetFrameBytes() != uint32(bytes) {
			s.t.Fatalf("told %v, want %d", c, bytes)
		}
	}
	p.says(codec, framed(codec, bytes))
	p.stillHere()
	return p
}

// framed is a SEND whose frame has so many bytes, thousands of them.
func framed(codec protocol.Codec, bytes int) *protocol.Send {
	m := &protocol.Send{Receiver: "carol", Id: "1", Content: strings.Repeat("x", 8000)}
	m.Content += strings.Repeat("x", bytes-len(codec.Append(nil, m)))
	return m
}

// stillHere waits until all that was sent has been read.
func (p *rawPeer) stillHere() {
	p.put(clientFrame(opPing, "still here"))
	for opcode := byte(0); opcode != opPong; {
		opcode, _ = p.reads()
	}
}

func TestAddressThatAsksTooOftenIsTurnedAwayAndThenCut(t *testing.T) {
	s := start(t, Config{Attempts: actors.Rate{Every: time.Hour, Burst: 4}}, actors.Config{})
	var peers []*peer
	for range 4 {
		peers = append(peers, s.connect("1"))
	}
	for range 4 {
		_, got, err := s.dial("1", nil)
		after, _ := strconv.Atoi(got.header.Get("Retry-After"))
		if err == nil || got.status != http.StatusTooManyRequests || after < 3500 {
			t.Fatalf("got %v, %v, want 429 and when to come back", got, err)
		}
	}
	for range 3 {
		if _, got, err := s.dial("1", nil); err == nil || got.status != 0 {
			t.Fatalf("got %v, %v, want nothing at all", got, err)
		}
	}
	if m, n := s.system.Metrics().Limits[protocol.CodeTooManyAttempts], s.server.Metrics().Refused[protocol.CodeTooManyAttempts]; m != 7 || n != 4 {
		t.Errorf("%d are counted, %d as refused", m, n)
	}
	for n, p := range peers { // who is here notices nothing
		p.send("1", fmt.Sprint(n))
		for _, other := range peers {
			other.gets(fmt.Sprint(n))
		}
	}
	must(t, s.server.Reload(Live{MaxConnections: 100, Attempts: actors.Rate{Every: time.Hour, Burst: 4}, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}))
	must(t, s.connect("1").ws.Close())
	must(t, s.server.Reload(Live{MaxConnections: 100}))
	must(t, s.connect("1").ws.Close())
	for _, wrong := range []Live{
		{MaxConnections: 1, Attempts: actors.Rate{Every: time.Second}}, {MaxConnections: 1, Attempts: actors.Rate{Every: -1, Burst: 1}}, {MaxConnections: 1, MaxPending: -1},
	} {
		if s.server.Reload(wrong) == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// Each request that is refused for another reason counts too, however many a connection makes.
func TestFurtherRequestsOfAConnectionCount(t *testing.T) {
	s := start(t, Config{Attempts: actors.Rate{Every: time.Hour, Burst: 3}}, actors.Config{})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS()}, Timeout: patience}
	defer client.CloseIdleConnections()
	for n, want := range []int{http.StatusUpgradeRequired, http.StatusUpgradeRequired, http.StatusUpgradeRequired, http.StatusTooManyRequests} {
		request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, scheme("http")+"://"+s.address+"/ws/1", http.NoBody)
		must(t, err)
		response, err := client.Do(request)
		must(t, err)
		var problem struct{ Code, Reason string }
		must(t, json.NewDecoder(response.Body).Decode(&problem))
		must(t, response.Body.Close())
		if response.StatusCode != want || want == http.StatusTooManyRequests && (problem.Code != "too_many_attempts" || !response.Close) {
			t.Errorf("request %d: %s, %+v", n+1, response.Status, problem)
		}
	}
}

func TestClientsBehindAProxyAreToldApart(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	s := start(t, Config{Attempts: actors.Rate{Every: time.Hour, Burst: 2}, Proxies: local, Exempt: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}, actors.Config{})
	ask := func(from string) int {
		p, got, err := s.dial("1", http.Header{"X-Forwarded-For": {"198.51.100.77, " + from}})
		if err == nil {
			_ = p.ws.Close()
			return http.StatusSwitchingProtocols
		}
		return got.status
	}
	for range 2 {
		for _, from := range []string{"192.0.2.1", "2001:db8::1"} {
			if got := ask(from); got != http.StatusSwitchingProtocols {
				t.Fatalf("%s: %d", from, got)
			}
		}
	}
	for range 10 { // a proxy's connection is never cut
		for _, from := range []string{"192.0.2.1", "2001:db8::2"} {
			if got := ask(from); got != http.StatusTooManyRequests {
				t.Fatalf("%s: %d", from, got)
			}
		}
		if got := ask("203.0.113.9"); got != http.StatusSwitchingProtocols {
			t.Fatalf("who is exempt: %d", got)
		}
	}
	for n, want := range []int{http.StatusSwitchingProtocols, http.StatusSwitchingProtocols, http.StatusTooManyRequests} { // some add the port
		for _, from := range []string{"192.0.2.7:50", "[2001:db8:7::1]:50"} {
			if got := ask(strings.Replace(from, "50", fmt.Sprint(50+n), 1)); got != want {
				t.Errorf("%s, %d: %d, want %d", from, n, got, want)
			}
		}
	}
	for n, want := range []int{http.StatusSwitchingProtocols, http.StatusSwitchingProtocols, http.StatusTooManyRequests} {
		if got := ask([]string{"unknown", "127.0.0.1, unknown", ""}[n]); got != want { // the proxy's own, together
			t.Errorf("who is not named, %d: %d, want %d", n, got, want)
		}
	}
}

// Who watches is told whom a limit is about, and not which proxy all of them come through; so is who reads the log.
func TestLimitsNameWhoIsBehindAProxy(t *testing.T) {
	ed := identitytest.Ed(t, "")
	s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{
		MaxConnections: 1, HandshakeTimeout: 2 * patience,
		Attempts: actors.Rate{Every: time.Hour, Burst: 2}, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	}, actors.Config{})
	watch, err := s.system.Watch(actors.EventFilter{Kinds: []actors.EventKind{actors.LimitHit}})
	must(t, err)
	defer watch.Stop()
	ask := func(from, token string) {
		t.Helper()
		header := http.Header{"X-Forwarded-For": {from}}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		} else {
			header.Set(subprotocolHeader, protocol.SubprotocolJSON)
		}
		if p, _, err := s.dial("alice", header); err == nil {
			t.Cleanup(func() { _ = p.ws.Close() })
		}
	}
	told := func(word protocol.ErrorCode, remote string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		e, _, err := watch.Next(ctx)
		must(t, err)
		if e.Code != word || e.Remote != remote {
			t.Errorf("told %s of %q, want %s of %q", e.Code, e.Remote, word, remote)
		}
	}
	ask("192.0.2.1:99", "") // has the only place
	ask("192.0.2.2", ed.Token(t, identitytest.Claims("alice")))
	told(protocol.CodeTooManyConnections, "192.0.2.2")
	ask("192.0.2.2", ed.Token(t, identitytest.Claims("alice")))
	told(protocol.CodeTooManyConnections, "192.0.2.2")
	ask("192.0.2.2", ed.Token(t, identitytest.Claims("alice")))
	told(protocol.CodeTooManyAttempts, "192.0.2.2")
	eventually(t, "nobody else is there", func() bool { return s.server.pending.number() == 0 })
	open := Live{MaxConnections: 9, MaxPending: 1, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	must(t, s.server.Reload(open))
	ask("2001:db8::2", "")
	told(actors.LimitPending, "192.0.2.1")
	open.MaxPending = 0
	must(t, s.server.Reload(open))
	ask("192.0.2.3", "no.such.token")
	if log := s.log.String(); !strings.Contains(log, `"token refused","remote":"192.0.2.3"`) {
		t.Errorf("the log does not name who showed a wrong token: %s", log)
	}
}

// Whoever looks at a session, at events, at closes and at the log is told who the client is, and not which proxy it came
// through. That is believed of the operator's proxies alone.
func TestOperatorsSeeWhoIsBehindAProxy(t *testing.T) {
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	ed := identitytest.Ed(t, "")
	bearer := http.Header{"Authorization": {"Bearer " + ed.Token(t, identitytest.Claims("alice"))}}
	connect := fmt.Sprintf(`{"type":0,"token":%q}`, ed.Token(t, identitytest.Claims("alice")))
	for name, test := range map[string]struct {
		proxies     []netip.Prefix
		header      http.Header
		subprotocol []string
		named       string
		want        string // how it begins
	}{
		"seed":              {local, bearer, nil, "203.0.113.5, 192.0.2.1:99", "192.0.2.1"},
		"version 1":         {local, bearer, []string{protocol.SubprotocolJSON}, "203.0.113.5, 2001:db8::7", "2001:db8::7"},
		"token in CONNECT":  {local, nil, []string{protocol.SubprotocolJSON}, "192.0.2.3, 127.0.0.1", "192.0.2.3"},
		"names nobody":      {local, bearer, nil, "203.0.113.5, unknown", "127.0.0.1:"},
		"no proxy of ours":  {nil, bearer, nil, "192.0.2.5", "127.0.0.1:"},
		"another's network": {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, bearer, nil, "203.0.113.5, 192.0.2.6", "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := guarded(t, fromFile(t, identitytest.Set(t, ed)), Config{Proxies: test.proxies}, actors.Config{})
			watch, err := s.system.Watch(actors.EventFilter{Kinds: []actors.EventKind{actors.SessionOpened, actors.SessionClosed}})
			must(t, err)
			defer watch.Stop()
			is := func(where, remote string) {
				t.Helper()
				if remote != test.want && (!strings.HasSuffix(test.want, ":") || !strings.HasPrefix(remote, test.want)) {
					t.Errorf("%s names %q, want %q", where, remote, test.want)
				}
			}
			happens := func(kind actors.EventKind) {
				t.Helper()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				e, _, err := watch.Next(ctx)
				must(t, err)
				if e.Kind != kind {
					t.Fatalf("%s has happened, want %s", e.Kind, kind)
				}
				is(string(kind), e.Remote)
			}
			header := http.Header{"X-Forwarded-For": {test.named}, "Authorization": test.header["Authorization"]}

			p, _, err := s.dial("alice", header, test.subprotocol...)
			must(t, err)
			defer p.ws.Close()
			if test.subprotocol != nil {
				p.write(connect)
			}

			happens(actors.SessionOpened)
			look := new(actors.UserLook)
			eventually(t, "the session says who it is", func() bool {
				look, err = s.system.LookUser(t.Context(), "alice")
				must(t, err)
				return len(look.Sessions) == 1 && look.Sessions[0].State == "delivering"
			})
			is("the session", look.Sessions[0].Remote)
			if n, err := s.system.CloseUser(t.Context(), "alice", protocol.CloseByOperator, "go away"); n != 1 || err != nil {
				t.Fatalf("%d sessions closed, %v", n, err)
			}
			p.closed(protocol.CloseByOperator)
			happens(actors.SessionClosed)
			eventually(t, "the end is known", func() bool {
				look, err = s.system.LookUser(t.Context(), "alice")
				must(t, err)
				return len(look.Closes) == 1
			})
			is("the close", look.Closes[0].Remote)
			ended := regexp.MustCompile(`"session ended".*"remote":"([^"]*)"`)
			eventually(t, "the log has the end", func() bool { return ended.MatchString(s.log.String()) })
			is("the log", ended.FindStringSubmatch(s.log.String())[1])
		})
	}
}
