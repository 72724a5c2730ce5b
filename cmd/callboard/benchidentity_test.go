package main_test

import (
	"strings"
	"testing"
)

// Every load can be put on a service with identity.
func TestBenchUsersHaveTokens(t *testing.T) {
	_, url, operator := serveWithAdmin(t, "--identity-development")
	data := operator[3]
	for _, line := range []string{
		"relay --protocol seed", "durable --protocol json", "idle --protocol proto",
		"scale --steps 4,5 --admin " + operator[1] + " --data " + data, "look --idle 1 --rounds 1 --admin " + operator[1] + " --data " + data,
	} {
		args := append([]string{"bench"}, strings.Fields(line)...)
		if !strings.HasPrefix(line, "idle") {
			args = append(args, "--warmup", "0s")
		}
		args = append(args, "--users", "2", "--duration", "50ms", "--url", url)
		p := start(t, nil, args...)
		p.ends(4)
		if !strings.Contains(p.stderr.String(), "token") {
			t.Errorf("without tokens '%s' says %s", line, p.stderr.String())
		}
		call(t, nil, append(args, "--identity-data", data)...)
	}
}
