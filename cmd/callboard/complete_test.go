package main_test

import (
	"strings"
	"testing"
	"time"
)

// completed is what a shell is offered.
func completed(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, nil, append([]string{"__complete"}, args...)...)
	p.ends(0)
	return p.stdout.String()
}

func TestShellCompletesUsersAndSessions(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	for _, user := range []string{"alice", "albert", "bob"} {
		p := start(t, nil, "listen", "--as", user, "--device", "phone", "--url", url)
		p.stderr.has(t, `listening as `)
	}
	at := func(command ...string) []string {
		return append(append([]string{command[0]}, caller...), command[1:]...)
	}
	nothing := ":4\n" // and no names of files
	for name, c := range map[string]struct {
		args []string
		want map[string]bool
	}{
		"a user":            {append(at("user", "show"), "al"), map[string]bool{"albert\tactive, 1 sessions\n": true, "alice\t": true, "bob": false}},
		"the one to close":  {append(at("user", "close"), ""), map[string]bool{"albert\t": true, "alice\t": true, "bob\t": true}},
		"a session":         {append(at("session", "close"), ""), map[string]bool{"1\talice phone\n": true, "3\tbob phone\n": true}},
		"of a user":         {append(at("session", "list"), "--user", "b"), map[string]bool{"bob\t": true, "alice": false}},
		"a receiver":        {append(at("send"), "--to", "bo"), map[string]bool{"bob\t": true}},
		"no second":         {append(at("user", "show"), "alice", ""), map[string]bool{"bob": false}},
		"a format":          {append(at("stats"), "-o", ""), map[string]bool{"json\n": true, "yaml\n": true, "table\n": true}},
		"no service":        {[]string{"user", "show", "--admin", "http://127.0.0.1:1", "--data", caller[3], ""}, nil},
		"no token":          {[]string{"user", "show", "--token-file", "/none", ""}, nil},
		"nobody of that id": {append(at("user", "show"), "zo"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			out := completed(t, c.args...)
			if took := time.Since(begun); took > patience/2 {
				t.Errorf("it took %s", took)
			}
			for !offers(out, c.want) && time.Since(begun) < patience { // a service that does not answer at once is not waited for
				out = completed(t, c.args...)
			}
			for word, is := range c.want {
				if has := strings.Contains(out, word); has != is {
					t.Errorf("%q: %t, want %t: %q", word, has, is, out)
				}
			}
			if c.want == nil && out != nothing {
				t.Errorf("%q", out)
			}
		})
	}
}

// offers is whether all words are offered that are to be.
func offers(out string, want map[string]bool) bool {
	for word, is := range want {
		if is && !strings.Contains(out, word) {
			return false
		}
	}
	return true
}
