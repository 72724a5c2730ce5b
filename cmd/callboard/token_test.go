package main_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// token prints a development token.
func token(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, nil, append([]string{"token", "new"}, args...)...)
	p.ends(0)
	return strings.TrimSpace(p.stdout.String())
}

func TestDevelopmentTokensFromTheKeyToTheMessage(t *testing.T) {
	data := t.TempDir()
	key := start(t, nil, "token", "key", "--data", data)
	key.ends(0)
	name := strings.TrimSpace(key.stdout.String())
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 || name != filepath.Join(data, "identity-key") {
		t.Fatalf("%s: %v, %v", name, info, err)
	}
	service, url := serve(t, "--data", data, "--identity-development", "--log-level", "debug")
	bob := token(t, "--data", data, "--user", "2", "--ttl", "1h")
	alice := token(t, "--data", data, "--user", "1")

	listener := start(t, nil, "listen", "--as", "2", "--url", url, "--token", bob)
	listener.stderr.has(t, `listening as 2\n`)
	file := filepath.Join(data, "token")
	if err := os.WriteFile(file, []byte(alice+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "--token", "@"+file, "hello in private").ends(0)
	listener.stdout.has(t, `^1: hello in private\n$`)

	t.Setenv("CALLBOARD_TOKEN", alice)
	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "again").ends(0)
	listener.stdout.has(t, `\n1: again\n$`)

	for _, c := range []struct{ user, token, code string }{
		{"2", alice, "user_mismatch"},
		{"1", "forged.forged.forged", "unauthorized"},
		{"1", token(t, "--data", t.TempDir(), "--user", "1"), "unauthorized"}, // of another key
	} {
		p := start(t, nil, "listen", "--as", c.user, "--url", url, "--token", c.token)
		_ = p.cmd.Wait()
		if p.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(p.stderr.String(), c.code) || strings.Contains(p.stderr.String(), c.token) {
			t.Errorf("%s: %s", c.code, p.stderr)
		}
	}
	t.Setenv("CALLBOARD_TOKEN", "callboard_an-operators-secret") // is not sent to where users connect
	p := start(t, nil, "listen", "--as", "1", "--url", url)
	_ = p.cmd.Wait()
	if !strings.Contains(p.stderr.String(), "unauthorized") {
		t.Errorf("without a token: %s", p.stderr)
	}
	listener.signal(os.Interrupt)
	listener.ends(0)
	service.signal(os.Interrupt)
	service.ends(0)
	for _, secret := range []string{alice, bob, strings.Split(alice, ".")[2], strings.Split(bob, ".")[1], "forged", "hello in private", "operators-secret"} {
		if strings.Contains(service.stderr.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !strings.Contains(service.stderr.String(), "tokens=true") {
		t.Error("the start does not say that tokens are wanted")
	}
}

func TestServiceWithTokensMayListenAnywhere(t *testing.T) {
	service, url := serve(t, "--listen", "0.0.0.0:0", "--identity-development")
	service.stderr.has(t, `let nobody in but through TLS`)
	response, err := http.Get("http" + strings.TrimPrefix(strings.Replace(url, "[::]", "127.0.0.1", 1), "ws") + "/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("/ws is answered with %d %s", response.StatusCode, body)
	}
	open, _ := serve(t)
	open.stderr.has(t, `nobody has to prove who they are`)
}

func TestIdentityFlagsThatDoNotFitAreRefused(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(`{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, words := range map[string][]string{
		"--identity-issuer x":                 {"identity.audiences", "identity.jwks"},
		"--identity-jwks https://127.0.0.1:1": {"identity.issuer"},
		"--identity-issuer x --identity-audience y --identity-jwks http://a.example.org/keys":   {"https"},
		"--identity-issuer x --identity-audience y --identity-jwks https://a --identity-keys b": {"one of"},
		"--identity-issuer x --identity-audience y --identity-keys /none":                       {"identity.keys", "/none", "no such file"},
		"--identity-issuer x --identity-audience y --identity-keys " + keys:                     {"identity.keys", "at least 32"},
		"--identity-revoked abc":                                                              {"identity.issuer"},
		"--identity-development --identity-revoked-file /none":                                {"identity.revoked-file", "/none", "no such file"},
		"--identity-development --identity-grace 0s":                                          {"--identity-grace"},
		"--identity-development --identity-leeway 1h":                                         {"--identity-leeway", "5m"},
		"--identity-issuer x --identity-audience y --identity-jwks https://":                  {"--identity-jwks", "https"},
		"--identity-issuer x --identity-audience y --identity-jwks https://u:p@a.example.org": {"--identity-jwks", "https"},
		"--identity-issuer x --identity-audience y":                                           {"identity.jwks", "identity.keys"},
	} {
		p := start(t, nil, append([]string{"serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir()}, strings.Fields(line)...)...)
		_ = p.cmd.Wait()
		last := p.stderr.String()[strings.LastIndex(strings.TrimSuffix("\n"+p.stderr.String(), "\n"), "\n"):]
		for _, word := range words {
			if p.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(last, word) {
				t.Errorf("%s: exit %d, no %q in %q", line, p.cmd.ProcessState.ExitCode(), word, last)
			}
		}
	}
}
