package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"callboard/cmd/callboard/config"
)

// shownSupervision is what 'tree show' has of the settings.
type shownSupervision struct {
	Levels []struct {
		Name       string
		Rest       string
		RetryAfter string `json:"retry_after_ms"`
		MaxRetry   string `json:"max_retry_after_ms"`
		Intensity  *struct {
			Failures int
			Window   string `json:"window_ms"`
			Park     string `json:"park_ms"`
			MaxPark  string `json:"max_park_ms"`
		}
	}
	StuckAfter  string `json:"stuck_after_ms"`
	Letters     string `json:"max_deadletters"`
	LetterBytes string `json:"max_deadletter_bytes"`
}

// words are the values, by what would be their key; times are in ms.
func (s *shownSupervision) words() map[string]string {
	words := map[string]string{"stuck-after": s.StuckAfter, "deadletters.messages": s.Letters, "deadletters.bytes": s.LetterBytes}
	for _, l := range s.Levels {
		prefix := l.Name + "."
		if l.Name == "user" {
			prefix = ""
		}
		if i := l.Intensity; i != nil {
			words[prefix+"failures"], words[prefix+"window"] = strconv.Itoa(i.Failures), i.Window
			words[prefix+"park"], words[prefix+"max-park"] = i.Park, i.MaxPark
		}
		if l.RetryAfter != "0" {
			words["retry-after"], words["max-retry-after"] = l.RetryAfter, l.MaxRetry
		}
	}
	return words
}

func supervisionShown(t *testing.T, caller []string) *shownSupervision {
	t.Helper()
	shown := new(shownSupervision)
	if err := json.Unmarshal([]byte(call(t, caller, "tree", "show", "-o", "json")), shown); err != nil {
		t.Fatal(err)
	}
	return shown
}

// Every setting of the supervision, each with a value of its own, is taken by a service that
// runs and shown by it.
func TestHangupChangesAllOfTheSupervision(t *testing.T) {
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), "")
	service, _, caller := serveWithAdmin(t, "--config", name)
	before := supervisionShown(t, caller).words()

	text, want := "", map[string]string{}
	for i, s := range config.Settings() {
		key, ok := strings.CutPrefix(s.Key, "supervision.")
		if !ok {
			continue
		}
		value := fmt.Sprint(200 + i)
		switch {
		case key == "deadletters.bytes":
			value = fmt.Sprint(1_000_000 + i)
		case strings.HasSuffix(key, "max-park"), strings.HasSuffix(key, "max-retry-after"):
			value = fmt.Sprint(5000 + i) // more than the first
		}
		want[key] = value
		if s.Unit == "" {
			value += "ms"
		}
		text += fmt.Sprintf("%s: %s\n", s.Key, value)
	}
	configured(t, name, nested(text))
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, fmt.Sprintf(`msg="configuration reloaded" file=\S+ changed=%d need_restart=0\n`, len(want)))

	shown := supervisionShown(t, caller)
	if got := shown.words(); !maps.Equal(got, want) || maps.Equal(got, before) {
		t.Errorf("shown is %v\nwant %v\nbefore it was %v", got, want, before)
	}
	for _, l := range shown.Levels {
		if (l.Intensity == nil) != (l.Name == "session") || l.Rest == "" {
			t.Errorf("%+v", l)
		}
	}
	out := call(t, caller, "tree", "show")
	for _, row := range []string{
		`\nLEVEL +MAY FAIL +WITHIN +RESTS FOR +TRIES AGAIN AFTER +A REST\n`,
		`\njournal +` + want["journal.failures"] + ` times +` + want["journal.window"] + `ms +` + want["journal.park"] + `ms to 5\.\d+s +- +messages are refused`,
		`\nsession +- +- +- +- +there is none and nothing to tune`,
		`\nAn actor is stuck after ` + want["stuck-after"] + `ms in one message\. At most ` + want["deadletters.messages"] + ` messages `,
	} {
		if !regexp.MustCompile(row).MatchString(out) {
			t.Errorf("no %q in\n%s", row, out)
		}
	}

	configured(t, name, "")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, fmt.Sprintf(`(?s)changed=%[1]d need.*changed=%[1]d need`, len(want)))
	if got := supervisionShown(t, caller).words(); !maps.Equal(got, before) {
		t.Errorf("without a file it is %v, want %v again", got, before)
	}
}

// nested is a file in which each line has a whole key.
func nested(lines string) string {
	var b strings.Builder
	for i, section := range []string{"", "deadletters", "registry", "shard", "gateway", "doorkeeper", "coroner", "journal"} {
		if i == 0 {
			b.WriteString("supervision:\n")
		} else {
			b.WriteString("  " + section + ":\n")
		}
		for line := range strings.Lines(lines) {
			key, value, _ := strings.Cut(strings.TrimPrefix(line, "supervision."), ": ")
			in, name, deeper := strings.Cut(key, ".")
			switch {
			case !deeper && section == "":
				b.WriteString("  " + key + ": " + value)
			case deeper && in == section:
				b.WriteString("    " + name + ": " + value)
			}
		}
	}
	return b.String()
}

// What hardly anybody sets is not in the help of serve, and is a flag all the same.
func TestRareSettingsAreFlagsThatTheHelpLeavesOut(t *testing.T) {
	help := call(t, nil, "serve", "--help")
	if strings.Contains(help, "supervision-journal-park") || !strings.Contains(help, "--supervision-park") {
		t.Errorf("%s", help)
	}
	_, _, caller := serveWithAdmin(t, "--supervision-journal-park=77ms")
	if got := supervisionShown(t, caller).words()["journal.park"]; got != "77" {
		t.Errorf("the journal rests for %s ms", got)
	}
}
