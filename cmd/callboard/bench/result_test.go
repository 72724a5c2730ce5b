package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTableSaysWhatWasMeasured(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Record(time.Duration(i) * time.Millisecond)
	}
	r := &Result{
		Workload: Durable, Protocol: Proto, Users: 2, Messages: 7, Confirmed: 7, SendToSent: h.Latency(), SendToReceive: h.Latency(),
		Errors: map[string]uint64{"inbox_full": 3}, Check: &Check{Confirmed: 7, Seen: 6, Lost: 1, Examples: []string{"message 5"}},
	}
	r.note(saturation(time.Hour, time.Minute))
	var out strings.Builder
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"durable", "send to SENT", "999.00ms", "inbox_full", "1 lost", "message 5", "may be the limit"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	if err := r.Failure(); err == nil || !strings.Contains(err.Error(), "1 lost") || !strings.Contains(err.Error(), "message 5") {
		t.Errorf("%v", err)
	}
	b, err := json.Marshal(r)
	if err != nil || !bytes.Contains(b, []byte(`"max":999000`)) || !bytes.Contains(b, []byte(`"lost":1`)) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestNothingWrongIsNoFailure(t *testing.T) {
	for _, r := range []interface{ Failure() error }{
		&Result{}, &Result{Check: &Check{Confirmed: 1, Seen: 1}}, &ChaosResult{}, &StallResult{ResidentBefore: 100, GrowthPercent: 9, Tolerance: 10},
	} {
		if err := r.Failure(); err != nil {
			t.Error(err)
		}
	}
}

func TestFailuresAreTold(t *testing.T) {
	for want, r := range map[string]interface{ Failure() error }{
		"3 lost":           &ChaosResult{Findings: Findings{Lost: 3, Examples: []string{"one"}}},
		"never confirmed":  &ChaosResult{Unconfirmed: 1},
		"grew by 11.0 %":   &StallResult{ResidentBefore: 100, GrowthPercent: 11, Tolerance: 10},
		"cannot be seen":   &StallResult{},
		"1 reordered":      &StallResult{Check: Check{Reordered: 1, Examples: []string{"one"}}},
		"5 unanswered":     &Result{Check: &Check{Unanswered: 5, Examples: []string{"one"}}},
		"for instance: no": &Result{Check: &Check{Doubled: 1, Examples: []string{"no"}}},
	} {
		if err := r.Failure(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestPlateauIsWhereMemoryEndsUp(t *testing.T) {
	for want, samples := range map[int64][]int64{5: {5}, 7: {1, 1, 1, 1, 7, 7, 90, 7}, 30: {10, 20, 30}} {
		if got := plateau(samples); got != want {
			t.Errorf("%v: %d, want %d", samples, got, want)
		}
	}
}

func TestProgressIsForTerminals(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = null.Close() })
	if NewLine(file) != nil || NewLine(null) != nil || NewLine(&bytes.Buffer{}) != nil {
		t.Error("a progress line for what is no terminal")
	}
	NewLine(file).Show(Progress{}) // which shows nothing
	NewLine(file).Clear()
	var out strings.Builder
	line := &Line{out: &out}
	line.Show(Progress{Phase: "measuring", Share: .5, Done: "1234567 messages/s", Errors: 2})
	line.Show(Progress{Phase: "settling", Share: 7})
	line.Clear()
	shown := strings.Split(out.String(), "\r")
	if len(shown) != 5 || !strings.Contains(shown[1], "[============            ] 1234567 messages/s  2 errors") ||
		len(shown[2]) != len(shown[1]) || strings.TrimSpace(shown[3]) != "" {
		t.Errorf("%q", shown)
	}
}
