package top

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"callboard/transport/admin/adminv1"
)

var (
	errAway       = errors.New("nobody listens at h:1")
	errNotAllowed = errors.New("refused: permission_denied")
)

// testConfig is for a model that is told what was found: it asks nobody.
func testConfig() Config {
	return Config{
		Dial: func() (adminv1.AdminServiceClient, error) { return nil, errAway },
		Explain: func(err error) (Trouble, string) {
			if errors.Is(err, errNotAllowed) {
				return NotAllowed, err.Error()
			}
			return Away, err.Error()
		},
		Detail:  func(u *adminv1.GetUserResponse) string { return "user " + u.User.User + "\nhead 7" },
		Address: "h:1", Every: time.Second,
	}
}

// script is a model with what it has been told.
type script struct {
	*testing.T
	m   *model
	cmd tea.Cmd // of the last message
}

func newScript(t *testing.T) *script {
	t.Helper()
	return &script{T: t, m: newModel(testConfig())}
}

func (s *script) tell(messages ...tea.Msg) {
	s.Helper()
	for _, msg := range messages {
		var next tea.Model
		next, s.cmd = s.m.Update(msg)
		s.m = next.(*model)
	}
}

// press presses keys: a word for one without a letter, or else each of its letters.
func (s *script) press(keys ...string) {
	s.Helper()
	codes := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "up": tea.KeyUp, "down": tea.KeyDown, "tab": tea.KeyTab,
		"end": tea.KeyEnd, "home": tea.KeyHome, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp,
	}
	for _, key := range keys {
		if code, named := codes[key]; named {
			s.tell(tea.KeyPressMsg{Code: code})
			continue
		}
		for _, r := range key {
			s.tell(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// screen is what is shown, without colours.
func (s *script) screen() string { return ansi.Strip(s.m.View().Content) }

func (s *script) shows(words ...string) {
	s.Helper()
	for _, word := range words {
		if !strings.Contains(s.screen(), word) {
			s.Errorf("the screen has no %q:\n%s", word, s.screen())
		}
	}
}

// hasRow looks for a line of just these cells.
func (s *script) hasRow(cells ...string) {
	s.Helper()
	for line := range strings.Lines(s.screen()) {
		if slices.Equal(strings.Fields(line), cells) {
			return
		}
	}
	s.Errorf("the screen has no row %v:\n%s", cells, s.screen())
}

func (s *script) hides(words ...string) {
	s.Helper()
	for _, word := range words {
		if strings.Contains(s.screen(), word) {
			s.Errorf("the screen has %q:\n%s", word, s.screen())
		}
	}
}

// found is a look at a service with three users, n seconds after its start, to whom 100
// messages come each second.
func found(seconds int64) looked {
	n := uint64(seconds)
	return looked{
		load: &adminv1.GetLoadResponse{
			AtMs: 1_000_000 + 1000*seconds, Taken: 100 * n, Kept: 90 * n, Delivered: 180 * n, Opened: 3 * n, Ended: 2 * n, Stalled: 1,
			Refused: []*adminv1.CodeCount{{Code: "inbox_full", Count: 10 * n}},
			Limits:  []*adminv1.CodeCount{{Code: "inbox_full", Count: 10 * n}, {Code: "rate_slowed", Count: 30 * n}},
			Closed:  []*adminv1.CodeCount{{Code: "slow_consumer", Count: 2 * n}},
			Shards:  []*adminv1.ShardLoad{{Number: 0, Taken: 70 * n}, {Number: 1, Taken: 30 * n}},
			Busiest: []*adminv1.BusyUser{
				{User: "carol", State: "active", Shard: 1, Sessions: 1, Messages: 60, OverMs: 1000},
				{User: "bob", State: "parked", Sessions: 3, Messages: 80, OverMs: 2000},
			},
		},
		stats: &adminv1.GetStatsResponse{StartedMs: 1_000_000, Sessions: 1234, Users: 3, HeapBytes: 5 << 20},
		tree: &adminv1.GetTreeResponse{
			Gateway: &adminv1.Gateway{Sessions: 1234}, Journal: &adminv1.Journal{Present: true, Queued: 5},
			Shards: []*adminv1.Shard{{Number: 0, Users: 2, Queued: 9}, {Number: 1, Users: 1, Failures: 4}},
		},
		users: []*adminv1.User{
			{User: "alice", State: "active", Sessions: 2}, {User: "bob", State: "parked", Sessions: 3, Restarts: 6}, {User: "carol", State: "active", Shard: 1, Sessions: 1},
		},
		walk: walked{end: true},
	}
}

// users are the users on the screen, from above.
func (s *script) users() (names []string) {
	for line := range strings.Lines(s.screen()) {
		for _, name := range []string{"alice", "bob", "carol"} {
			if strings.HasPrefix(line, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func (s *script) order(want ...string) {
	s.Helper()
	if got := s.users(); strings.Join(got, " ") != strings.Join(want, " ") {
		s.Errorf("the users are %v, want %v:\n%s", got, want, s.screen())
	}
}

func TestRatesComeFromTwoLooks(t *testing.T) {
	s := newScript(t)
	s.shows("connecting")
	s.tell(found(10))
	s.shows("in 0/s", "sessions   1,234")
	s.tell(found(12))
	s.shows("in 100/s", "kept 90.0/s", "out 180/s", "refused 10.0/s", "+3.0/s -2.0/s", "stalled 1", "queued 14", "heap 5.0 MiB", "up 12s")
	restarted := found(30)
	restarted.stats.StartedMs++
	s.tell(restarted)
	s.shows("in 0/s")
}

func TestUsersAreSortedAndFiltered(t *testing.T) {
	s := newScript(t)
	s.tell(found(1))
	s.order("carol", "bob", "alice") // by messages a second, and then those who get none
	s.press("s")
	s.order("bob", "alice", "carol") // by sessions
	s.press("S", "S")
	s.order("alice", "bob", "carol")
	s.press("/", "ol")
	s.order("carol")
	if s.m.refresh(); s.m.filter.Value() != "ol" {
		t.Errorf("the filter is %q", s.m.filter.Value())
	}
	s.press("q", "esc")
	s.order("alice", "bob", "carol")
	s.press("/", "b", "enter", "s") // keys are keys again
	s.order("bob")
	s.shows("/b")
	s.press("esc")
	s.order("carol", "bob", "alice")
}

func TestCursorStaysWithItsRow(t *testing.T) {
	s := newScript(t)
	s.tell(found(1))
	s.press("down")
	later := found(2)
	later.load.Busiest = later.load.Busiest[1:] // bob is first now
	s.tell(later)
	s.order("bob", "alice", "carol")
	s.press("x")
	s.shows("close all sessions of bob? y/n")
}

func TestClosingAsksFirst(t *testing.T) {
	s := newScript(t)
	s.tell(found(1))
	s.press("x", "n")
	s.shows("nothing was closed")
	if s.cmd != nil {
		t.Error("there was a call")
	}
	s.press("x")
	s.shows("close all sessions of carol? y/n")
	s.press("q") // is no either
	s.shows("nothing was closed")
	s.hides("does not answer")
	s.press("x", "y")
	s.shows("the service does not answer")

	s.tell(acted{done: "sessions of carol closed"})
	s.shows("sessions of carol closed")
	s.tell(acted{done: "sessions of carol closed", err: errNotAllowed})
	s.shows("permission_denied")
	s.press("down")
	s.hides("permission_denied")
}

func TestOneUserOpensAndGoesOn(t *testing.T) {
	s := newScript(t)
	s.tell(found(1))
	s.press("end", "enter")
	s.shows("alice: nobody knows")
	s.tell(opened{"bob", &adminv1.GetUserResponse{User: &adminv1.User{User: "bob"}}}) // an answer that comes late
	s.hides("user bob")
	s.tell(opened{"alice", &adminv1.GetUserResponse{User: &adminv1.User{User: "alice"}}})
	s.shows("user alice", "head 7")
	s.press("x")
	s.shows("close all sessions of alice? y/n")
	s.press("n")
	gone := found(2)
	gone.open = opened{id: "alice"}
	s.tell(gone)
	s.hides("user alice")
	s.press("esc")
	s.order("carol", "bob", "alice")
}

func TestServiceThatGoesIsWaitedFor(t *testing.T) {
	s := newScript(t)
	s.tell(found(1))
	s.tell(looked{err: errAway})
	s.shows("reconnecting: nobody listens at h:1", "1,234")
	s.order("carol", "bob", "alice") // what was known
	if s.cmd == nil {
		t.Fatal("nobody looks again")
	}
	s.m.client = adminv1.NewAdminServiceClient(http.DefaultClient, "http://h:1")
	s.tell(looked{err: errNotAllowed})
	s.shows("permission_denied")
	s.hides("reconnecting")
	if s.m.client != nil {
		t.Error("the next look has the token of the last")
	}
	if s.m.pause(NotAllowed) != pauseNotAllowed || s.m.pause(Away) != time.Second {
		t.Errorf("the pauses are %s and %s", s.m.pause(NotAllowed), s.m.pause(Away))
	}
	s.tell(found(2))
	s.hides("reconnecting", "permission_denied")
}

func TestTreeAndLimits(t *testing.T) {
	s := newScript(t)
	s.tell(found(10), found(20))
	s.press("3")
	s.shows("registry   100", "shard 0  70", "shard 1  30", "9 ", "2 users", "4", "1234 sessions", "open", "journal", "works")
	s.press("enter", "x") // nobody can be opened or closed there
	s.hides("y/n")
	s.press("tab")
	s.shows("HITS", "REFUSED", "CLOSED")
	for _, row := range [][]string{
		{"rate_slowed", "30.0", "600", "0", "0", "0", "0"}, // it refuses nothing, and is hit the most
		{"inbox_full", "10.0", "200", "10.0", "200", "0", "0"},
		{"slow_consumer", "0", "0", "0", "0", "2.0", "40"},
	} {
		s.hasRow(row...)
	}
	if screen := s.screen(); strings.Index(screen, "rate_slowed") > strings.Index(screen, "inbox_full") {
		s.Errorf("what is hit the most is not the first:\n%s", screen)
	}
	s.press("tab")
	s.order("carol", "bob", "alice")
	troubled := found(21)
	troubled.stats.Trouble, troubled.stats.Draining = "storage_full", true
	s.tell(troubled)
	s.shows("storage_full", "draining")
}

// sessions are found by a walk, with as many unacknowledged as it says.
func sessions(written uint64, unacknowledged ...uint32) (all []*adminv1.Session) {
	for i, n := range unacknowledged {
		all = append(all, &adminv1.Session{
			Session: uint64(i + 1), User: fmt.Sprintf("u%d", i+1), Device: "phone", State: "delivering", Written: written, Unacknowledged: n,
		})
	}
	return all
}

func TestDeviceIsSlowThatAcknowledgesNothing(t *testing.T) {
	s := newScript(t)
	s.press("2")
	at := func(n int64, written uint64, unacknowledged ...uint32) looked {
		f := found(n)
		f.walk = walked{end: true, upTo: 9, sessions: sessions(written, unacknowledged...)}
		return f
	}
	s.tell(at(1, 100, 5, 5, 0, 64))
	s.hides("u1", "u2", "u3")
	s.shows("u4", "slow 1") // so many are outstanding
	s.tell(at(2, 110, 5, 15, 0, 64))
	s.hides("u1", "u3") // u1 has acknowledged ten
	s.shows("u2", "u4", "slow 2", "?")

	f := at(3, 110, 5, 15, 0, 64)
	f.lags = map[string]*adminv1.GetUserResponse{"u2": {Inbox: &adminv1.Inbox{Devices: []*adminv1.Device{{Name: "phone", Lag: 4711}}}}}
	s.tell(f)
	s.shows("4,711")
	s.press("x")
	s.shows("close session 2 of u2? y/n")
	s.press("n")

	gone := at(4, 110)
	gone.walk.sessions = nil
	s.tell(gone)
	s.shows("nothing here", "slow 0")

	s.tell(at(5, 110, 64))
	restarted := at(6, 0)
	restarted.stats.StartedMs++
	restarted.walk = walked{} // another process, where the walk has not come by anybody
	s.tell(restarted)
	s.hides("u1")
}

func TestWalkIsBoundedAndGoesRound(t *testing.T) {
	var s slow
	s.reset()
	var many []*adminv1.Session
	for i := range 2 * maxOutstanding {
		many = append(many, &adminv1.Session{Session: uint64(i + 1), Unacknowledged: uint32(i + 1)})
	}
	s.take(walked{upTo: uint64(len(many)), sessions: many})
	if len(s.sessions) != maxOutstanding || s.sessions[1] != nil || s.sessions[uint64(len(many))] == nil {
		t.Errorf("%d are kept", len(s.sessions))
	}
	if s.after != uint64(len(many)) {
		t.Errorf("the walk goes on behind %d", s.after)
	}
	s.take(walked{after: s.after, upTo: s.after, end: true})
	if s.after != 0 || len(s.sessions) != maxOutstanding {
		t.Errorf("the walk goes on behind %d with %d", s.after, len(s.sessions))
	}
	if got := s.users(lagUsers); len(got) != 1 { // they are all of one user
		t.Errorf("%v are asked for", got)
	}
}

func TestScreenFitsWhateverItsSize(t *testing.T) {
	s := newScript(t)
	s.tell(found(1), found(2))
	for _, size := range [][2]int{{80, 24}, {200, 60}, {20, 5}, {1, 1}} {
		s.tell(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		for _, keys := range [][]string{{"1"}, {"2"}, {"3"}, {"4"}, {"?"}, {"esc", "1", "enter"}, {"esc", "x"}, {"n"}} {
			s.press(keys...)
			lines := strings.Split(s.screen(), "\n")
			if len(lines) > max(2, size[1]) {
				t.Errorf("%d lines on %v after %v", len(lines), size, keys)
			}
			for _, line := range lines {
				if ansi.StringWidth(line) > size[0] {
					t.Errorf("%q is too wide for %v", line, size)
				}
			}
		}
	}
}

func TestKeysThatEndIt(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"enter", "q"}} {
		s := newScript(t)
		s.tell(found(1))
		s.press(keys...)
		if s.cmd == nil || s.cmd() != tea.Quit() {
			t.Errorf("%v does not end it", keys)
		}
	}
	s := newScript(t)
	s.press("/")
	s.tell(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
	if s.cmd == nil || s.cmd() != tea.Quit() {
		t.Error("ctrl+c does not end it")
	}
	s = newScript(t)
	s.press("?")
	s.shows("ctrl+c", "walk over all")
	s.press("q") // goes back
	s.hides("walk over all")
	if s.cmd != nil {
		t.Error("it ends")
	}
}
