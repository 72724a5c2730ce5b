package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"callboard/cmd/callboard/config"
	"callboard/transport/identity/identitytest"
)

// alternatives are settings of which one alone can be given: all are tried without the one, and without the other.
var alternatives = []string{"identity.keys", "identity.jwks"}

// settingValues has two values for every setting but one, the first not the default, that a service can run with all
// at once. Numbers, times and words follow from the default; what names something is made here.
func settingValues(t *testing.T, a *authority, without string) (values [2]map[string]string) {
	t.Helper()
	folder := t.TempDir()
	for n := range values {
		keys, revoked := filepath.Join(folder, fmt.Sprint("keys", n)), filepath.Join(folder, fmt.Sprint("revoked", n))
		must(t, os.WriteFile(keys, identitytest.Set(t, identitytest.Ed(t, "")), 0o600))
		must(t, os.WriteFile(revoked, []byte("stolen\n"), 0o600))
		cert, key := a.issue(fmt.Sprint("server", n), "callboard", int64(7+n), time.Hour)
		hash := strings.Repeat("a"+strconv.Itoa(n), 32)
		given := map[string]string{
			"listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0", // the second: see below
			"allow-origins": fmt.Sprintf("[https://app%d.example.org]", n),
			"shards":        strconv.Itoa(3 + n),
			"data":          filepath.Join(folder, fmt.Sprint("data", n)),
			"backup-dir":    filepath.Join(folder, fmt.Sprint("backups", n)),
			"tls.cert":      cert, "tls.key": key,
			"admin.token-file": filepath.Join(folder, fmt.Sprint("token", n)),
			"admin.tokens":     "[{name: vera, role: viewer, sha256: " + hash + "}]",
			"admin.tls.cert":   cert, "admin.tls.key": key, "admin.tls.client-ca": a.file,
			"identity.issuer": fmt.Sprintf("https://login%d.example.org", n), "identity.audiences": fmt.Sprintf("[callboard%d]", n),
			"identity.jwks": identitytest.Serve(t, identitytest.Set(t, identitytest.Ed(t, "1"))).URL, "identity.keys": keys,
			"identity.revoked": fmt.Sprintf("[lost%d]", n), "identity.revoked-file": revoked,
			"tracing.endpoint": fmt.Sprintf("http://127.0.0.1:%d", 3+n), "tracing.ca": a.file, // nobody listens there
			"tracing.headers": fmt.Sprintf("[x-key=%d]", n), "tracing.service": fmt.Sprint("theatre", n),
			"limits.attempts.exempt": fmt.Sprintf("[127.0.0.0/%d]", 8+n), "limits.attempts.proxies": fmt.Sprintf("[192.0.2.%d]", 1+n),
			"admin.tls.roles": fmt.Sprintf("[{name: callboard, role: operator}, {name: otto%d, role: operator}]", n),
		}
		if n == 1 {
			given["listen"], given["admin.listen"] = "127.0.0.1:1", "127.0.0.1:2"
			theirs := newAuthority(t, "theirs").file
			given["admin.tls.client-ca"], given["tracing.ca"] = theirs, theirs
		}
		values[n] = map[string]string{}
		for _, s := range config.Settings() {
			if s.Key == without {
				continue
			}
			value, known := given[s.Key]
			if !known {
				value = otherValue(t, &s, n)
			}
			values[n][s.Key] = value
		}
	}
	return values
}

// otherValue is another value than the default, and with n=1 another one again: the default, where there are two.
func otherValue(t *testing.T, s *config.Setting, n int) string {
	t.Helper()
	if words := slices.DeleteFunc(slices.Clone(s.OneOf), func(word string) bool { return word == s.Default }); len(words) > 0 {
		return append(words, s.Default)[n]
	}
	if whole, err := strconv.Atoi(s.Default); err == nil {
		if s.Max == s.Default {
			return strconv.Itoa(whole - 1 - n)
		}
		return strconv.Itoa(whole + 1 + n)
	}
	if b, err := strconv.ParseBool(s.Default); err == nil {
		return strconv.FormatBool(!b != (n == 1))
	}
	if share, err := strconv.ParseFloat(s.Default, 64); err == nil {
		return strconv.FormatFloat(share/float64(2+n), 'g', -1, 64)
	}
	if d, err := time.ParseDuration(s.Default); err == nil {
		return (d + time.Duration(1+n)*time.Second).String()
	}
	t.Fatalf("%s has no value here: add one to settingValues", s.Key)
	return ""
}

// yamlOf is a file that has the values: a key with dots stands for sections.
func yamlOf(values map[string]string) string {
	var text strings.Builder
	sections := map[string]map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if section, rest, below := strings.Cut(key, "."); below {
			if sections[section] == nil {
				sections[section] = map[string]string{}
			}
			sections[section][rest] = values[key]
			continue
		}
		fmt.Fprintf(&text, "%s: %s\n", key, values[key])
	}
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		text.WriteString(section + ":\n" + regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSuffix(yamlOf(sections[section]), "\n"), "  ") + "\n")
	}
	return text.String()
}

// shown is what 'config show' prints of a service with the values, by key.
func shown(t *testing.T, a *authority, service *process, values map[string]string) (found map[string]struct{ Value, Source string }) {
	t.Helper()
	address := service.stderr.has(t, `serving operators"[ ,]"?address"?[=:]"?([0-9.:]+)`)
	out := call(t, []string{
		"--admin", "https://" + address, "--ca", a.file, "--cert", values["admin.tls.cert"], "--key", values["admin.tls.key"], "-o", "json",
	}, "config", "show")
	var answer struct {
		Settings []struct{ Key, Value, Source string }
	}
	must(t, json.Unmarshal([]byte(out), &answer))
	found = map[string]struct{ Value, Source string }{}
	for _, s := range answer.Settings {
		found[s.Key] = struct{ Value, Source string }{s.Value, s.Source}
	}
	return found
}

// asShown is whether a value is shown as what was given.
func asShown(value, given string) bool {
	if d, err := time.ParseDuration(given); err == nil {
		other, _ := time.ParseDuration(value)
		return d == other
	}
	return value == given || strings.HasPrefix(value, "*** (1)")
}

// All settings at once, from each source: a service runs with them, and says where it has them from.
func TestServiceTakesEverySettingFromFileEnvironmentAndFlag(t *testing.T) {
	for n, source := range []string{"file", "environment", "flag", "file", "environment", "flag"} {
		without := alternatives[n/3]
		t.Run(source+" without "+without, func(t *testing.T) {
			a := newAuthority(t, "ours")
			values := settingValues(t, a, without)[0]
			args := []string{"serve"}
			name := filepath.Join(t.TempDir(), "c.yaml")
			for _, s := range config.Settings() {
				switch value, given := values[s.Key]; {
				case !given:
				case source == "environment":
					t.Setenv(s.Env, value)
				case source == "flag":
					args = append(args, "--"+s.Flag+"="+value)
				}
			}
			if source == "file" {
				args = append(args, "--config", configured(t, name, yamlOf(values)))
			}

			service := start(t, nil, args...)

			found := shown(t, a, service, values)
			for _, s := range config.Settings() {
				if s.Key == without {
					continue
				}
				from := map[string]string{"file": name + ":", "environment": s.Env, "flag": "--" + s.Flag}[source]
				if got := found[s.Key]; !asShown(got.Value, values[s.Key]) || !strings.HasPrefix(got.Source, from) {
					t.Errorf("%s was given as %s by %s, and is %s from %s", s.Key, values[s.Key], from, got.Value, got.Source)
				}
			}
		})
	}
}

// SIGHUP with another value for every setting: each is taken, or said to need a restart, as its description has it.
func TestHangupSaysOfEverySettingWhatBecameOfIt(t *testing.T) {
	for _, without := range alternatives {
		t.Run("without "+without, func(t *testing.T) { hangupSaysOfEverySetting(t, without) })
	}
}

func hangupSaysOfEverySetting(t *testing.T, without string) {
	t.Helper()
	a := newAuthority(t, "ours")
	values := settingValues(t, a, without)
	name := configured(t, filepath.Join(t.TempDir(), "c.yaml"), yamlOf(values[0]))
	service := start(t, nil, "serve", "--config", name)
	before := shown(t, a, service, values[0])
	next := maps.Clone(values[1])
	next["admin.tls.client-ca"] = values[0]["admin.tls.client-ca"] // at first: the callers of the test are to get in

	configured(t, name, yamlOf(next))
	service.signal(syscall.SIGHUP)

	service.stderr.has(t, `"configuration reloaded".*\n`)
	after := shown(t, a, service, values[0])
	for _, s := range config.Settings() {
		if values[0][s.Key] == next[s.Key] {
			if s.Key != "admin.tls.client-ca" && s.Key != without {
				t.Errorf("%s has one value twice: give it two in settingValues", s.Key)
			}
			continue
		}
		pattern := `"configuration needs a restart"[ ,]"?key"?[=:]"?%s["\s]`
		if s.Reload != config.Restart {
			pattern = `"configuration changed"[ ,]"?key"?[=:]"?%s["\s]`
		}
		service.stderr.has(t, fmt.Sprintf(pattern, regexp.QuoteMeta(s.Key)))
		switch got := after[s.Key].Value; {
		case s.Reload == config.Restart && got != before[s.Key].Value:
			t.Errorf("%s needs a restart, and is %s now", s.Key, got)
		case s.Reload != config.Restart && !asShown(got, next[s.Key]):
			t.Errorf("%s was taken as %s, and is shown as %s", s.Key, next[s.Key], got)
		}
	}

	values[1]["log.level"] = "info"
	configured(t, name, yamlOf(values[1]))
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `"configuration changed"[ ,]"?key"?[=:]"?admin.tls.client-ca["\s]`)
	service.signal(syscall.SIGTERM)
	service.ends(0)
}
