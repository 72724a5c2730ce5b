package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"callboard/transport/client"
)

// sendAll has alice send a text for each number to bob, and returns when all are kept.
func sendAll(t *testing.T, url string, from, to int) {
	t.Helper()
	var lines strings.Builder
	for i := from; i <= to; i++ {
		fmt.Fprintln(&lines, i)
	}
	start(t, strings.NewReader(lines.String()), "send", "--as", "alice", "--to", "bob", "--url", url).ends(0)
}

// receive takes messages until one has the text, and returns their texts and the last one.
func receive(t *testing.T, c *client.Client, until string) (texts []string, last *client.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			t.Fatalf("after %v: %v", texts, err)
		}
		texts, last = append(texts, m.Content), m
		if m.Content == until {
			break
		}
	}
	return texts, last
}

// Somebody sends all the while. What was confirmed before a backup began is in it, and nothing is missing between; it
// is all there when the service, its disk lost, goes on with the copy.
func TestBackupUnderLoadHasWhatWasConfirmedBefore(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	numbers := beginStream(t, url)
	var before int64
	var copied struct {
		Path  string
		Epoch uint32
	}
	for i := range 3 { // the last is put back
		before = numbers.more(200)
		must(t, json.Unmarshal([]byte(call(t, caller, "inbox", "backup", "--to", fmt.Sprint(i), "-o", "json")), &copied))
	}
	numbers.more(200)
	phone := device(t, url, "phone", nil)
	ahead := counts(t, phone, 1, numbers.end())
	must(t, phone.Close(t.Context()))
	service.signal(syscall.SIGKILL)
	service.ends(-1)

	start(t, nil, "inbox", "verify", "--data", copied.Path).ends(0)
	restored := filepath.Join(t.TempDir(), "data")
	start(t, nil, "inbox", "restore", "--from", copied.Path, "--data", restored).ends(0)
	_, url = serve(t, "--data", restored)

	start(t, nil, "send", "--as", "alice", "--to", "bob", "--url", url, "after").ends(0)
	_, last := receive(t, device(t, url, "phone", &client.Cursor{Epoch: ahead.Epoch, Seq: ahead.Seq}), "after")
	if last.Epoch == ahead.Epoch || last.Epoch == copied.Epoch || last.Seq <= uint64(before) || last.Seq > ahead.Seq {
		t.Errorf("message %d of epoch %d comes behind a backup with %d messages or more, and %d of epoch %d", last.Seq, last.Epoch, before, ahead.Seq, ahead.Epoch)
	}
	counts(t, device(t, url, "laptop", nil), 1, int64(last.Seq)-1)
}

// The device has more than the backup when it is put back. What comes then bears numbers
// that the device has had: the epoch tells it, and it misses nothing.
func TestRestoredServiceLosesNothingForADeviceThatWasAhead(t *testing.T) {
	service, url, caller := serveWithAdmin(t)
	data := caller[3]
	sendAll(t, url, 1, 10)
	var made struct {
		Path  string
		Epoch uint32
		Done  bool
	}
	out := call(t, caller, "inbox", "backup", "--to", "nightly", "-o", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil || !made.Done || made.Path != filepath.Join(data, "backups", "nightly") {
		t.Fatalf("%v\n%s", err, out)
	}
	service.stderr.has(t, `msg="admin call" who=admin-token role=admin call=/callboard.admin.v1.AdminService/BackupInboxes target="name=\\"nightly\\"" result=ok`)
	sendAll(t, url, 11, 15)
	device, err := client.Dial(t.Context(), url, "bob", client.Config{Device: "phone"})
	if err != nil {
		t.Fatal(err)
	}
	_, last := receive(t, device, "15")
	if err := device.Close(t.Context()); err != nil {
		t.Error(err)
	}
	service.signal(syscall.SIGTERM)
	service.ends(0)

	verified := start(t, nil, "inbox", "verify", "--data", made.Path)
	verified.ends(0)
	restored := filepath.Join(t.TempDir(), "data")
	start(t, nil, "inbox", "restore", "--from", made.Path, "--data", restored).ends(0)
	start(t, nil, "inbox", "verify", "--data", restored).ends(0)
	_, url = serve(t, "--data", restored)
	sendAll(t, url, 21, 26)
	device, err = client.Dial(t.Context(), url, "bob", client.Config{Device: "phone", Cursor: &client.Cursor{Epoch: last.Epoch, Seq: last.Seq}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close(context.Background()) })
	texts, newest := receive(t, device, "26")
	if newest.Epoch == last.Epoch || newest.Epoch == made.Epoch || newest.Seq != 16 {
		t.Errorf("message %d of epoch %d, after %d of epoch %d", newest.Seq, newest.Epoch, last.Seq, last.Epoch)
	}
	if got := strings.Join(texts, " "); !strings.HasSuffix(got, "21 22 23 24 25 26") {
		t.Errorf("received %s", got)
	}
}

// A directory that an earlier version has written is opened by serve and served from.
func TestUpgradeServesWhatAnEarlierVersionKept(t *testing.T) {
	data := t.TempDir()
	if err := os.CopyFS(data, os.DirFS("../../actors/inbox/pebble/testdata/version1")); err != nil {
		t.Fatal(err)
	}
	service, url := serve(t, "--data", data, "--retention-age", "876000h")
	device, err := client.Dial(t.Context(), url, "alice", client.Config{Device: "new"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close(context.Background()) })
	start(t, nil, "send", "--as", "bob", "--to", "alice", "--url", url, "after").ends(0)
	if texts, last := receive(t, device, "after"); last.Seq != 3 || texts[0] != "hello" || texts[1] != "hello" {
		t.Errorf("%v, the last is %+v", texts, last)
	}
	service.signal(syscall.SIGTERM)
	service.ends(0)
	start(t, nil, "inbox", "verify", "--data", data).ends(0)
}

func TestBackupComplaintsSayWhatToDo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, _, caller := serveWithAdmin(t)
	data, at := caller[3], strings.Join(caller, " ")
	call(t, caller, "inbox", "backup", "--to", "one")
	memory, _ := serve(t, "--store", "memory", "--admin", "127.0.0.1:0")
	address := memory.stderr.has(t, `msg="serving operators" address=(\S+)`)
	other := t.TempDir()
	for line, want := range map[string]struct {
		status int
		words  []string
	}{
		"inbox backup --to one " + at:                                           {4, []string{"backup_exists", "another name"}},
		"inbox backup --to ../one " + at:                                        {2, []string{"invalid_argument", "--backup-dir"}},
		"inbox backup --to /one " + at:                                          {2, []string{"invalid_argument", "--backup-dir"}},
		"inbox backup --data " + other + " --admin http://" + address:           {4, []string{"not_kept", "--store pebble"}},
		"inbox backup --stopped --data " + data:                                 {2, []string{"--to"}},
		"inbox backup --stopped --data " + data + " --to " + other + "/copy":    {4, []string{"in use", "--stopped"}},
		"inbox backup --stopped --data " + other + "/none --to " + other + "/c": {3, []string{"no inboxes", "--data"}},
		"inbox restore --data " + other:                                         {2, []string{"--from"}},
		"inbox restore --from " + data + " --data " + other + "/d":              {4, []string{"in use", "inbox backup"}},
		"inbox restore --from " + other + "/none --data " + other + "/d":        {3, []string{"no backup", "inbox backup"}},
		"inbox restore --from " + data + "/backups/one --data " + data:          {4, []string{"not empty", "--data"}},
		"serve --backup-dir " + other + " --data " + other:                      {1, []string{"--backup-dir", "of its own"}},
		"health --url nonsense":                                                 {2, []string{"--url", "http://127.0.0.1:8080"}},
		"health --url http://127.0.0.1:1":                                       {5, []string{"nobody listens", "--url"}},
		"health --timeout 0s":                                                   {2, []string{"--timeout", "2s"}},
	} {
		t.Run(line, func(t *testing.T) { start(t, nil, strings.Fields(line)...).complains(want.status, want.words...) })
	}
}

func TestStoppedServiceIsCopied(t *testing.T) {
	data, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	service, url := serve(t, "--data", data)
	sendAll(t, url, 1, 3)
	service.signal(syscall.SIGTERM)
	service.ends(0)

	start(t, nil, "inbox", "backup", "--stopped", "--data", data, "--to", copied).ends(0)

	start(t, nil, "inbox", "show", "bob", "--data", copied).stdout.has(t, `head +3\n`)
	if _, err := os.Stat(filepath.Join(copied, "admin-token")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a copy has the token: %v", err)
	}
}

func TestHealthIsWhatReadyzSays(t *testing.T) {
	_, url, caller := serveWithAdmin(t)
	address := "http" + strings.TrimPrefix(url, "ws")
	start(t, nil, "health", "--url", address, "--timeout", patience.String()).ends(0)
	call(t, caller, "drain", "--over", "1ms", "--wait=false")
	limit := time.Now().Add(patience)
	for {
		p := start(t, nil, "health", "--url", address)
		_ = p.cmd.Wait()
		if p.cmd.ProcessState.ExitCode() == 5 && strings.Contains(p.stderr.String(), "not ready: 503") {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("a service that drains is healthy: %s", p.stderr)
		}
	}
}
