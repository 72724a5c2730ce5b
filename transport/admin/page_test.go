package admin

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// page asks for one, and returns its status and what it says.
func (n *node) page(secret, method, path string) (status int, answer string) {
	n.t.Helper()
	request, err := http.NewRequestWithContext(n.t.Context(), method, "http://"+n.address+path, nil)
	must(n.t, err)
	if secret != "" {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	response, err := http.DefaultClient.Do(request)
	must(n.t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	must(n.t, err)
	return response.StatusCode, string(read)
}

func TestPagesKeepTheirRoles(t *testing.T) {
	n := start(t, Config{Failures: 100})
	pages := 0
	for path, rule := range rules {
		if !isPage(path) || path == openAPIPath {
			continue
		}
		pages++
		method, seconds := http.MethodGet, "?seconds=1"
		if path == recorderPath {
			method = http.MethodDelete
		}
		for role, secret := range map[Role]string{Viewer: viewerSecret, Operator: operatorSecret, Admin: adminSecret} {
			status, answer := n.page(secret, method, path+seconds)
			want := http.StatusOK
			if role < rule.least {
				want = http.StatusForbidden
			}
			if status != want || status == http.StatusForbidden && !strings.Contains(answer, "use a token with that role") {
				t.Errorf("%s as %s: %d %s", path, role, status, answer)
			}
		}
		if status, answer := n.page("", method, path); status != http.StatusUnauthorized || !strings.Contains(answer, "admin-token") {
			t.Errorf("%s as nobody: %d %s", path, status, answer)
		}
	}
	if pages != len(profiles)+4 {
		t.Errorf("%d pages have a rule", pages)
	}
	if status, _ := n.page(adminSecret, http.MethodGet, "/debug/pprof/cmdline"); status != http.StatusNotFound {
		t.Errorf("the command line: %d", status)
	}
	audited := n.log.lines("admin call")
	if len(audited) != pages-1 { // all but metrics, once by an admin
		t.Errorf("%d lines of audit: %q", len(audited), audited)
	}
	_, metrics := n.page(viewerSecret, http.MethodGet, metricsPath)
	for _, line := range []string{
		`callboard_admin_calls_total{call="/debug/pprof/heap",result="ok"} 1`,
		`callboard_admin_calls_total{call="/debug/pprof/heap",result="permission_denied"} 2`,
		`callboard_admin_calls_total{call="/metrics",result="unauthenticated"} 1`,
		`callboard_admin_calls_total{call="unknown",result="unimplemented"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

func TestOneProfileAtATime(t *testing.T) {
	n := start(t, Config{})
	var first sync.WaitGroup
	taking, leave := context.WithCancel(t.Context())
	defer leave()
	first.Go(func() {
		request, err := http.NewRequestWithContext(taking, http.MethodGet, "http://"+n.address+"/debug/pprof/profile?seconds=60", nil)
		if err != nil {
			t.Error(err)
			return
		}
		request.Header.Set("Authorization", "Bearer "+adminSecret)
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			t.Errorf("it has ended before its time: %d", response.StatusCode)
		}
	})
	eventually(t, "a profile is being taken", n.admin.profiling.Load)
	for _, page := range []string{"profile?seconds=1", "trace?seconds=1", "heap"} {
		if status, answer := n.page(adminSecret, http.MethodGet, "/debug/pprof/"+page); status != http.StatusConflict || !strings.Contains(answer, "wait") {
			t.Errorf("%s: %d %s", page, status, answer)
		}
	}
	leave()
	first.Wait()
	eventually(t, "nobody takes a profile any more", func() bool { return !n.admin.profiling.Load() })
	for query, status := range map[string]int{
		"profile?seconds=61": http.StatusBadRequest, "profile?seconds=-1": http.StatusBadRequest, "trace?seconds=11": http.StatusBadRequest,
		"profile?seconds=1e9": http.StatusBadRequest, "goroutine?debug=2": http.StatusBadRequest, "goroutine?debug=1": http.StatusOK,
	} {
		if got, answer := n.page(adminSecret, http.MethodGet, "/debug/pprof/"+query); got != status {
			t.Errorf("%s: %d %s", query, got, answer)
		}
	}
	if got, _ := n.page(adminSecret, http.MethodPost, "/debug/pprof/heap"); got != http.StatusBadRequest {
		t.Errorf("POST: %d", got)
	}
}

// deadlines is a ResponseWriter that remembers until when the answer may take.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write []time.Time
}

func (d *deadlines) SetReadDeadline(at time.Time) error { d.read = append(d.read, at); return nil }

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.write = append(d.write, at); return nil }

func TestProfileMayTakeLongerThanACall(t *testing.T) {
	n := start(t, Config{CallTimeout: 10 * time.Millisecond})
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodGet, "/debug/pprof/profile?seconds=1", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+adminSecret)
	begun := time.Now()
	n.admin.http.Handler.ServeHTTP(w, r)
	if took := time.Since(begun); w.Code != http.StatusOK || w.Body.Len() < 50 || took < time.Second {
		t.Errorf("%d with %d bytes after %s", w.Code, w.Body.Len(), took)
	}
	if len(w.read) != 1 || !w.read[0].IsZero() || len(w.write) != 1 || w.write[0].Sub(begun) < time.Second {
		t.Errorf("it may take until %v, %v, and began at %v", w.read, w.write, begun)
	}
}

func TestRecorderEndsByItselfAndWithTheServer(t *testing.T) {
	var n *node
	running := func() bool {
		n.admin.recorder.mu.Lock()
		defer n.admin.recorder.mu.Unlock()
		return n.admin.recorder.flight != nil
	}
	t.Cleanup(func() { // behind those of start
		if running() {
			t.Error("it goes on after the server has ended")
		}
	})
	n = start(t, Config{})
	if status, answer := n.page(adminSecret, http.MethodGet, recorderPath); status != http.StatusConflict || !strings.Contains(answer, "POST") {
		t.Errorf("%d %s", status, answer)
	}
	if status, answer := n.page(adminSecret, http.MethodPost, recorderPath+"?seconds=3601"); status != http.StatusBadRequest {
		t.Errorf("%d %s", status, answer)
	}
	for _, seconds := range []string{"1", "3600"} { // the second goes on for longer
		if status, answer := n.page(adminSecret, http.MethodPost, recorderPath+"?seconds="+seconds); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	n.admin.recorder.expire() // as if the first one's time were over just now
	if status, trace := n.page(adminSecret, http.MethodGet, recorderPath); status != http.StatusOK || !strings.HasPrefix(trace, "go 1.") || len(trace) > recorderBytes+recorderBytes/2 {
		t.Errorf("%d with %d bytes", status, len(trace))
	}
	if status, answer := n.page(adminSecret, http.MethodPost, recorderPath+"?seconds=1"); status != http.StatusOK {
		t.Errorf("%d %s", status, answer)
	}
	eventually(t, "the recorder has ended by itself", func() bool { return !running() })
	if status, answer := n.page(adminSecret, http.MethodPost, recorderPath); status != http.StatusOK { // left to the end of the test
		t.Errorf("%d %s", status, answer)
	}
}

// Each count is under its own name and label.
func TestMetricsAreUnderTheirLabels(t *testing.T) {
	n := start(t, Config{})
	for range 2 {
		watch, err := n.system.Watch(actors.EventFilter{})
		must(t, err)
		t.Cleanup(watch.Stop)
	}
	trace, err := n.system.Trace("bob", false)
	must(t, err)
	defer trace.Stop()
	for range 3 {
		_, err := n.system.Send(t.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "x", Id: "1"})
		must(t, err)
	}
	_, metrics := n.page(viewerSecret, http.MethodGet, metricsPath)
	for _, line := range []string{
		`callboard_sends_total{result="kept"} 1`, `callboard_sends_total{result="repeated"} 2`,
		`callboard_onlookers{kind="watch"} 2`, `callboard_onlookers{kind="trace"} 1`,
		`callboard_onlookers_missed_total{kind="watch"} 0`, `callboard_onlookers_missed_total{kind="trace"} 0`,
		`callboard_users 1`, `callboard_sessions_stalled 0`, `callboard_user_restarts_total{cause="failure"} 0`,
		`callboard_limits_hit_total{limit="too_many_users"} 0`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// A disk that hangs keeps nobody from the metrics.
func TestStoreSizeWaitsForNobody(t *testing.T) {
	hangs := make(chan struct{})
	var asked atomic.Uint64
	size := storeSize{ask: func() (uint64, bool) {
		n := asked.Add(1)
		if n == 2 {
			<-hangs
		}
		return n, true
	}}
	askedAt := func(at time.Time) {
		size.mu.Lock()
		defer size.mu.Unlock()
		size.at = at
	}
	eventually(t, "the disk has answered", func() bool {
		bytes, known := size.read()
		return known && bytes == 1
	})
	askedAt(time.Now())
	if bytes, _ := size.read(); bytes != 1 || asked.Load() != 1 {
		t.Errorf("it was asked again within %s", storeSizeEvery)
	}
	askedAt(time.Time{})
	for range 3 { // of which one alone asks
		if bytes, known := size.read(); !known || bytes != 1 {
			t.Errorf("%d, %t", bytes, known)
		}
	}
	askedAt(time.Now().Add(patience)) // nobody asks again, however long this takes
	close(hangs)
	eventually(t, "the disk has answered again", func() bool {
		bytes, _ := size.read()
		return bytes == 2
	})
	if n := asked.Load(); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestLimitsOfTheAdminListenerAreCounted(t *testing.T) {
	n := start(t, Config{Failures: 1})
	eventually(t, "a guess is refused", func() bool {
		status, _ := n.post("guess", adminv1.AdminServiceGetStatsProcedure, "{}")
		return status == http.StatusTooManyRequests
	})
	eventually(t, "the address may ask again, and the refusals are counted", func() bool {
		status, metrics := n.page(viewerSecret, http.MethodGet, metricsPath)
		return status == http.StatusOK && strings.Contains(metrics, `callboard_limits_hit_total{limit="too_many_failures"} `) &&
			!strings.Contains(metrics, `callboard_limits_hit_total{limit="too_many_failures"} 0`)
	})
}
