package transport

import (
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

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
	s := start(t, Config{}, actors.Config{Store: store})
	codec := protocol.JSON
	alice, _ := s.join("1", codec, &protocol.Connect{})
	alice.says(codec, &protocol.Send{Receiver: "3", Content: "kept", Id: "a"})
	if sent, ok := alice.hears(codec).(*protocol.Sent); !ok || sent.Seq != 1 {
		t.Fatalf("before the disk is full: %v", sent)
	}

	disk.full.Store(true)
	alice.says(codec, &protocol.Send{Receiver: "2", Content: "no room", Id: "b"})
	if e, ok := alice.hears(codec).(*protocol.Error); !ok || e.Code != string(protocol.CodeStorageFull) || e.Id != "b" {
		t.Fatalf("with a full disk alice hears %v", e)
	}
	status, _, body := s.get(http.MethodGet, "/readyz", nil)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, string(protocol.CodeStorageFull)) {
		t.Errorf("/readyz answers %d %s", status, body)
	}
	carol, welcome := s.join("3", codec, &protocol.Connect{Device: "phone"})
	if welcome.Head != 1 {
		t.Errorf("carol's inbox ends at %d, want 1", welcome.Head)
	}
	if m, ok := carol.hears(codec).(*protocol.Receive); !ok || m.Content != "kept" {
		t.Fatalf("with a full disk carol hears %v", m)
	}

	disk.full.Store(false)
	eventually(t, "ready again", func() bool {
		status, _, _ := s.get(http.MethodGet, "/readyz", nil)
		return status == http.StatusOK
	})
	alice.says(codec, &protocol.Send{Receiver: "2", Content: "no room", Id: "b"}) // once more
	if sent, ok := alice.hears(codec).(*protocol.Sent); !ok || sent.Id != "b" || sent.Seq != 1 {
		t.Fatalf("with room again alice hears %v", sent)
	}
	bob, _ := s.join("2", codec, &protocol.Connect{Device: "phone"})
	if m, ok := bob.hears(codec).(*protocol.Receive); !ok || m.Content != "no room" || m.Seq != 1 {
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
