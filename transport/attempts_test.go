package transport

import (
	"encoding/binary"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callboard/actors"
)

func TestAddressGetsItsBurstThenAnswersThenNothing(t *testing.T) {
	a, rate := newAttempts(), actors.Rate{Every: time.Second, Burst: 3}
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	now := time.Minute
	for i, want := range []welcome{letIn, letIn, letIn, turnedAway, turnedAway, turnedAway, cut, cut} {
		if how, retry := a.ask(one, rate, now); how != want || (how != letIn) != (retry > 0) && i != 2 {
			t.Errorf("attempt %d: %v, %v, want %v", i+1, how, retry, want)
		}
	}
	if how, _ := a.ask(other, rate, now); how != letIn {
		t.Errorf("another address is not let in: %v", how)
	}
	if how, _ := a.ask(one, rate, now+time.Second); how != letIn {
		t.Errorf("a second later: %v", how)
	}
	if how, _ := a.ask(one, rate, now+time.Second); how != turnedAway {
		t.Errorf("and once more: %v", how)
	}
}

// What an address has used up of a slow rate is not held against it for hours once the rate is a faster one.
func TestFasterRateLetsAnAddressInSoon(t *testing.T) {
	a, slow, fast := newAttempts(), actors.Rate{Every: time.Hour, Burst: 3}, actors.Rate{Every: time.Second, Burst: 2}
	one, now := netip.MustParseAddr("192.0.2.1"), time.Minute
	for how := letIn; how != cut; {
		how, _ = a.ask(one, slow, now)
	}
	if how, retry := a.ask(one, fast, now); how == letIn || retry > time.Second {
		t.Errorf("%v, come back in %v", how, retry)
	}
	for _, want := range []welcome{letIn, letIn, turnedAway} {
		if how, _ := a.ask(one, fast, now+2*time.Second); how != want {
			t.Errorf("later: %v, want %v", how, want)
		}
	}
}

// However many addresses ask, few are remembered, and who asks too often is not forgotten for those who ask seldom.
func TestAddressesAreForgottenInTime(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, rate := newAttempts(), actors.Rate{Every: time.Millisecond, Burst: 2}
		now := time.Minute
		step := time.Duration(rapid.IntRange(0, 3).Draw(rt, "step")) * time.Millisecond
		for n := range uint32(20_000) {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], n)
			a.ask(netip.AddrFrom4(b), rate, now)
			now += step
		}
		switch most := len(a.of); {
		case step > 0 && most > 2*leastSweep+int(sweepEvery/step):
			rt.Errorf("%d are remembered, though all but a few have rested", most)
		case step == 0 && most != 20_000:
			rt.Errorf("%d are remembered of 20000 that have just asked", most)
		}
	})
}

func TestAddressesAreBounded(t *testing.T) {
	a, rate := newAttempts(), actors.Rate{Every: time.Hour, Burst: 2}
	for n := range uint64(maxAddresses + 5000) {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], n<<16)
		a.ask(netip.AddrFrom16(b), rate, time.Minute)
	}
	if n := len(a.of); n > maxAddresses {
		t.Errorf("%d addresses are remembered", n)
	}
}

func TestHouseholdIsTheSubscribers(t *testing.T) {
	for of, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := household(netip.MustParseAddr(of)); got.String() != want {
			t.Errorf("of %s it is %s, want %s", of, got, want)
		}
	}
}

func TestSourceIsTheLastThatOurProxiesName(t *testing.T) {
	l := newLive(Live{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}})
	for name, test := range map[string]struct {
		remote string
		named  []string
		want   string // empty: nobody
	}{
		"no proxy":                  {"192.0.2.1:5", []string{"198.51.100.9"}, "192.0.2.1"},
		"a proxy":                   {"10.0.0.1:5", []string{"198.51.100.9"}, "198.51.100.9"},
		"a client that makes it up": {"10.0.0.1:5", []string{"203.0.113.1, 198.51.100.9"}, "198.51.100.9"},
		"two of our proxies":        {"10.0.0.1:5", []string{"198.51.100.9, 10.1.1.1"}, "198.51.100.9"},
		"in two lines":              {"10.0.0.1:5", []string{"203.0.113.1", "198.51.100.9", "10.1.1.1"}, "198.51.100.9"},
		"over IPv6":                 {"[2001:db8::1]:5", []string{"2001:db9::7"}, "2001:db9::7"},
		"a mapped proxy":            {"[::ffff:10.0.0.1]:5", []string{"198.51.100.9"}, "198.51.100.9"},
		"a proxy that says nothing": {"10.0.0.1:5", nil, "10.0.0.1"},
		"of a zone":                 {"10.0.0.1:5", []string{"fe80::1%of any length"}, "fe80::1"},
		"a mapped client":           {"10.0.0.1:5", []string{"::ffff:198.51.100.9"}, "198.51.100.9"},
		"no address":                {"10.0.0.1:5", []string{"198.51.100.9, unknown"}, "10.0.0.1"},
		"a pipe":                    {"@", nil, ""},
	} {
		r := &http.Request{RemoteAddr: test.remote, Header: http.Header{"X-Forwarded-For": test.named}}
		got, known := l.source(r)
		if known != (test.want != "") || known && got != netip.MustParseAddr(test.want) {
			t.Errorf("%s: %v, %t, want %q", name, got, known, test.want)
		}
	}
}
