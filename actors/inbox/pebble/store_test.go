package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openStore opens a store that is closed with the test.
func openStore(tb testing.TB, dir string, config pebble.Config) *pebble.Store {
	tb.Helper()
	s, err := pebble.Open(dir, config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, inbox.ErrClosed) {
			tb.Error(err)
		}
	})
	return s
}

// verify returns what is broken in a store.
func verify(s *pebble.Store) error {
	var problems []error
	err := s.Verify(context.Background(), func(p pebble.Problem) {
		problems = append(problems, fmt.Errorf("%s: %s", p.User, p.Text))
	})
	return errors.Join(append(problems, err)...)
}

func TestStoreKeepsTheContract(t *testing.T) {
	inboxtest.Run(t, func(tb testing.TB) inbox.Store {
		tb.Helper()
		return openStore(tb, "data", smallConfig(vfs.NewMem()))
	})
}

func TestStoreKeepsTheContractOfDeadletters(t *testing.T) {
	inboxtest.RunDeadletters(t, func(tb testing.TB) inbox.Store {
		tb.Helper()
		return openStore(tb, "data", smallConfig(vfs.NewMem()))
	})
}

func TestStoreKeepsTheContractOfABlocklist(t *testing.T) {
	inboxtest.RunBlocklist(t, func(tb testing.TB) inbox.Store {
		tb.Helper()
		return openStore(tb, "data", smallConfig(vfs.NewMem()))
	})
}

func TestConfirmedSurvivesCrashesAndFailures(t *testing.T) {
	inboxtest.Crashes(t, newDisk)
}

// A lock that root makes while looking would keep the service, another user, from starting.
func TestWhoOnlyLooksLeavesNoLock(t *testing.T) {
	dir := t.TempDir()
	if _, err := pebble.Open(dir, pebble.Config{ReadOnly: true}); err == nil {
		t.Error("there is no store, and it was opened")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("it left %v, %v", left, err)
	}
}
