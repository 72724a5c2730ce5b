package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"callboard/protocol"
)

// samples have a value for each check, so that a setting with it can be given another than its default.
var samples = map[string]string{
	"address": "127.0.0.1:7", "address or none": "127.0.0.1:7", "origin": "https://a.example.org",
	"network": "10.0.0.7", "name": "vera", "sha256": strings.Repeat("ab", 32), "shards": "7",
	"keys":      "https://a.example.org/keys",
	"collector": "http://127.0.0.1:431", "header": "name=value",
}

// needs are the settings that one cannot be given without.
var needs = map[string][]string{
	"tls.cert": {"tls.key"}, "tls.key": {"tls.cert"},
	"identity.issuer": {"identity.audiences", "identity.keys"}, "identity.audiences": {"identity.issuer", "identity.keys"},
	"identity.jwks": {"identity.issuer", "identity.audiences"}, "identity.keys": {"identity.issuer", "identity.audiences"},
	"identity.revoked": {"identity.development"}, "identity.revoked-file": {"identity.development"}, "identity.query-token": {"identity.development"},
	"admin.tls.cert": {"admin.tls.key"}, "admin.tls.key": {"admin.tls.cert"},
	"admin.tls.client-ca": {"admin.tls.cert", "admin.tls.key"},
	"admin.tls.roles":     {"admin.tls.cert", "admin.tls.key", "admin.tls.client-ca"},
}

// another is a value that is not the default, as one line of YAML. The n-th is not the one before.
func another(t *testing.T, s *Setting, n int) string {
	t.Helper()
	switch {
	case s.isObjects():
		var fields []string
		for i := range s.Items {
			fields = append(fields, s.Items[i].Key+": "+another(t, &s.Items[i], n))
		}
		return "[{" + strings.Join(fields, ", ") + "}]"
	case len(s.OneOf) > 0:
		others := slices.DeleteFunc(slices.Clone(s.OneOf), func(word string) bool { return word == s.Default })
		return others[n%len(others)]
	case s.isList():
		return "[" + strings.Join(slices.Repeat([]string{samples[s.check]}, n+1), ", ") + "]"
	case s.check != "":
		if samples[s.check] == "" {
			t.Fatalf("the check %q of %s has no sample: add one to the test", s.check, s.Key)
		}
		if s.check == "sha256" {
			return strings.Repeat("a"+strconv.Itoa(n), 32)
		}
		return samples[s.check] + strconv.Itoa(n)
	case s.kind == reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(s.Default)
		if err != nil {
			t.Fatal(err)
		}
		return (d + time.Duration(n+1)*time.Second).String()
	case s.kind.Kind() == reflect.Bool:
		return strconv.FormatBool(s.Default != "true")
	case s.kind.Kind() == reflect.Int:
		value, err := strconv.Atoi(s.Default)
		if err != nil {
			t.Fatal(err)
		}
		if s.Max == s.Default {
			return strconv.Itoa(value - n - 1)
		}
		return strconv.Itoa(value + n + 1)
	case s.kind.Kind() == reflect.Float64:
		value, err := strconv.ParseFloat(s.Default, 64)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatFloat(value*float64(n+2), 'g', -1, 64)
	}
	return "x" + strconv.Itoa(n)
}

// file has the settings, each with its value.
func file(t *testing.T, values map[string]string) string {
	t.Helper()
	tree := map[string]any{}
	for key, value := range values {
		parts := strings.Split(key, ".")
		at := tree
		for _, section := range parts[:len(parts)-1] {
			below, ok := at[section].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[section] = below
			}
			at = below
		}
		var parsed any
		must(t, yaml.Unmarshal([]byte(value), &parsed))
		at[parts[len(parts)-1]] = parsed
	}
	text, err := yaml.Marshal(tree)
	must(t, err)
	return written(t, string(text))
}

func written(tb testing.TB, text string) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "callboard.yaml")
	must(tb, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	Flags(f)
	must(t, f.Parse(args))
	return f
}

// environment has what a setting cannot be given without.
func environment(t *testing.T, s *Setting) (variables []string) {
	t.Helper()
	for _, key := range needs[s.Key] {
		other := setting(key)
		variables = append(variables, other.Env+"="+another(t, other, 0))
	}
	return variables
}

func load(t *testing.T, from Sources) *Loaded {
	t.Helper()
	loaded, err := Load(from)
	must(t, err)
	return loaded
}

func (l *Loaded) effective(key string) Effective {
	all := l.Effective()
	return all[slices.IndexFunc(all, func(e Effective) bool { return e.Key == key })]
}

func TestEverySettingIsDescribed(t *testing.T) {
	flags, variables := map[string]string{"config": "the file"}, map[string]string{FileVariable: "the file", TokenVariable: "the token"}
	var describe func(s *Setting, nested bool)
	describe = func(s *Setting, nested bool) {
		if s.Help == "" || strings.HasSuffix(s.Help, ".") || strings.ContainsAny(s.Help, "|\n`") {
			t.Errorf("the help of %s is %q", s.Key, s.Help)
		}
		if s.check != "" && checks[s.check] == nil {
			t.Errorf("%s names the check %q, which there is not", s.Key, s.check)
		}
		if strings.Contains(s.Env, "_PORT") && strings.HasPrefix(s.Env, envPrefix+"PORT") || strings.HasPrefix(s.Env, envPrefix+"SERVICE_") {
			t.Errorf("%s: Kubernetes may set %s to something else", s.Key, s.Env)
		}
		if (s.Min != "" || s.Max != "") && !s.isList() {
			if least, most := s.bound(s.Min, s.kind), s.bound(s.Max, s.kind); s.Max != "" && least > most {
				t.Errorf("%s is bounded by %s and %s", s.Key, s.Min, s.Max)
			}
		}
		for i := range s.Items {
			describe(&s.Items[i], true)
		}
		if nested {
			return
		}
		if other := flags[s.Flag]; other != "" {
			t.Errorf("%s and %s have the flag --%s", s.Key, other, s.Flag)
		}
		if other := variables[s.Env]; other != "" {
			t.Errorf("%s and %s have the variable %s", s.Key, other, s.Env)
		}
		flags[s.Flag], variables[s.Env] = s.Key, s.Key
		s.value(s.fallback(), func(path string, err error) { t.Errorf("the default of %s%s: %v", s.Key, path, err) })
	}
	for i := range settings() {
		describe(&settings()[i], false)
	}
}

func TestDefaultsAreTheProtocols(t *testing.T) {
	c := load(t, Sources{}).Config
	if c.Inbox.Entries != protocol.MaxInboxEntries || c.Inbox.Bytes != protocol.MaxInboxBytes {
		t.Errorf("%+v", c.Inbox)
	}
	if least := setting("inbox.bytes").Min; least != strconv.Itoa(protocol.MaxFrameBytes) {
		t.Errorf("an inbox of %s bytes would not take the longest message, of %d", least, protocol.MaxFrameBytes)
	}
	if c.Limits.SessionsPerUser != protocol.MaxSessionsPerUser || c.Limits.FrameBytes != protocol.MaxFrameBytes {
		t.Errorf("%+v", c.Limits)
	}
	if least := setting("limits.sends.refusals").Min; least != strconv.Itoa(protocol.MaxInFlight) {
		t.Errorf("who is refused %s times is closed, and may have sent %d messages by then without a word from the service", least, protocol.MaxInFlight)
	}
}

func TestEverySettingComesFromFileEnvironmentAndFlag(t *testing.T) {
	for i := range settings() {
		s := &settings()[i]
		t.Run(s.Key, func(t *testing.T) {
			value, surrounding := another(t, s, 0), environment(t, s)
			name := file(t, map[string]string{s.Key: value})
			plain := load(t, Sources{}).effective(s.Key)
			if plain.Source != "default" {
				t.Errorf("the default comes from %s", plain.Source)
			}
			for source, from := range map[string]Sources{
				name:          {File: name, Environ: surrounding},
				s.Env:         {Environ: append(surrounding, s.Env+"="+value)},
				"--" + s.Flag: {Environ: surrounding, Flags: flags(t, "--"+s.Flag+"="+value)},
			} {
				got := load(t, from).effective(s.Key)
				if got.Value == plain.Value {
					t.Errorf("%s from %s left it at %q", value, source, got.Value)
				}
				if at, _, _ := strings.Cut(got.Source, ".yaml:"); at != strings.TrimSuffix(source, ".yaml") {
					t.Errorf("it comes from %s, and %s is said", source, got.Source)
				}
			}
		})
	}
}

func TestFlagGoesOverEnvironmentAndEnvironmentOverFile(t *testing.T) {
	for i := range settings() {
		s := &settings()[i]
		t.Run(s.Key, func(t *testing.T) {
			from := Sources{
				File:    file(t, map[string]string{s.Key: another(t, s, 0)}),
				Environ: append(environment(t, s), s.Env+"="+another(t, s, 1)),
			}
			if got := load(t, from).effective(s.Key); got.Source != s.Env {
				t.Errorf("file and environment: %+v", got)
			}
			from.Flags = flags(t, "--"+s.Flag+"="+another(t, s, 2))
			got := load(t, from).effective(s.Key)
			want := load(t, Sources{Environ: environment(t, s), Flags: from.Flags}).effective(s.Key)
			if got != want {
				t.Errorf("file, environment and flag: %+v, want %+v", got, want)
			}
		})
	}
}

func TestReloadTakesASettingOrSaysItNeedsARestart(t *testing.T) {
	for i := range settings() {
		s := &settings()[i]
		t.Run(s.Key, func(t *testing.T) {
			given := func(n int) *Loaded {
				return load(t, Sources{Environ: append(environment(t, s), s.Env+"="+another(t, s, n))})
			}
			before, after := given(0), given(1)
			if s.kind.Kind() == reflect.Bool || len(s.OneOf) == 2 { // which have two values in all
				before = load(t, Sources{Environ: environment(t, s)})
			}

			effective, changes, err := before.Changed(after)

			must(t, err)
			want := Change{s.Key, before.effective(s.Key).Value, after.effective(s.Key).Value, s.Reload != Restart}
			if s.Secret {
				want.Old, want.New = changes[0].Old, changes[0].New
			}
			if len(changes) != 1 || changes[0] != want {
				t.Fatalf("%+v, want %+v", changes, want)
			}
			holds := before
			if want.Taken {
				holds = after
			}
			if got := s.of(&effective.Config).Interface(); !reflect.DeepEqual(got, s.of(&holds.Config).Interface()) {
				t.Errorf("%v is in force", got)
			}
			if got := effective.effective(s.Key); got != holds.effective(s.Key) {
				t.Errorf("%+v is shown", got)
			}
		})
	}
}

func TestCertificateIsNotAddedOrRemovedWhileServing(t *testing.T) {
	plain := load(t, Sources{})
	sure := load(t, Sources{Environ: []string{"CALLBOARD_TLS_CERT=c", "CALLBOARD_TLS_KEY=k"}})
	for name, way := range map[string][2]*Loaded{"added": {plain, sure}, "removed": {sure, plain}} {
		effective, changes, err := way[0].Changed(way[1])
		must(t, err)
		if len(changes) != 2 || changes[0].Taken || changes[1].Taken || effective.Config.TLS != way[0].Config.TLS {
			t.Errorf("%s: %+v", name, changes)
		}
	}
}

// What needs a restart keeps its old value, and with that the new ones must make sense too.
func TestReloadIsRefusedThatWouldContradictWhatStays(t *testing.T) {
	before := load(t, Sources{Environ: []string{"CALLBOARD_STORE_KIND=memory"}})
	after := load(t, Sources{Environ: []string{
		"CALLBOARD_ADMIN_TLS_CERT=c", "CALLBOARD_ADMIN_TLS_KEY=k", "CALLBOARD_ADMIN_TLS_CLIENT_CA=a",
	}})
	if _, _, err := before.Changed(after); err == nil || !strings.Contains(err.Error(), "admin.tls.cert") {
		t.Errorf("%v", err)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	one := load(t, Sources{Environ: []string{"CALLBOARD_ADMIN_TOKENS=[{name: vera, role: viewer, sha256: " + hash + "}]"}})
	_, changes, err := load(t, Sources{}).Changed(one)
	must(t, err)
	if shown := fmt.Sprint(one.Effective(), changes); strings.Contains(shown, hash) || !strings.Contains(shown, "*** (1)") {
		t.Errorf("%s", shown)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
