package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFaultNamesLineKeyAndRemedy(t *testing.T) {
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"unknown":            {"listen: 127.0.0.1:1\ndrian: 5s\n", []string{":2: drian is no setting; did you mean drain"}},
		"unknown below":      {"log:\n  lovel: info\n", []string{":2: log.lovel is no setting; did you mean log.level"}},
		"without section":    {"\n\nentries: 5\n", []string{":3: entries is no setting; did you mean inbox.entries"}},
		"like nothing":       {"zzzzzzzz: 5\n", []string{":1: zzzzzzzz is no setting; 'callboard config docs'"}},
		"twice":              {"drain: 5s\nshards: 1\ndrain: 6s\n", []string{":3: drain is given a second time, after line 1"}},
		"two of them":        {"max-connections: many\ndrain: long\n", []string{":1: max-connections \"many\" is no whole number", "100000", ":2: drain \"long\" is no time", "10s"}},
		"no unit":            {"drain: 10\n", []string{":1: drain \"10\" is no time: give a number with its unit, like 10s"}},
		"below":              {"retention:\n  age: 1s\n", []string{":2: retention.age is 1s: give at least 1m, like 720h"}},
		"above":              {"store:\n  memtable: 5000\n", []string{":2: store.memtable is 5000: give 1 to 1024"}},
		"shards":             {"shards: 5000\n", []string{":1: shards \"5000\": give 1 to 4096, auto or kept"}},
		"word":               {"store:\n  kind: disk\n", []string{`:2: store.kind "disk": give pebble or memory`}},
		"address":            {"listen: here\n", []string{":1: listen ", "host:port"}},
		"origin":             {"allow-origins:\n- https://a.example\n- b.example\n", []string{":3: allow-origins.1 ", "https://example.org"}},
		"section for value":  {"listen:\n  host: a\n", []string{":2: listen takes a string, and no section"}},
		"value for section":  {"inbox: 5\n", []string{":1: inbox is no section"}},
		"value for list":     {"allow-origins: https://a.example\n", []string{":1: allow-origins takes a list: begin each element with -"}},
		"list for value":     {"drain: [1s]\n", []string{":1: drain takes one duration"}},
		"nothing":            {"drain:\n", []string{":1: drain has no value", "remove the key"}},
		"list for file":      {"- a\n", []string{":1: is no section"}},
		"no YAML":            {"listen: 127.0.0.1:1\n\tdrain: 5s\n", []string{":2: is no YAML here"}},
		"two documents":      {"drain: 5s\n---\ndrain: 6s\n", []string{"second document"}},
		"token without role": {"admin:\n  tokens:\n  - name: a\n    sha256: b\n", []string{":3: admin.tokens.0 has no role", ":4: admin.tokens.0.sha256 is no SHA-256"}},
		"token is a word":    {"admin:\n  tokens: [a]\n", []string{":2: admin.tokens.0 takes an object with name, role, sha256"}},
		"token misspelt":     {"admin:\n  tokens:\n  - naem: a\n", []string{":3: admin.tokens.0.naem is no setting; did you mean name"}},
		"same name":          {"admin:\n  tokens:\n  - &a {name: a, role: viewer, sha256: " + strings.Repeat("ab", 32) + "}\n  - *a\n", []string{`:2: admin.tokens has two with the name "a"`}},
		"other machines":     {"\nlisten: 0.0.0.0:80\n", []string{":2: listen 0.0.0.0:80 would let other machines in", "--insecure"}},
		"with a certificate": {"listen: 0.0.0.0:80\ntls: {cert: a, key: b}\n", []string{":1: listen 0.0.0.0:80 would let other machines in", "--insecure"}},
		"token in clear":     {"admin:\n  listen: 0.0.0.0:80\n", []string{":2: admin.listen 0.0.0.0:80 would send the admin token", "admin.tls.cert"}},
		"cert without key":   {"tls:\n  cert: a\n", []string{":2: tls.cert is given and tls.key is not: give both"}},
		"key without cert":   {"admin:\n  tls:\n    key: a\n", []string{":3: admin.tls.key is given and admin.tls.cert is not: give both"}},
		"authority alone":    {"admin:\n  tls:\n    client-ca: a\n", []string{":3: admin.tls.client-ca asks for", "admin.tls.cert"}},
		"roles alone":        {"admin:\n  tls:\n    roles: [{name: a, role: admin}]\n", []string{":3: admin.tls.roles are for", "client-ca"}},
		"rests that shrink":  {"supervision:\n  park: 1m\n", []string{"supervision.max-park is 30s, less than supervision.park, which is 1m0s"}},
		"sickness shrinks":   {"supervision:\n  gateway:\n    park: 2m\n", []string{"supervision.gateway.max-park is 1m0s, less than supervision.gateway.park, which is 2m0s"}},
		"tries shrink":       {"supervision:\n  journal: {max-park: 1ms}\n  max-retry-after: 1ms\n", []string{":2: supervision.journal.max-park is 1ms, less", ":3: supervision.max-retry-after is 1ms, less than supervision.retry-after"}},
		"issuer alone":       {"identity:\n  issuer: a\n", []string{":2: identity.issuer is given and identity.audiences is not", "one of identity.jwks and identity.keys"}},
		"issuer, no keys":    {"identity: {issuer: a, audiences: [b]}\n", []string{":1: identity.issuer has no keys"}},
		"keys of nobody":     {"identity:\n  keys: a\n", []string{":2: identity.keys is given and identity.issuer is not"}},
		"audience of nobody": {"identity:\n  audiences: [a]\n", []string{":2: identity.audiences is given and identity.issuer is not"}},
		"two sets of keys":   {"identity: {issuer: a, audiences: [b], keys: c, jwks: 'https://d'}\n", []string{":1: identity.jwks is given and identity.keys too"}},
		"keys in clear":      {"identity:\n  jwks: http://a.example/keys\n", []string{":2: identity.jwks ", "https"}},
		"revoked of none":    {"identity:\n  revoked: [a]\n", []string{":2: identity.revoked is for tokens, and none is asked for"}},
		"query of none":      {"identity:\n  query-token: true\n", []string{":2: identity.query-token is for tokens"}},
		"no grace":           {"identity:\n  grace: 0s\n", []string{":2: identity.grace is 0s: give at least 1ms"}},
		"no directory":       {"data: \"\"\n", []string{":1: data is empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Sources{File: written(t, test.file)})

			faults, ok := errors.AsType[FaultError](err)
			if !ok {
				t.Fatalf("%v", err)
			}
			var all strings.Builder
			for _, f := range faults {
				all.WriteString(f.String() + "\n")
			}
			for _, want := range test.want {
				if !strings.Contains(all.String(), want) {
					t.Errorf("%q has no %q", all.String(), want)
				}
			}
		})
	}
}

// Some issuers want a query, and it may have a key; so may a URL that is not taken.
func TestQueryOfAURLOfKeysIsNotShown(t *testing.T) {
	given := "identity: {issuer: a, audiences: [b], jwks: 'https://keys.example.org/jwks?key=hidden%s'}"
	before := load(t, Sources{File: written(t, fmt.Sprintf(given, "1"))})
	after := load(t, Sources{File: written(t, fmt.Sprintf(given, "2"))})
	_, changes, err := before.Changed(after)
	if err != nil || len(changes) != 1 || !changes[0].Taken {
		t.Fatalf("%+v, %v", changes, err)
	}
	if before.Config.Identity.JWKS != "https://keys.example.org/jwks?key=hidden1" {
		t.Error(before.Config.Identity.JWKS)
	}
	_, refused := Load(Sources{File: written(t, "identity: {jwks: 'http://user:hidden@keys.example.org?key=hidden'}")})
	all := fmt.Sprint(before.Effective(), changes, refused)
	if refused == nil || strings.Contains(all, "hidden") || !strings.Contains(all, "https://keys.example.org/jwks?***") {
		t.Error(all)
	}
}

// Who asks for tokens lets other machines in, and who asks for none does not.
func TestTokensOpenOtherAddresses(t *testing.T) {
	for _, text := range []string{
		"identity: {development: true}", "identity: {issuer: a, audiences: [b], keys: c}", "insecure: true",
		"identity: {issuer: a, audiences: [b], jwks: 'http://127.0.0.1/keys'}",
	} {
		load(t, Sources{File: written(t, "listen: 0.0.0.0:80\n"+text+"\n")})
	}
}

func TestNameOfThisMachineThatLeadsElsewhereIsRefused(t *testing.T) {
	here, everywhere, other := &net.TCPAddr{IP: net.IPv6loopback, Port: 1}, &net.TCPAddr{IP: net.IPv6zero, Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	for _, c := range []struct {
		args         string
		users, admin bool // whether other machines may come
	}{
		{"--listen=localhost:1 --admin=localhost:2", false, false},
		{"--listen=localhost:1 --admin=localhost:2 --insecure", true, true},
		{"--listen=localhost:1 --admin=localhost:2 --identity-development", true, false},
		{"--listen=localhost:1 --admin=localhost:2 --admin-tls-cert=a --admin-tls-key=b", false, true},
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		Flags(flags)
		if err := flags.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(Sources{Flags: flags})
		if err != nil {
			t.Fatalf("%s: %v", c.args, err)
		}
		if err := errors.Join(loaded.Config.BoundUsers(here), loaded.Config.BoundAdmin(here)); err != nil {
			t.Errorf("%s: %v", c.args, err)
		}
		for _, at := range []net.Addr{everywhere, other} {
			users, admin := loaded.Config.BoundUsers(at), loaded.Config.BoundAdmin(at)
			if (users == nil) != c.users || (admin == nil) != c.admin {
				t.Errorf("%s at %s: %v, %v", c.args, at, users, admin)
			}
			if users != nil && (!strings.HasPrefix(users.Error(), "listen localhost:1 is "+at.String()) || !strings.Contains(users.Error(), "127.0.0.1")) {
				t.Errorf("%v", users)
			}
		}
	}
}

func TestFaultNamesVariableOrFlag(t *testing.T) {
	for variable, want := range map[string]string{
		"CALLBOARD_DRAIN=soon":          `CALLBOARD_DRAIN "soon" is no time`,
		"CALLBOARD_LISTEN=0.0.0.0:1":    "CALLBOARD_LISTEN 0.0.0.0:1 would let",
		"CALLBOARD_ADMIN_TOKENS=vera":   "CALLBOARD_ADMIN_TOKENS is no list: give it as YAML on one line, like [{name: ..., role: ..., sha256: ...}]",
		"CALLBOARD_ALLOW_ORIGINS=a, b":  "CALLBOARD_ALLOW_ORIGINS.0 \"a\"",
		"CALLBOARD_ADMIN_TOKENS=[{a: b": "CALLBOARD_ADMIN_TOKENS is no list",
	} {
		if _, err := Load(Sources{Environ: []string{variable}}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", variable, err)
		}
	}
	if _, err := Load(Sources{Flags: flags(t, "--listen", "0.0.0.0:1")}); err == nil || !strings.HasPrefix(err.Error(), "--listen 0.0.0.0:1") {
		t.Errorf("%v", err)
	}
}

func TestMisspeltVariableIsAWarning(t *testing.T) {
	loaded := load(t, Sources{Environ: []string{
		"CALLBOARD_DRIAN=5s", "CALLBOARD_TOKEN=x", "CALLBOARD_CONFIG=x",
		"CALLBOARD_PORT=tcp://10.0.0.1:80", "CALLBOARD_SERVICE_HOST=10.0.0.1", "DRAIN=1s",
	}})
	if len(loaded.Warnings) != 1 || loaded.Warnings[0] != "CALLBOARD_DRIAN is no setting; did you mean CALLBOARD_DRAIN" {
		t.Errorf("%q", loaded.Warnings)
	}
}

func TestListGrowsWithEachFlag(t *testing.T) {
	c := load(t, Sources{Flags: flags(t, "--allow-origin", "https://a.example,https://b.example", "--allow-origin", "https://c.example")}).Config
	if len(c.AllowOrigins) != 3 || c.AllowOrigins[2] != "https://c.example" {
		t.Errorf("%q", c.AllowOrigins)
	}
}

func TestFileThatCannotBeReadIsSaid(t *testing.T) {
	if _, err := Load(Sources{File: "/none"}); err == nil || !strings.Contains(err.Error(), "/none") || !strings.Contains(err.Error(), "--config") {
		t.Errorf("%v", err)
	}
	if _, err := Load(Sources{File: written(t, strings.Repeat("# much\n", maxFile/7+1))}); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("%v", err)
	}
}

// Whatever a file has, it is loaded or its faults are named, in lines that it has.
func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nadmin:\n  tokens: [{name: a, role: b}]\n")
	f.Add("a: &a [*a]\n")
	f.Add("admin: &a\n  tls: *a\n")
	f.Add("drain: !!binary aGk=\n<<: {shards: 1}\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := Load(Sources{File: written(t, text)})
		if err == nil {
			loaded.Effective()
			return
		}
		faults, _ := errors.AsType[FaultError](err)
		for _, fault := range faults {
			if fault.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u0085")+strings.Count(text, "\u2028")+strings.Count(text, "\u2029")+1 {
				t.Errorf("%v", fault)
			}
		}
	})
}
