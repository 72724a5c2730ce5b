package main

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/cmd/callboard/config"
)

// openWith opens the store that flags name.
func openWith(t *testing.T, args ...string) (store, error) {
	t.Helper()
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.Flags(f)
	if err := f.Parse(append([]string{"--data", t.TempDir()}, args...)); err != nil {
		return nil, err
	}
	loaded, err := config.Load(config.Sources{Flags: f})
	if err != nil {
		return nil, err
	}
	return openStore(&loaded.Config, slog.New(slog.DiscardHandler))
}

func TestStoreFlagsSayWhatToGive(t *testing.T) {
	for flags, want := range map[string]string{
		"--store-memtable 0":                    "1 to 1024",
		"--store-memtable 1025":                 "1 to 1024",
		"--store memory --store-memory 0":       "give 1 to",
		"--store memory --store-memory 1048577": "give 1 to",
	} {
		s, err := openWith(t, strings.Fields(flags)...)
		if err == nil {
			_ = s.Close()
		}
		words := strings.Fields(flags)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), words[len(words)-2]) {
			t.Errorf("%s: %v", flags, err)
		}
	}
	for _, flags := range []string{"--store-memtable 1", "--store-memtable 64", "--store memory --store-memory 2"} {
		s, err := openWith(t, strings.Fields(flags)...)
		if err != nil {
			t.Fatalf("%s: %v", flags, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestStoreMemoryIsTheLimit(t *testing.T) {
	s, err := openWith(t, "--store", "memory", "--store-memory", "1")
	if err != nil {
		t.Fatal(err)
	}
	inboxtest.Fill(t, s, "bob", 8, strings.Repeat("x", 60_000))
	first := inboxtest.Entry("alice", 1, 0, "1", strings.Repeat("x", 600_000))
	if err := s.Commit(&inbox.Batch{Appends: []inbox.Append{first}}); !errors.Is(err, inbox.ErrFull) {
		t.Errorf("beyond 1 MiB: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
