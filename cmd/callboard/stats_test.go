package main_test

import (
	"os"
	"regexp"
	"testing"
)

// What has passed is shown to whoever looks: messages, what was refused and why, which limits
// have acted, and how sessions have ended.
func TestStatsSayWhatPassedAndWhatWasRefused(t *testing.T) {
	_, url, caller := serveWithAdmin(t, "--inbox-entries", "3")
	watch := start(t, nil, append([]string{"stats", "-o", "json", "--watch=100ms"}, caller...)...)
	watch.stdout.has(t, `"taken":"0","kept":"0","repeated":"0","delivered":"0","refused":\[\],"closed":\[\],"limits":\[\],"stalled":0`)
	listener := start(t, nil, "listen", "--as", "bob", "--url", url)
	listener.stderr.has(t, `listening as bob\n`)
	call(t, caller, "send", "--to", "bob", "hello")
	listener.stdout.has(t, `hello\n`)
	call(t, caller, "broadcast", "--to", "bob", "--id", "n1", "noon")
	call(t, caller, "broadcast", "--to", "bob", "--id", "n1", "noon")
	listener.stdout.has(t, `noon\n`)
	for range 3 {
		call(t, caller, "send", "--to", "eve", "hello")
	}
	for range 2 {
		start(t, nil, append([]string{"send", "--to", "eve", "hello"}, caller...)...).complains(4, "inbox_full")
	}
	call(t, caller, "user", "close", "bob")
	listener.complainsAfter("listening as bob\n", 4, "4003")

	watch.stdout.has(t, `"kept":"5",.*"closed":\[\{"code":"closed_by_operator","count":"1"\}\]`)
	watch.signal(os.Interrupt)
	watch.ends(0)

	out := call(t, caller, "stats", "-o", "json")
	golden(t, "stats-refused", out)
	sameInYAML(t, "stats-refused", out, call(t, caller, "stats", "-o", "yaml"))
	table := regexp.MustCompile(`(?m)^taken +8\nkept +5\nrepeated +1\ndelivered +2\nrefused +2\n  inbox_full +2\nlimits hit +2\n  inbox_full +2\nopened +1\nended +1\n  closed_by_operator +1\nfailures +0\n`)
	if out := call(t, caller, "stats"); !table.MatchString(out) {
		t.Errorf("%s", out)
	}
}
