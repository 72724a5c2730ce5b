package pebble_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cockroach "github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/actors/inbox/inboxtest"
	"callboard/actors/inbox/pebble"
)

func TestInboxesOutliveTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	first := openStore(t, dir, pebble.Config{})
	appends := inboxtest.Fill(t, first, "bob", 300, "hello")
	if err := first.Commit(&inbox.Batch{
		Moves: []inbox.Move{{User: "bob", Device: inbox.Device{Name: "phone", Cursor: 5, Seen: 6}}},
		Trims: []inbox.Trim{{User: "bob", UpTo: 300}},
	}); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Open("bob"); !errors.Is(err, inbox.ErrClosed) {
		t.Errorf("Open of a closed store: %v", err)
	}
	if err := first.Commit(&inbox.Batch{}); !errors.Is(err, inbox.ErrClosed) {
		t.Errorf("Commit to a closed store: %v", err)
	}

	second := openStore(t, dir, pebble.Config{})
	state, err := second.Open("bob")
	if err != nil {
		t.Fatal(err)
	}
	if state.Head != 300 || state.Floor != 300 || state.Sum != appends[299].Sum || len(state.Devices) != 1 {
		t.Errorf("after a trim of everything: %+v", state)
	}
}

func TestASecondProcessIsToldWhatToDo(t *testing.T) {
	dir := t.TempDir()
	openStore(t, dir, pebble.Config{})
	for _, readOnly := range []bool{false, true} {
		_, err := pebble.Open(dir, pebble.Config{ReadOnly: readOnly})
		if !errors.Is(err, pebble.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "stop the service") {
			t.Errorf("read only %v: %v", readOnly, err)
		}
	}
}

func TestReadOnlyChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := pebble.Open(filepath.Join(dir, "none"), pebble.Config{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store that is not there: %v", err)
	}
	s := openStore(t, dir, pebble.Config{})
	inboxtest.Fill(t, s, "bob", 3, "hello")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)

	look := openStore(t, dir, pebble.Config{ReadOnly: true})
	state, err := look.Open("bob")
	if err != nil || state.Head != 3 {
		t.Errorf("%+v, %v", state, err)
	}
	if err := look.Commit(&inbox.Batch{}); err == nil {
		t.Error("a Commit succeeded")
	}
	if err := look.Close(); err != nil {
		t.Error(err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("files before:\n%s\nafter:\n%s", before, after)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Name() == "LOCK" {
			continue // to lock it, it is opened for writing
		}
		lines = append(lines, info.Name(), info.ModTime().String())
	}
	return strings.Join(lines, "\n")
}

func TestOtherVersionsAreRefused(t *testing.T) {
	for name, values := range map[string]map[string][]byte{
		"newer":   {"\x00v": binary.AppendUvarint([]byte{3}, 0)},
		"strange": {"somebody's": []byte("data")},
		"corrupt": {"\x00v": []byte{0xff}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := rawOpen(t, dir)
			for key, value := range values {
				if err := db.Set([]byte(key), value, cockroach.Sync); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			_, err := pebble.Open(dir, pebble.Config{})
			if err == nil || !strings.Contains(err.Error(), dir) || name != "corrupt" && !errors.Is(err, pebble.ErrVersion) {
				t.Errorf("%v", err)
			}
		})
	}
}

func rawOpen(t *testing.T, dir string) *cockroach.DB {
	t.Helper()
	db, err := cockroach.Open(dir, &cockroach.Options{FormatMajorVersion: cockroach.FormatNewest, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func TestVerifyNamesWhatIsBroken(t *testing.T) {
	entry := func(seq byte) string { return "\x01\x03bob\x04\x00\x00\x00\x00\x00\x00\x00" + string(rune(seq)) }
	for name, c := range map[string]struct {
		change func(*cockroach.Batch) error
		want   string
	}{
		"a gap":        {func(b *cockroach.Batch) error { return b.Delete([]byte(entry(2)), nil) }, "entry 3 follows 1"},
		"no entry":     {func(b *cockroach.Batch) error { return b.Set([]byte(entry(2)), []byte{9, 9}, nil) }, "entry 2 cannot be decoded"},
		"a short one":  {func(b *cockroach.Batch) error { return b.Set([]byte(entry(2)), []byte{1, 1, 1, 200, 1, 1}, nil) }, "entry 2 cannot be decoded"},
		"no id":        {func(b *cockroach.Batch) error { return b.Delete([]byte("\x01\x03bob\x03\x06sender2"), nil) }, "the id of entry 2"},
		"a stray id":   {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x03\x06senderx"), []byte{9, 0}, nil) }, "entry 9"},
		"a cursor":     {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x02phone"), []byte{9, 0}, nil) }, `device "phone" is 9`},
		"a device":     {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x02phone"), []byte{}, nil) }, "cannot be decoded"},
		"a sum":        {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x01"), []byte{0, 5}, nil) }, "the sum of entry 1"},
		"a kind":       {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x09"), []byte{0, 5}, nil) }, "no known kind"},
		"a short key":  {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x30bob"), []byte{0, 5}, nil) }, "belongs to no user"},
		"an odd entry": {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x04\x01"), nil, nil) }, "no entry's key"},
		"a block":      {func(b *cockroach.Batch) error { return b.Set([]byte("\x02bob"), []byte{1, 2, 2, 5, 'x'}, nil) }, "the block cannot be decoded"},
		"a new block":  {func(b *cockroach.Batch) error { return b.Set([]byte("\x02bob"), []byte{2, 2, 2, 0}, nil) }, "the block cannot be decoded"},
		"a letter": {func(b *cockroach.Batch) error {
			return b.Set([]byte("\x03\x00\x00\x00\x00\x00\x00\x00\x01"), []byte{1, 2, 2, 9, 'x'}, nil)
		}, "was set aside, cannot be decoded"},
		"a long letter": {func(b *cockroach.Batch) error {
			return b.Set([]byte("\x03\x00\x00\x00\x00\x00\x00\x00\x01"), []byte{1, 2, 2, 0, 0, 0, 0, 0, 0, 7}, nil)
		}, "was set aside, cannot be decoded"},
		"a letter's key": {func(b *cockroach.Batch) error {
			return b.Set([]byte("\x03\x00\x00\x00\x00\x00\x00\x00\x01x"), []byte{1, 2, 2, 0, 0, 0, 0, 0, 0}, nil)
		}, "was set aside, cannot be decoded"},
		"no block":  {func(b *cockroach.Batch) error { return b.Set([]byte("\x02bob"), []byte{1, 2}, nil) }, "the block cannot be decoded"},
		"an odd id": {func(b *cockroach.Batch) error { return b.Set([]byte("\x01\x03bob\x03\xff"), []byte{1, 0}, nil) }, "no key of an id"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, pebble.Config{})
			inboxtest.Fill(t, s, "bob", 3, "hello")
			inboxtest.Fill(t, s, "alice", 3, "hello")
			if err := verify(s); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db := rawOpen(t, dir)
			b := db.NewBatch()
			if err := errors.Join(c.change(b), db.Apply(b, cockroach.Sync), db.Close()); err != nil {
				t.Fatal(err)
			}

			broken := openStore(t, dir, pebble.Config{})
			if err := verify(broken); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Verify says %v, want %q", err, c.want)
			}
			// Reading it may fail, and must not panic.
			_, _ = broken.Open("bob")
			_, _ = broken.Read("bob", 0, 10, 1<<20)
			_, _ = broken.Find("bob", "sender", "2")
			for _, err := range broken.Users(t.Context()) {
				_ = err
			}
			if err := broken.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: "bob", UpTo: 3}, {User: "alice", UpTo: 1}}}); err != nil {
				t.Errorf("the broken inbox is in the way of another: %v", err)
			}
			if state, err := broken.Open("alice"); err != nil || state.Head != 3 || state.Floor != 1 {
				t.Errorf("the other inbox: %+v, %v", state, err)
			}
		})
	}
}

func TestCorruptFilesAreAnErrorNotAPanic(t *testing.T) {
	original := t.TempDir()
	s := openStore(t, original, pebble.Config{})
	inboxtest.Fill(t, s, "bob", 2000, strings.Repeat("hello ", 50))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, original, pebble.Config{}) // which makes a table of the log
	inboxtest.Fill(t, s, "alice", 100, strings.Repeat("hello ", 50))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(original)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, how := range []string{"cut", "zero", "flip", "gone"} {
			t.Run(file.Name()+" "+how, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(original)); err != nil {
					t.Fatal(err)
				}
				spoil(t, filepath.Join(dir, file.Name()), how)
				broken, err := pebble.Open(dir, smallConfig(nil))
				if err != nil {
					if !strings.Contains(err.Error(), dir) {
						t.Errorf("the error does not name the directory: %v", err)
					}
					return
				}
				_, _ = broken.Open("bob")
				_, _ = broken.Read("bob", 0, 5000, 1<<30)
				_ = verify(broken)
				_ = broken.Close() // may say what is wrong
			})
		}
	}
}

func spoil(t *testing.T, name, how string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	middle := len(data) / 2
	switch how {
	case "cut":
		data = data[:middle]
	case "zero":
		clear(data[middle:min(middle+100, len(data))])
	case "flip":
		if len(data) > 0 {
			data[middle] ^= 0x40
		}
	case "gone":
		err = os.Remove(name)
	}
	if how != "gone" {
		err = os.WriteFile(name, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
