package transport

import (
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// A full disk is told to whoever sends and to whoever watches; what is kept is still
// delivered, nothing is confirmed, and when there is room again the service goes on.
func TestFullDiskIsSaidAndGotOver(t *testing.T) {
	disk := &fillingFS{FS: vfs.Default}
	store, err := pebble.Open(t.TempDir(), pebble.Config{FS: disk})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) }) // after the service
	s := start(t, Config{}, actors.Config{Store: store, PingInterval: time.Hour})
	codec := protocol.JSON
	alice, _ := s.join("1", codec, &protocol.Connect{})
	bob, _ := s.join("2", codec, &protocol.Connect{Device: "phone", Window: 1})
	for _, id := range []string{"a", "b", "c"} {
		alice.says(codec, &protocol.Send{Receiver: "2", Content: "kept " + id, Id: id})
		if sent, ok := alice.hears(codec).(*protocol.Sent); !ok || sent.Id != id {
			t.Fatalf("before the disk is full: %v", sent)
		}
	}

	disk.full.Store(true)
	alice.says(codec, &protocol.Send{Receiver: "2", Content: "no room", Id: "d"})
	if e, ok := alice.hears(codec).(*protocol.Error); !ok || e.Code != string(protocol.CodeStorageFull) || e.Id != "d" {
		t.Fatalf("with a full disk alice hears %v", e)
	}
	status, _, body := s.get(http.MethodGet, "/readyz", nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, string(protocol.CodeStorageFull)) {
		t.Errorf("/readyz answers %d %s", status, body)
	}
	for seq := uint64(1); seq <= 3; seq++ {
		if m, ok := bob.hears(codec).(*protocol.Receive); !ok || m.Seq != seq {
			t.Fatalf("with a full disk bob hears %v, want what is kept", m)
		}
		bob.says(codec, &protocol.Ack{Seq: seq})
	}
	tablet, welcome := s.join("2", codec, &protocol.Connect{Device: "tablet"})
	if welcome.Head != 3 {
		t.Errorf("bob's inbox ends at %d, want 3", welcome.Head)
	}
	if m, ok := tablet.hears(codec).(*protocol.Receive); !ok || m.Seq != 1 {
		t.Fatalf("with a full disk bob's other device hears %v", m)
	}
	alice.says(codec, &protocol.Send{Receiver: "2", Content: "still no room", Id: "e"})
	if e, ok := alice.hears(codec).(*protocol.Error); !ok || e.Code != string(protocol.CodeStorageFull) {
		t.Fatalf("with a full disk alice hears %v", e)
	}

	disk.full.Store(false)
	eventually(t, "messages are taken again", func() bool {
		alice.says(codec, &protocol.Send{Receiver: "2", Content: "no room", Id: "d"})
		sent, ok := alice.hears(codec).(*protocol.Sent)
		return ok && sent.Seq == 4
	})
	if m, ok := bob.hears(codec).(*protocol.Receive); !ok || m.Content != "no room" || m.Seq != 4 {
		t.Fatalf("with room again bob hears %v", m)
	}
}

// fillingFS is the machine's file system until it is full.
type fillingFS struct {
	vfs.FS

	full atomic.Bool
}

func (fs *fillingFS) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &fillingFile{f, fs}, nil
}

// Create implements vfs.FS, as do those below.
func (fs *fillingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if fs.full.Load() {
		return nil, syscall.ENOSPC
	}
	return fs.wrap(fs.FS.Create(name, category))
}

func (fs *fillingFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.wrap(fs.FS.ReuseForWrite(oldname, newname, category))
}

func (fs *fillingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.wrap(fs.FS.OpenReadWrite(name, category, opts...))
}

// fillingFile is a file on it.
type fillingFile struct {
	vfs.File

	fs *fillingFS
}

func (f *fillingFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

func (f *fillingFile) WriteAt(p []byte, at int64) (int, error) {
	if f.fs.full.Load() {
		return 0, syscall.ENOSPC
	}
	return f.File.WriteAt(p, at)
}
