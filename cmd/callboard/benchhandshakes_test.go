package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"callboard/cmd/callboard/bench"
)

// A storm of all kinds against a service with identity: who is forged is refused by its signature, who says nothing
// more is cut, and those who relay notice nothing but the time.
func TestStormOfHandshakesIsTurnedAwayAndTheRelayGoesOn(t *testing.T) {
	service, url, operator := serveWithAdmin(t, "--identity-development", "--log-level", "debug")
	data := operator[3]

	// The first of each kind come within 1 s, and have been there for longer than the service's patience at the end.
	out := call(t, nil, "bench", "handshakes", "--url", url, "--identity-data", data, "--users", "4", "--rate", "200", "--attempts", "60",
		"--rounds", "1", "--duration", "12s", "--warmup", "0s", "--check", "-o", "json")

	var result bench.HandshakesResult
	must(t, json.Unmarshal([]byte(out), &result))
	round := result.Rounds[0]
	for _, spell := range []bench.Spell{round.Calm, round.Storm} {
		if spell.Messages < 1200 { // half of what was due
			t.Errorf("%d messages were relayed in %.0f s", spell.Messages, spell.Seconds)
		}
	}
	if len(result.Errors) > 0 || len(result.Notes) > 0 || len(round.Kinds) != len(bench.Attacks) {
		t.Errorf("errors %v, notes %v, kinds %v", result.Errors, result.Notes, round.Kinds)
	}
	for kind, fate := range round.Kinds { // the very last handshake may come too late
		ends := fate.Answered + fate.LetIn + fate.Cut + fate.Kept
		if fate.Attempts < 11 || fate.Failed > 0 || ends != fate.Attempts || fate.LetIn > 0 {
			t.Errorf("%s: %+v", kind, fate)
		}
		held := kind == bench.Mute || kind == bench.Half || kind == bench.Silent
		if held && (fate.Cut == 0 || fate.Kept == 0 || fate.Answered > 0) {
			t.Errorf("the %s are not held until the service cuts them: %+v", kind, fate)
		}
	}
	if n := round.Kinds[bench.Forged].Answered; n != 12 {
		t.Errorf("%d of the forged are answered", n)
	}
	if n := scrape(t, operator).value(t, "callboard_handshakes_total", "result", "unauthorized"); n != 12 {
		t.Errorf("%v handshakes are counted as unauthorized", n)
	}
	if n := strings.Count(service.stderr.String(), "the token's signature does not hold"); n != 12 {
		t.Errorf("the signature of %d tokens was checked", n)
	}
}

// Where nobody is asked for a token the result says that nothing was forged.
func TestStormSaysThatAServiceAsksForNoTokens(t *testing.T) {
	_, url := serve(t)

	out := call(t, nil, "bench", "handshakes", "--url", url, "--users", "2", "--attempts", "4", "--kinds", "forged",
		"--rounds", "1", "--duration", "500ms", "--warmup", "0s", "-o", "json")

	var result bench.HandshakesResult
	must(t, json.Unmarshal([]byte(out), &result))
	if n := result.Rounds[0].LetIn; n == 0 || !strings.Contains(fmt.Sprint(result.Notes), fmt.Sprint(n, " handshakes were let in")) {
		t.Errorf("%d are let in, and the notes are %q", n, result.Notes)
	}
}
