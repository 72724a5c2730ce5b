package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"callboard/cmd/callboard/bench"
)

// A storm of all kinds against a service with identity: who is forged is refused by its signature, who says nothing
// more is cut, and those who relay notice nothing but the time.
func TestStormOfHandshakesIsTurnedAwayAndTheRelayGoesOn(t *testing.T) {
	service, url, operator := serveWithAdmin(t, "--identity-development", "--log-level", "debug")
	data := operator[3]

	// The first of each kind come within 1 s, and have been there for longer than the service's patience at the end.
	out := call(t, nil, "bench", "handshakes", "--url", url, "--identity-data", data, "--users", "4", "--rate", "200", "--attempts", "70",
		"--rounds", "1", "--duration", "14s", "--warmup", "0s", "--check", "--settle", patience.String(), "-o", "json")

	var result bench.HandshakesResult
	must(t, json.Unmarshal([]byte(out), &result))
	round := result.Rounds[0]
	for _, spell := range []bench.Spell{round.Calm, round.Storm} {
		if spell.Messages < 1400 { // half of what was due
			t.Errorf("%d messages were relayed in %.0f s", spell.Messages, spell.Seconds)
		}
	}
	if len(result.Errors) > 0 || len(result.Notes) > 0 || len(round.Kinds) != len(bench.Attacks) {
		t.Errorf("errors %v, notes %v, kinds %v", result.Errors, result.Notes, round.Kinds)
	}
	for kind, fate := range round.Kinds { // of the fourteen the last ones may come too late
		ends := fate.Answered + fate.LetIn + fate.Cut + fate.Kept
		if fate.Attempts < 11 || fate.Failed > 0 || ends != fate.Attempts || fate.LetIn > 0 {
			t.Errorf("%s: %+v", kind, fate)
		}
		held := kind == bench.Mute || kind == bench.Half || kind == bench.Silent
		if held && (fate.Cut == 0 || fate.Kept == 0 || fate.Answered > 0) {
			t.Errorf("the %s are not held until the service cuts them: %+v", kind, fate)
		}
	}
	forged := round.Kinds[bench.Forged]
	if forged.Answered < 10 {
		t.Errorf("of the forged it is said %+v", forged)
	}
	// The storm may have let go of one before its answer came.
	refused := func(f families) int64 {
		return int64(f.value(t, "callboard_handshakes_total", "result", "unauthorized"))
	}
	n := refused(scrapeUntil(t, operator, func(f families) bool { return refused(f) >= forged.Answered }))
	if n < forged.Answered || n > forged.Answered+forged.Kept {
		t.Errorf("%d handshakes are counted as unauthorized, of %+v", n, forged)
	}
	const said = "the token's signature does not hold"
	service.stderr.has(t, fmt.Sprintf("(?s)(%s.*){%d}", said, n))
	if checked := strings.Count(service.stderr.String(), said); int64(checked) != n {
		t.Errorf("the signature of %d tokens was checked, and %d were refused", checked, n)
	}
}

// Where nobody is asked for a token the result says that nothing was forged.
func TestStormSaysThatAServiceAsksForNoTokens(t *testing.T) {
	_, url := serve(t)

	var result bench.HandshakesResult
	for limit := time.Now().Add(patience); ; { // a machine that stands still for all of the time lets nobody in
		out := call(t, nil, "bench", "handshakes", "--url", url, "--users", "2", "--attempts", "4", "--kinds", "forged",
			"--rounds", "1", "--duration", "500ms", "--warmup", "0s", "-o", "json")
		must(t, json.Unmarshal([]byte(out), &result))
		if result.Rounds[0].LetIn > 0 || time.Now().After(limit) {
			break
		}
	}
	if n := result.Rounds[0].LetIn; n == 0 || !strings.Contains(fmt.Sprint(result.Notes), fmt.Sprint(n, " handshakes were let in")) {
		t.Errorf("%d are let in, and the notes are %q", n, result.Notes)
	}
}
