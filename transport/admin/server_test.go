package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"
	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
	"callboard/transport/admin/healthv1"
)

func TestOneHandlerSpeaksEveryProtocol(t *testing.T) {
	n := start(t, Config{})
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "connect json": {connect.WithProtoJSON()},
		"grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			stats, err := n.as(viewerSecret, options...).GetStats(t.Context(), &adminv1.GetStatsRequest{})
			must(t, err)
			if stats.Goroutines == 0 || stats.Draining {
				t.Errorf("%v", stats)
			}
			_, err = n.as("wrong", options...).GetStats(t.Context(), &adminv1.GetStatsRequest{})
			if code, _ := codeOf(t, err); connect.CodeOf(err) != connect.CodeUnauthenticated || code != "unauthenticated" {
				t.Errorf("%v with %q", err, code)
			}
		})
	}
	status, body := n.post(viewerSecret, adminv1.AdminServiceGetTreeProcedure, "{}")
	var tree struct{ Shards []struct{} }
	if err := json.Unmarshal([]byte(body), &tree); err != nil || status != http.StatusOK || len(tree.Shards) != 4 {
		t.Errorf("%d %s: %v", status, body, err)
	}
}

func TestEveryCallHasARole(t *testing.T) {
	methods := adminv1.File_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		if rules["/"+string(m.Parent().FullName())+"/"+string(m.Name())].least == 0 {
			t.Errorf("%s has no rule", m.FullName())
		}
	}
}

func TestRolesAreKept(t *testing.T) {
	n := start(t, Config{Failures: 2 * len(rules)})
	secrets := map[Role]string{Viewer: viewerSecret, Operator: operatorSecret, Admin: adminSecret}
	for call, rule := range rules {
		if strings.Contains(call, "reflection") || isPage(call) || call == adminv1.AdminServiceDrainProcedure {
			continue // they have tests of their own
		}
		for role, secret := range secrets {
			status, body := n.post(secret, call, "{}")
			if refused := status == http.StatusForbidden; refused != (role < rule.least) {
				t.Errorf("%s as %s: %d %s", call, role, status, body)
			}
		}
		if status, body := n.post("", call, "{}"); status != http.StatusUnauthorized || !strings.Contains(body, "admin-token") {
			t.Errorf("%s as nobody: %d %s", call, status, body)
		}
	}
	_, err := n.as(operatorSecret).Drain(t.Context(), &adminv1.DrainRequest{})
	if code, action := codeOf(t, err); code != "permission_denied" || action == "" {
		t.Errorf("%v", err)
	}
	if len(n.log.lines("admin call refused")) == 0 {
		t.Error("nothing in the log of what was refused")
	}
}

func TestFailedSignInsAreRateLimited(t *testing.T) {
	const most = 3
	n := start(t, Config{Failures: most})
	failed, begun := 0, time.Now()
	for { // until the address is refused, whatever its token: then so many have failed, and one for each second that has passed
		if status, _ := n.post("guess", adminv1.AdminServiceGetStatsProcedure, "{}"); status == http.StatusUnauthorized {
			failed++
		}
		status, body := n.post(adminSecret, adminv1.AdminServiceGetStatsProcedure, "{}")
		if status == http.StatusTooManyRequests && strings.Contains(body, "too many sign-ins") {
			break
		}
		if took := time.Since(begun); status != http.StatusOK || failed > most+int(took/failureEvery) || took > patience {
			t.Fatalf("after %d failures %d %s", failed, status, body)
		}
	}
	if failed < most {
		t.Errorf("%d failures are too many", failed)
	}
	eventually(t, "the address may try again", func() bool {
		status, _ := n.post(adminSecret, adminv1.AdminServiceGetStatsProcedure, "{}")
		return status == http.StatusOK
	})
	if lines := len(n.log.lines("admin sign-in failed")); lines != failed {
		t.Errorf("%d lines in the log of %d failures", lines, failed)
	}
}

// Who fails sign-ins from an operator's address keeps nobody out who has the token that the service made.
func TestGeneratedTokenIsLetInAfterTooManyFailures(t *testing.T) {
	n := start(t, Config{Failures: 1})
	made := NewSecret()
	must(t, n.admin.Reload(Access{Tokens: []Token{NewToken("own", Admin, made), NewToken("ada", Admin, adminSecret)}}))
	n.admin.failures.add("127.0.0.1:1", time.Now().Add(time.Hour)) // the bucket is full for as long as the test lasts
	for secret, want := range map[string]int{
		made: http.StatusOK, adminSecret: http.StatusTooManyRequests, made + "A": http.StatusTooManyRequests, NewSecret(): http.StatusTooManyRequests,
		"guess": http.StatusTooManyRequests, "": http.StatusTooManyRequests,
	} {
		if status, body := n.post(secret, adminv1.AdminServiceGetStatsProcedure, "{}"); status != want {
			t.Errorf("%q: %d %s", secret, status, body)
		}
	}
}

func TestOnlyASecretOfFullLengthCountsAsGenerated(t *testing.T) {
	made := NewSecret()
	for secret, want := range map[string]bool{
		made: true, strings.TrimPrefix(made, SecretPrefix): false, made[:len(made)-1]: false, strings.ToLower(made): false,
		"callboard_secret-of-the-whole-house-1": false, adminSecret: false, "": false, made + "\n": false,
	} {
		if got := NewToken("x", Admin, secret).Generated; got != want {
			t.Errorf("%q: %t", secret, got)
		}
	}
}

func TestFailuresAreBounded(t *testing.T) {
	f, now := newFailures(2), time.Now()
	for i := range 3 * maxAddresses {
		f.add(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
	}
	if len(f.full) > maxAddresses+1 {
		t.Errorf("%d addresses", len(f.full))
	}
	if f.wait("[2001:db8::1]:1", now) == 0 {
		t.Error("an address that there is no room for is not limited")
	}
	f.add("10.0.0.0:1", now.Add(time.Hour)) // what is over is forgotten
	f.add("[2001:db8::1]:1", now.Add(time.Hour))
	f.add("[2001:db8::1]:1", now.Add(time.Hour))
	if f.wait("[2001:db8::2]:9", now.Add(time.Hour)) == 0 || f.wait("[2001:db9::1]:1", now.Add(time.Hour)) != 0 {
		t.Error("a network of 64 bits is not one address")
	}
}

func TestEveryChangeIsInTheAuditLog(t *testing.T) {
	n := start(t, Config{})
	operator := n.as(operatorSecret)
	_, err := operator.Send(t.Context(), &adminv1.SendRequest{Receiver: "bob", Content: "a secret"})
	must(t, err)
	_, err = operator.CloseSession(t.Context(), &adminv1.CloseSessionRequest{Session: 99})
	if code, action := codeOf(t, err); code != "not_found" || action == "" || connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("%v", err)
	}
	_, err = operator.GetUser(t.Context(), &adminv1.GetUserRequest{User: "bob"})
	must(t, err)
	lines := n.log.lines("admin call")
	if len(lines) != 2 {
		t.Fatalf("%q", lines)
	}
	for i, words := range [][]string{
		{`"who":"otto"`, `"role":"operator"`, "AdminService/Send", `receiver=\"bob\"`, `"result":"ok"`, `"took":`, `"remote":"127.0.0.1:`},
		{"AdminService/CloseSession", "session=99", `"result":"not_found"`},
	} {
		for _, word := range words {
			if !strings.Contains(lines[i], word) {
				t.Errorf("no %s in %s", word, lines[i])
			}
		}
	}
	if n.log.has("a secret") || n.log.has(operatorSecret) {
		t.Error("a content or a token is in the log")
	}
}

func TestRequestsAreBounded(t *testing.T) {
	n := start(t, Config{MaxRequestBytes: 1 << 10})
	status, body := n.post(operatorSecret, adminv1.AdminServiceSendProcedure, `{"content":"`+strings.Repeat("x", 2<<10)+`"}`)
	if status != http.StatusTooManyRequests {
		t.Errorf("%d %s", status, body)
	}
}

func TestHeaderHasItsTime(t *testing.T) {
	n := start(t, Config{HeaderTimeout: 100 * time.Millisecond})
	slow, err := net.Dial("tcp", n.address)
	must(t, err)
	defer slow.Close()
	_, _ = slow.Write([]byte("POST / HTTP/1.1\r\n")) // its time may be over by now
	must(t, slow.SetReadDeadline(time.Now().Add(patience)))
	if read, err := slow.Read(make([]byte, 1)); err == nil && read == 1 {
		t.Log("it was answered before the end") // net/http says 408 sometimes
	} else if os.IsTimeout(err) {
		t.Error("who sends half a header is not cut off")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	n := start(t, Config{MaxConnections: 2, HeaderTimeout: patience}) // those that say nothing stay
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", n.address)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		held = append(held, c)
	}
	eventually(t, "both are counted", func() bool { return n.admin.connections.Load() == 2 })
	third, err := net.Dial("tcp", n.address)
	must(t, err)
	defer third.Close()
	must(t, third.SetReadDeadline(time.Now().Add(patience)))
	if _, err := third.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the third was not closed: %v", err)
	}
	if got := n.system.Metrics().Limits[actors.LimitAdminConnections]; got != 1 {
		t.Errorf("counted %d times", got)
	}
	for _, c := range held {
		c.Close()
	}
	eventually(t, "none is counted", func() bool { return n.admin.connections.Load() == 0 })

	client := n.http() // HTTP/2
	_, err = adminv1.NewAdminServiceClient(client, "http://"+n.address, connect.WithGRPC(), bear(viewerSecret)).
		GetStats(t.Context(), &adminv1.GetStatsRequest{})
	must(t, err)
	if got := n.admin.connections.Load(); got != 1 {
		t.Errorf("%d connections are counted, want 1", got)
	}
	client.CloseIdleConnections()
	eventually(t, "none is counted", func() bool { return n.admin.connections.Load() == 0 })
}

func TestHealthNeedsNoToken(t *testing.T) {
	n := start(t, Config{})
	client := healthv1.NewHealthClient(n.http(), "http://"+n.address, connect.WithGRPC())
	answer, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || answer.Status != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("%v, %v", answer, err)
	}
	if _, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "none"}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("%v", err)
	}
}

func TestReflectionNamesTheCalls(t *testing.T) {
	n := start(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client := grpcreflect.NewClient(n.http(), "http://"+n.address, connect.WithGRPC())
	bearer := grpcreflect.WithRequestHeaders(http.Header{"Authorization": {"Bearer " + viewerSecret}})
	stream := client.NewStream(ctx, bearer)
	defer func() { _, _ = stream.Close() }()
	services, err := stream.ListServices()
	if err != nil || len(services) != 2 || !slices.Contains(services, adminv1.AdminServiceName) {
		t.Errorf("%v, %v", services, err)
	}
	stranger := client.NewStream(ctx)
	defer func() { _, _ = stranger.Close() }()
	if _, err := stranger.ListServices(); connect.CodeOf(err) != connect.CodeUnauthenticated {
		t.Errorf("without a token: %v", err)
	}
}

func TestSendIsKeptOnce(t *testing.T) {
	n := start(t, Config{})
	client := n.as(operatorSecret)
	request := &adminv1.SendRequest{Receiver: "bob", Content: "hello", Id: "one"}
	first, err := client.Send(t.Context(), request)
	must(t, err)
	again, err := client.Send(t.Context(), request)
	must(t, err)
	other, err := client.Send(t.Context(), &adminv1.SendRequest{Receiver: "bob", Sender: "eve", Content: "hello"})
	must(t, err)
	if first.Seq != 1 || again.Seq != 1 || first.AtMs == 0 || other.Seq != 2 || other.Id == "" {
		t.Errorf("%v, %v, %v", first, again, other)
	}
	bob := n.connect("bob", "")
	if frame := n.read(bob); !strings.Contains(frame, `"sender":"system"`) || !strings.Contains(frame, `"hello"`) {
		t.Errorf("%s", frame)
	}
	request.Content = "another"
	_, err = client.Send(t.Context(), request)
	if code, action := codeOf(t, err); code != "conflict" || action == "" || connect.CodeOf(err) != connect.CodeAlreadyExists {
		t.Errorf("%v", err)
	}
	for _, wrong := range []*adminv1.SendRequest{{}, {Receiver: "b b"}, {Receiver: "bob", Content: strings.Repeat("x", 70_000)}} {
		if _, err := client.Send(t.Context(), wrong); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v", err)
		}
	}
}

func TestGetUserShowsSessionsInboxAndCloses(t *testing.T) {
	n := start(t, Config{})
	client := n.as(operatorSecret)
	phone := n.connect("bob", "phone")
	n.connect("bob", "laptop")
	_, err := client.Send(t.Context(), &adminv1.SendRequest{Receiver: "bob", Content: "hello"})
	must(t, err)
	n.read(phone)
	must(t, phone.WriteMessage(websocket.TextMessage, []byte(`{"type":5,"seq":1}`)))

	eventually(t, "the phone has it and the laptop has not", func() bool {
		bob, err := client.GetUser(t.Context(), &adminv1.GetUserRequest{User: "bob"})
		must(t, err)
		if len(bob.Sessions) != 2 || len(bob.Inbox.Devices) != 2 || bob.Inbox.Head != 1 || bob.User.State != "active" {
			t.Fatalf("%v", bob)
		}
		lag := map[string]uint64{}
		for _, d := range bob.Inbox.Devices {
			lag[d.Name] = d.Lag
		}
		unacknowledged := map[string]uint32{}
		for _, s := range bob.Sessions {
			unacknowledged[s.Device] = s.Unacknowledged
			if s.Protocol != "callboard.v1.json" || s.State != "delivering" || s.SinceMs == 0 || !strings.HasPrefix(s.Remote, "127.0.0.1:") {
				t.Fatalf("%v", s)
			}
		}
		return lag["phone"] == 0 && lag["laptop"] == 1 && unacknowledged["phone"] == 0 && unacknowledged["laptop"] == 1
	})

	device := "phone"
	closed, err := client.CloseUser(t.Context(), &adminv1.CloseUserRequest{User: "bob", Device: &device, Reason: "lost"})
	if err != nil || closed.Sessions != 1 {
		t.Fatalf("%v, %v", closed, err)
	}
	if _, _, err := phone.ReadMessage(); !websocket.IsCloseError(err, 4003) || !strings.Contains(err.Error(), "lost") {
		t.Errorf("the phone was told %v", err)
	}
	eventually(t, "the close is remembered", func() bool {
		bob, err := client.GetUser(t.Context(), &adminv1.GetUserRequest{User: "bob"})
		must(t, err)
		return len(bob.Closes) == 1 && bob.Closes[0].Code == 4003 && bob.Closes[0].Reason == "lost" &&
			bob.Closes[0].Device == "phone" && bob.Closes[0].Remote != "" && len(bob.Sessions) == 1
	})
	_, err = client.GetUser(t.Context(), &adminv1.GetUserRequest{User: "nobody"})
	if code, action := codeOf(t, err); code != "not_found" || action == "" {
		t.Errorf("%v", err)
	}
}

func TestCloseIsChecked(t *testing.T) {
	n := start(t, Config{})
	client := n.as(operatorSecret)
	for _, request := range []*adminv1.CloseUserRequest{
		{User: "b b"}, {User: "bob", Code: 1006}, {User: "bob", Code: 70_000}, {User: "bob", Reason: strings.Repeat("x", 124)},
	} {
		if _, err := client.CloseUser(t.Context(), request); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v: %v", request, err)
		}
	}
	bob := n.connect("bob", "")
	found, err := client.ListSessions(t.Context(), &adminv1.ListSessionsRequest{User: "bob"})
	must(t, err)
	closed, err := client.CloseSession(t.Context(), &adminv1.CloseSessionRequest{Session: found.Sessions[0].Session, Code: 4242})
	if err != nil || closed.User != "bob" {
		t.Errorf("%v, %v", closed, err)
	}
	if _, _, err := bob.ReadMessage(); !websocket.IsCloseError(err, 4242) {
		t.Errorf("%v", err)
	}
}

func TestListsArePaged(t *testing.T) {
	n := start(t, Config{})
	client := n.as(viewerSecret)
	var want []string
	for i := range 25 {
		user := fmt.Sprintf("user-%02d", i)
		want = append(want, user)
		n.connect(user, "")
	}
	n.connect("other", "")
	users := &adminv1.ListUsersRequest{PageSize: 7, Prefix: "user-"}
	var listed []string
	for more := true; more; more = users.PageToken != "" {
		page, err := client.ListUsers(t.Context(), users)
		must(t, err)
		if len(page.Users) > 7 {
			t.Fatalf("%d users on a page", len(page.Users))
		}
		for _, u := range page.Users {
			listed = append(listed, u.User)
		}
		users.PageToken = page.NextPageToken
	}
	if slices.Sort(listed); !slices.Equal(listed, want) {
		t.Errorf("%q", listed)
	}
	sessions := &adminv1.ListSessionsRequest{PageSize: 7}
	var numbers []uint64
	for more := true; more; more = sessions.PageToken != "" {
		page, err := client.ListSessions(t.Context(), sessions)
		must(t, err)
		for _, s := range page.Sessions {
			numbers = append(numbers, s.Session)
		}
		sessions.PageToken = page.NextPageToken
	}
	if len(numbers) != 26 || !slices.IsSorted(numbers) {
		t.Errorf("%v", numbers)
	}
	for _, token := range []string{"x", "-1", "1"} {
		if _, err := client.ListUsers(t.Context(), &adminv1.ListUsersRequest{PageToken: token}); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if _, err := client.ListSessions(t.Context(), &adminv1.ListSessionsRequest{PageSize: 501}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("%v", err)
	}
}

func TestDrainTakesTheNodeOutOfService(t *testing.T) {
	n := start(t, Config{})
	client := n.as(adminSecret)
	bob := n.connect("bob", "")
	over := uint64(0)
	answer, err := client.Drain(t.Context(), &adminv1.DrainRequest{OverMs: &over})
	if err != nil || answer.Sessions != 1 || answer.OverMs != 1 {
		t.Fatalf("%v, %v", answer, err)
	}
	if _, _, err := bob.ReadMessage(); !websocket.IsCloseError(err, 1001) {
		t.Errorf("%v", err)
	}
	eventually(t, "no session is left", func() bool {
		stats, err := client.GetStats(t.Context(), &adminv1.GetStatsRequest{})
		must(t, err)
		return stats.Draining && stats.Sessions == 0 && stats.Trouble == ""
	})
	ready, err := http.Get("http://" + n.users + "/readyz")
	must(t, err)
	ready.Body.Close()
	if ready.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz says %d", ready.StatusCode)
	}
	health, err := healthv1.NewHealthClient(n.http(), "http://"+n.address).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || health.Status != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("%v, %v", health, err)
	}
	hour := uint64(3_600_001)
	if _, err := client.Drain(t.Context(), &adminv1.DrainRequest{OverMs: &hour}); connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("%v", err)
	}
}

func TestSecretIsMadeOnceAndForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "admin-token")
	secrets := make([]string, 8)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			var err error
			if secrets[i], err = LoadSecret(path); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if slices.Sort(secrets); secrets[0] != secrets[7] || len(secrets[0]) < minSecretLength {
		t.Errorf("%q", secrets)
	}
	info, err := os.Stat(path)
	must(t, err)
	files, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if info.Mode().Perm() != 0o600 || len(files) != 1 {
		t.Errorf("%v, %v", info.Mode(), files)
	}
	must(t, os.Chmod(path, fs.FileMode(0o640)))
	if _, err := LoadSecret(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%v", err)
	}
	must(t, os.WriteFile(path, bytes.Repeat([]byte("x"), 3), 0o600))
	must(t, os.Chmod(path, 0o600))
	if _, err := LoadSecret(path); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("%v", err)
	}
}
