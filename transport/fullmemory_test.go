package transport

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// A full memory is told to whoever sends and to whoever watches, as a full disk is, and got
// over when somebody fetches what is there.
func TestFullMemoryIsSaidAndGotOver(t *testing.T) {
	s := start(t, Config{}, actors.Config{Store: memory.New(memory.Config{MaxBytes: 1 << 20})})
	codec := protocol.JSON
	alice, _ := s.join("1", codec, &protocol.Connect{})
	send := func(id int) string {
		t.Helper()
		alice.says(codec, &protocol.Send{Receiver: "2", Content: strings.Repeat("x", 60_000), Id: strconv.Itoa(id)})
		switch m := alice.hears(codec).(type) {
		case *protocol.Sent:
			return ""
		case *protocol.Error:
			return m.Code
		}
		t.Fatal("neither SENT nor ERROR")
		return ""
	}
	ready := func() (int, string) {
		t.Helper()
		status, _, body := s.get(http.MethodGet, "/readyz", nil)
		return status, body
	}
	if status, body := ready(); status != http.StatusOK {
		t.Fatalf("/readyz answers %d %s while there is room", status, body)
	}
	kept := 0
	for code := ""; code == ""; kept++ {
		if code = send(kept); code != "" && code != string(protocol.CodeStorageFull) {
			t.Fatalf("message %d is refused as %s", kept, code)
		}
	}
	if status, body := ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, string(protocol.CodeStorageFull)) {
		t.Errorf("/readyz answers %d %s with %d messages", status, body, kept-1)
	}

	bob, welcome := s.join("2", codec, &protocol.Connect{Device: "phone"})
	for seq := uint64(1); seq <= welcome.Head; seq++ {
		if m, ok := bob.hears(codec).(*protocol.Receive); !ok || m.Seq != seq {
			t.Fatalf("bob hears %v, want message %d", m, seq)
		}
		bob.says(codec, &protocol.Ack{Seq: seq})
	}

	eventually(t, "the service is ready", func() bool { status, _ := ready(); return status == http.StatusOK })
	eventually(t, "messages are taken again", func() bool { return send(kept) == "" })
}
