package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// families are metrics by name, as a scrape gave them.
type families map[string]*dto.MetricFamily

// get asks for a page of the admin listener.
func get(t *testing.T, caller []string, method, path, accept string) (status int, header http.Header, body []byte) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(caller[3], "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, caller[1]+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", accept)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, body
}

// scrape reads /metrics as Prometheus does.
func scrape(t *testing.T, caller []string) families {
	t.Helper()
	const accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
	status, header, body := get(t, caller, http.MethodGet, "/metrics", accept)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	found := families{}
	decoder := expfmt.NewDecoder(strings.NewReader(string(body)), expfmt.ResponseFormat(header))
	for {
		family := &dto.MetricFamily{}
		err := decoder.Decode(family)
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		found[family.GetName()] = family
	}
}

// scrapeUntil reads them until they are as they are to be, or it has been patient: a count may be published a moment after
// what is counted was seen.
func scrapeUntil(t *testing.T, caller []string, are func(f families) bool) families {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // another process: nothing tells
		if f := scrape(t, caller); are(f) || time.Now().After(limit) {
			return f
		}
	}
}

// value is that of the metric with the labels, given as name, value, name, value.
func (f families) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	value, found := f.find(name, labels...)
	if !found {
		t.Errorf("there is no %s%q", name, labels)
	}
	return value
}

func (f families) find(name string, labels ...string) (value float64, found bool) {
	for _, m := range f[name].GetMetric() {
		if len(m.Label)*2 != len(labels) {
			continue
		}
		same := true
		for i, l := range m.Label {
			same = same && l.GetName() == labels[2*i] && l.GetValue() == labels[2*i+1]
		}
		if same {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
		}
	}
	return 0, false
}

func TestMetricsSayWhatHappened(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--inbox-entries", "1000")
	const user = "somebody-with-a-name"
	listener := start(t, nil, "listen", "--as", user, "--device", "telephone", "--url", url)
	listener.stderr.has(t, `listening as`)
	const messages = 900 // fewer than an inbox takes, however late the listener is
	var lines strings.Builder
	for i := range messages {
		fmt.Fprintln(&lines, i)
	}
	start(t, strings.NewReader(lines.String()), "send", "--as", "paul-of-many", "--to", user, "--url", url).ends(0)
	listener.stdout.has(t, fmt.Sprintf(`: %d\n$`, messages-1))
	refused := start(t, strings.NewReader(strings.Repeat("x\n", 1003)), "send", "--as", "paul-of-many", "--to", "never-there", "--url", url)
	refused.ends(4)
	call(t, caller, "user", "close", user)
	listener.ends(4)
	if answer, err := http.Get("http" + strings.TrimPrefix(url, "ws") + "/ws/not@a$user"); err == nil {
		answer.Body.Close()
	}
	start(t, nil, append([]string{"session", "close", "99"}, caller...)...).ends(3)

	wants := []struct {
		name   string
		labels []string
		value  float64
	}{
		{"callboard_sends_total", []string{"result", "kept"}, messages + 1000},
		{"callboard_sends_total", []string{"result", "inbox_full"}, 3},
		{"callboard_limits_hit_total", []string{"limit", "inbox_full"}, 3},
		{"callboard_messages_delivered_total", nil, messages},
		{"callboard_sessions_closed_total", []string{"code", "closed_by_operator"}, 1},
		{"callboard_handshakes_total", []string{"result", "invalid_user_id"}, 1},
		{"callboard_handshakes_total", []string{"result", "upgraded"}, 3},
		{"callboard_sessions_opened_total", nil, 3},
		{"callboard_admin_calls_total", []string{"call", "/callboard.admin.v1.AdminService/CloseUser", "result", "ok"}, 1},
		{"callboard_admin_calls_total", []string{"call", "/callboard.admin.v1.AdminService/CloseSession", "result", "not_found"}, 1},
		{"callboard_ready", nil, 1},
		{"callboard_draining", nil, 0},
		{"callboard_commit_failures_total", nil, 0},
	}
	f := scrapeUntil(t, caller, func(f families) bool {
		for _, want := range wants {
			if got, _ := f.find(want.name, want.labels...); got != want.value {
				return false
			}
		}
		return true
	})
	for _, want := range wants {
		if got := f.value(t, want.name, want.labels...); got != want.value {
			t.Errorf("%s%q is %g, want %g", want.name, want.labels, got, want.value)
		}
	}
	for _, name := range []string{"callboard_store_bytes", "callboard_kept_bytes_total", "callboard_received_bytes_total", "callboard_sent_bytes_total", "process_cpu_seconds_total", "go_goroutines"} {
		if f.value(t, name) < 1 && name != "process_cpu_seconds_total" {
			t.Errorf("%s is %g", name, f.value(t, name))
		}
	}
	for name, least := range map[string]uint64{"callboard_send_duration_seconds": 5, "callboard_commit_duration_seconds": 2, "callboard_commit_messages": 2} {
		bothKinds(t, f[name], least)
	}
	boundedLabels(t, f)
	status, _, text := get(t, caller, http.MethodGet, "/metrics", "text/plain")
	parsed := expfmt.NewTextParser(model.UTF8Validation)
	if _, err := parsed.TextToMetricFamilies(strings.NewReader(string(text))); err != nil || status != http.StatusOK {
		t.Errorf("%d: %v", status, err)
	}
}

// bothKinds checks that a histogram has classic and native buckets, which agree.
func bothKinds(t *testing.T, f *dto.MetricFamily, least uint64) {
	t.Helper()
	h := f.GetMetric()[0].GetHistogram()
	classic, native, each := h.GetBucket(), int64(0), int64(0)
	for i, delta := range h.GetPositiveDelta() {
		each += delta
		native += each
		if i == 0 && each <= 0 {
			t.Errorf("%s begins with an empty bucket", f.GetName())
		}
	}
	if h.GetSampleCount() < least || len(classic) < 10 || classic[len(classic)-1].GetCumulativeCount() != h.GetSampleCount() ||
		uint64(native) != h.GetSampleCount() || h.GetSchema() != 3 || h.GetSampleSum() <= 0 {
		t.Errorf("%s: %d values, %d of them in native buckets", f.GetName(), h.GetSampleCount(), native)
	}
}

// boundedLabels checks that no label has what a user, a client or a caller has made up.
func boundedLabels(t *testing.T, f families) {
	t.Helper()
	word := regexp.MustCompile(`^[a-z_0-9]{2,40}$`)
	series := 0
	for name, family := range f {
		if !strings.HasPrefix(name, "callboard_") {
			continue
		}
		for _, m := range family.Metric {
			series++
			for _, l := range m.Label {
				switch {
				case l.GetName() == "call" || name == "callboard_build_info":
				case !word.MatchString(l.GetValue()):
					t.Errorf("%s has the label %s", name, l)
				}
				for _, made := range []string{"somebody", "paul", "never-there", "telephone", "127.0.0.1"} {
					if strings.Contains(l.GetValue(), made) {
						t.Errorf("%s has the label %s", name, l)
					}
				}
			}
		}
	}
	if series > 200 {
		t.Errorf("%d series", series)
	}
}

func TestProfilesAndTheRecorderAreForAdmins(t *testing.T) {
	service, _, caller := serveWithAdmin(t)
	for _, page := range []string{"heap", "goroutine", "profile?seconds=1", "trace?seconds=1"} {
		status, _, body := get(t, caller, http.MethodGet, "/debug/pprof/"+page, "")
		if status != http.StatusOK || len(body) < 100 {
			t.Errorf("%s: %d with %d bytes", page, status, len(body))
		}
	}
	if status, _, body := get(t, caller, http.MethodGet, "/debug/flight-recorder", ""); status != http.StatusConflict || !strings.Contains(string(body), "POST") {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := get(t, caller, http.MethodPost, "/debug/flight-recorder?seconds=60", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	if status, _, body := get(t, caller, http.MethodGet, "/debug/flight-recorder", ""); status != http.StatusOK || !strings.HasPrefix(string(body), "go 1.") {
		t.Errorf("%d with %d bytes", status, len(body))
	}
	if status, _, body := get(t, caller, http.MethodDelete, "/debug/flight-recorder", ""); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	service.stderr.has(t, `msg="admin call" who=admin-token role=admin call=/debug/pprof/profile target="GET \\"seconds=1\\"" result=ok`)
	service.stderr.has(t, `call=/debug/flight-recorder target="DELETE .*result=ok`)
}

func TestMetricsCanBeLeftOpen(t *testing.T) {
	for _, flag := range []string{"--metrics-open=true", "--metrics-open=false"} {
		_, _, caller := serveWithAdmin(t, flag)
		for path, open := range map[string]bool{"/metrics": flag == "--metrics-open=true", "/debug/pprof/heap": false} {
			answer, err := http.Get(caller[1] + path)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if want := map[bool]int{true: http.StatusOK, false: http.StatusUnauthorized}[open]; answer.StatusCode != want {
				t.Errorf("%s with %s: %d, want %d", path, flag, answer.StatusCode, want)
			}
		}
	}
}

const deploy = "../../deploy/"

// hasCalls is whether they have calls of operators: those of the scrapes before.
func hasCalls(f families) bool { return len(f["callboard_admin_calls_total"].GetMetric()) > 0 }

// What operators are given reads metrics that exist, by labels that they have.
func TestRulesAndDashboardUseWhatThereIs(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	f := scrapeUntil(t, caller, hasCalls)
	exprs := map[string]string{}
	for alert, expr := range readRules(t) {
		exprs["alert "+alert] = expr
	}
	for panel, expr := range readDashboard(t) {
		exprs["panel "+panel] = expr
	}
	if len(exprs) < 40 {
		t.Fatalf("only %d expressions were found", len(exprs))
	}
	used := map[string]bool{}
	for where, expr := range exprs {
		for _, fault := range f.faults(expr, used) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	for name := range f {
		if strings.HasPrefix(name, "callboard_") && !used[name] {
			t.Errorf("%s is in no panel and no rule", name)
		}
	}
	for _, bad := range []string{
		"callboard_sesions", `callboard_sends_total{reslt="kept"}`, "sum by (cod) (rate(callboard_sessions_closed_total[5m]))",
		"rate(callboard_sends_total", `callboard_sends_total{result="keept"}`, "rate(callboard_send_duration_seconds[5m])",
	} {
		if len(f.faults(bad, map[string]bool{})) == 0 {
			t.Errorf("nothing is found wrong with %s", bad)
		}
	}
}

// readRules returns the expressions of the rules, and checks their shape.
func readRules(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(deploy + "prometheus/rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr string
				For         model.Duration
				Labels      struct{ Severity string }
				Annotations struct{ Summary, Runbook string }
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	exprs := map[string]string{}
	for _, group := range rules.Groups {
		for _, r := range group.Rules {
			if r.Alert == "" || r.Labels.Severity == "" || r.Annotations.Summary == "" || len(r.Annotations.Runbook) < 40 || exprs[r.Alert] != "" {
				t.Errorf("%+v lacks something, or is there twice", r)
			}
			exprs[r.Alert] = r.Expr
		}
	}
	return exprs
}

// readDashboard returns the expressions of the panels, its variables filled in.
func readDashboard(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(deploy + "grafana/callboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Title   string
			Type    string
			Targets []struct{ Expr, RefID string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	exprs, ids := map[string]string{}, map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %d %q has an id that is there twice, or shows nothing", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			exprs[panel.Title+" "+target.RefID] = strings.ReplaceAll(expr, "$instance", ".*")
		}
	}
	return exprs
}

// outside are labels that Prometheus adds, and metrics of its own.
var outside = []string{"instance", "job", "le", "__name__"}

// faults says what of an expression does not exist, and notes what it uses.
func (f families) faults(expr string, used map[string]bool) (found []string) {
	tree, err := parser.ParseExpr(expr)
	if err != nil {
		return []string{err.Error()}
	}
	labels := map[string]bool{}
	for _, label := range outside {
		labels[label] = true
	}
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok || selector.Name == "up" {
			return nil
		}
		name, isBucket := strings.CutSuffix(selector.Name, "_bucket")
		family := f[name]
		if family == nil || isBucket != (family.GetType() == dto.MetricType_HISTOGRAM) {
			found = append(found, "there is no "+selector.Name)
			return nil
		}
		used[name] = true
		values := map[string][]string{}
		for _, m := range family.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
				values[l.GetName()] = append(values[l.GetName()], l.GetValue())
			}
		}
		for _, m := range selector.LabelMatchers {
			if slices.Contains(outside, m.Name) {
				continue
			}
			of, exists := values[m.Name]
			if !exists {
				found = append(found, name+" has no label "+m.Name)
			} else if name != "callboard_admin_calls_total" && !slices.ContainsFunc(of, m.Matches) {
				found = append(found, fmt.Sprintf("no %s matches %s", name, m))
			}
		}
		return nil
	})
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if sum, ok := node.(*parser.AggregateExpr); ok {
			for _, label := range sum.Grouping {
				if !labels[label] {
					found = append(found, "no metric has the label "+label)
				}
			}
		}
		return nil
	})
	return found
}

// The table in deploy/README.md has every metric of ours, and no other; so has the list
// of labels.
func TestEveryMetricIsDocumented(t *testing.T) {
	_, _, caller := serveWithAdmin(t)
	f := scrapeUntil(t, caller, hasCalls)
	text, err := os.ReadFile(deploy + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(callboard_\\w+)(?:\\{([\\w, ]+)\\})?` \\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	for name, family := range f {
		if !strings.HasPrefix(name, "callboard_") {
			continue
		}
		labels := map[string]bool{}
		for _, m := range family.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = true
			}
		}
		want := strings.Join(slices.Sorted(maps.Keys(labels)), ", ")
		if got, known := documented[name]; !known || got != want {
			t.Errorf("%s{%s} is documented as {%s}", name, want, got)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("%s is documented and does not exist", name)
	}
	for alert := range readRules(t) {
		if !strings.Contains(string(text), "`"+alert+"`") {
			t.Errorf("the alert %s is not documented", alert)
		}
	}
}
