package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	cockroach "github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

// runInbox runs 'callboard inbox' with some arguments.
func runInbox(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := newInbox()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %v", err)
	}
	return out.String(), err
}

// someInboxes makes a store with two inboxes, and closes it.
func someInboxes(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := pebble.Open(dir, pebble.Config{})
	if err != nil {
		t.Fatal(err)
	}
	inboxtest.Fill(t, s, "alice", 2, "hello")
	inboxtest.Fill(t, s, "bob", 9, "hello")
	if err := s.Commit(&inbox.Batch{
		Moves: []inbox.Move{
			{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 6, Seen: 1_700_000_000_000}},
			{User: "bob", Device: inbox.Device{Cursor: 9}},
		},
		Trims: []inbox.Trim{{User: "bob", UpTo: 2}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInboxShowSaysHowFarDevicesAre(t *testing.T) {
	dir := someInboxes(t)
	out, err := runInbox(t, "show", "bob", "--data", dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"head", "9", "phone", "2023-11-14T22:13:20Z", "(nameless)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}

	out, err = runInbox(t, "show", "bob", "--data", dir, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var found foundInbox
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	if found.Head != 9 || found.Floor != 2 || found.Entries != 7 || found.Lag != 3 || len(found.Devices) != 2 || found.Oldest != 1003 {
		t.Errorf("%+v", found)
	}
}

func TestInboxStatsAddsUp(t *testing.T) {
	dir := someInboxes(t)
	out, err := runInbox(t, "stats", "--data", dir, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var found foundStats
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	if found.Totals.Users != 2 || found.Totals.Entries != 9 || found.Totals.Devices != 2 || found.Totals.DiskBytes == 0 {
		t.Errorf("%+v", found.Totals)
	}
	if len(found.Largest) != 2 || found.Largest[0].User != "bob" || found.Slowest[0].User != "bob" {
		t.Errorf("%s", out)
	}
	out, err = runInbox(t, "stats", "--data", dir)
	if err != nil || !strings.Contains(out, "LARGEST") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestInboxVerifyNamesWhatIsBroken(t *testing.T) {
	dir := someInboxes(t)
	if out, err := runInbox(t, "verify", "--data", dir); err != nil || !strings.Contains(out, "whole") {
		t.Errorf("%v\n%s", err, out)
	}
	db, err := cockroach.Open(dir, &cockroach.Options{FormatMajorVersion: cockroach.FormatNewest})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Delete([]byte("\x01\x03bob\x04\x00\x00\x00\x00\x00\x00\x00\x05"), cockroach.Sync); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	out, err := runInbox(t, "verify", "--data", dir)
	if err == nil || !strings.Contains(out, "bob") || !strings.Contains(out, "entry 6 follows 4") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestInboxRenewGivesAnotherEpoch(t *testing.T) {
	dir := someInboxes(t)
	stats := func() (found foundStats) {
		t.Helper()
		out, err := runInbox(t, "stats", "--data", dir, "-o", "json")
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(out), &found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	before := stats()

	out, err := runInbox(t, "renew", "--data", dir, "-o", "json")

	var renewed foundEpochs
	if err == nil {
		err = json.Unmarshal([]byte(out), &renewed)
	}
	if err != nil || renewed.Before != before.Epoch || before.Epoch == 0 || renewed.Epoch == before.Epoch {
		t.Fatalf("the epoch was %d, and renew says %s: %v", before.Epoch, out, err)
	}
	after := stats()
	if after.Epoch != renewed.Epoch || after.Totals.Entries != before.Totals.Entries || after.Totals.Devices != before.Totals.Devices {
		t.Errorf("before %+v, after %+v", before, after)
	}
	table, err := runInbox(t, "stats", "--data", dir)
	if err != nil || !strings.Contains(table, "epoch") || !strings.Contains(table, fmt.Sprint(after.Epoch)) {
		t.Errorf("%v\n%s", err, table)
	}
	if _, err := runInbox(t, "renew", "--data", filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a store that is not there: %v", err)
	}
	empty := t.TempDir()
	if _, err := runInbox(t, "renew", "--data", empty); err == nil {
		t.Error("an empty directory was made a store")
	}
}

func TestInboxCommandsSayWhatToDo(t *testing.T) {
	dir := someInboxes(t)
	s, err := pebble.Open(dir, pebble.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"in use":       {[]string{"stats", "--data", dir}, "stop the service"},
		"not there":    {[]string{"verify", "--data", dir + "/none"}, "--data"},
		"odd output":   {[]string{"stats", "--data", dir, "-o", "xml"}, "table, json or yaml"},
		"no such user": {[]string{"show", "b b", "--data", dir}, "USER"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := runInbox(t, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := runInbox(t, "show", "eve", "--data", dir); err == nil || !strings.Contains(err.Error(), "stats") {
		t.Errorf("a user who is not there: %v", err)
	}
}
