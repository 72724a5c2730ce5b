package transport

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"callboard/actors"
	"callboard/actors/inbox"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
)

// The transcripts of package protocol, played against a server. Its testdata has
// what the words mean.
type transcript struct {
	Name  string
	Plays bool
	Given *struct {
		User, Device, Sender string
		Cursor, Trimmed      uint64
		Messages             []string
	}
	Rate  *struct{ Burst, Refusals int }
	Steps []struct {
		Event, Session, User, Type, JSON, Proto string
		Code                                    protocol.CloseCode
		UpTo                                    uint64 `json:"up_to"`
		Refused                                 protocol.ErrorCode
		Status                                  int
	}
}

func TestTranscriptsCanBePlayed(t *testing.T) {
	files, err := filepath.Glob("../protocol/testdata/transcripts/*.json")
	must(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		var script transcript
		must(t, json.Unmarshal(text, &script))
		if !script.Plays {
			continue
		}
		for _, codec := range []protocol.Codec{protocol.JSON, protocol.Proto} {
			t.Run(script.Name+"/"+codec.String(), func(t *testing.T) { script.play(t, codec) })
		}
	}
}

// transcriptEpoch is the epoch of the server in all transcripts.
const transcriptEpoch = 2717

func (script *transcript) play(t *testing.T, codec protocol.Codec) {
	t.Helper()
	config := actors.Config{Store: memory.New(memory.Config{Epoch: transcriptEpoch})}
	if r := script.Rate; r != nil {
		config.Rates = actors.Rates{Session: actors.Rate{Every: time.Hour, Burst: r.Burst}, MaxRefusals: r.Refusals}
	}
	s := start(t, Config{}, config)
	script.prepare(t, s.store)
	peers := map[string]*rawPeer{}
	for i, step := range script.Steps {
		if t.Failed() {
			t.Fatalf("step %d was the last one", i)
		}
		p := peers[step.Session]
		frame := step.JSON
		if codec == protocol.Proto {
			binary, err := hex.DecodeString(step.Proto)
			must(t, err)
			frame = string(binary)
		}
		switch step.Event {
		case "open":
			peers[step.Session] = s.speak(step.User, codec)
		case "client":
			if step.Type == protocol.TypeAck.String() {
				p.quiet()
			}
			p.put(clientFrame(opcodeOf(codec), frame))
		case "server":
			want, err := codec.Decode([]byte(frame), nil)
			must(t, err)
			if got := p.hears(codec); !proto.Equal(stable(t, got), stable(t, want)) {
				t.Fatalf("step %d: got %v, want %v", i, got, want)
			}
		case "client_close":
			p.put(clientFrame(opClose, string([]byte{byte(step.Code >> 8), byte(step.Code)})))
		case "server_close":
			opcode, payload := p.reads()
			if opcode != opClose || protocol.CloseCode(payload[0])<<8|protocol.CloseCode(payload[1]) != step.Code {
				t.Fatalf("step %d: got opcode %d %q, want close %v", i, opcode, payload, step.Code)
			}
			_ = p.Close()
			delete(peers, step.Session)
		case "open_refused":
			status, _, answer := s.get(http.MethodGet, "/ws/"+step.User, offering(codec))
			var body problem
			must(t, json.Unmarshal([]byte(answer), &body))
			if status != step.Status || body.Code != step.Refused || body.Reason == "" {
				t.Fatalf("step %d: got %d %s, want %d %s", i, status, answer, step.Status, step.Refused)
			}
		case "block":
			_, err := s.system.Block(t.Context(), actors.Block{User: protocol.UserID(step.User)})
			must(t, err)
		case "unblock":
			_, err := s.system.Unblock(t.Context(), protocol.UserID(step.User))
			must(t, err)
		case "drain":
			s.stop()
		case "trim":
			must(t, s.store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: protocol.UserID(step.User), UpTo: step.UpTo}}}))
		default:
			t.Fatalf("no such event: %s", step.Event)
		}
	}
	for p := range maps.Values(peers) {
		p.quiet()
		_ = p.Close()
	}
}

// offering is the header of a handshake that offers a codec.
func offering(codec protocol.Codec) http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, subprotocolHeader: {codec.String()},
	}
}

// prepare fills the inbox that is given.
func (script *transcript) prepare(t *testing.T, store inbox.Store) {
	t.Helper()
	g := script.Given
	if g == nil {
		return
	}
	user, sum := protocol.UserID(g.User), uint64(0)
	var batch inbox.Batch
	for i, content := range g.Messages {
		m := &protocol.Receive{
			Seq: uint64(i + 1), Id: "m-" + string(rune('1'+i)), Sender: g.Sender, Receiver: g.User, Content: content, At: 1,
		}
		sum += inbox.Size(m)
		batch.Appends = append(batch.Appends, inbox.Append{User: user, Entry: inbox.Entry{Message: m, Sum: sum}})
	}
	batch.Moves = []inbox.Move{{User: user, Device: inbox.Device{Name: g.Device, Cursor: g.Cursor, Seen: 1}}}
	must(t, store.Commit(&batch))
	if g.Trimmed > 0 {
		must(t, store.Commit(&inbox.Batch{Trims: []inbox.Trim{{User: user, UpTo: g.Trimmed}}}))
	}
}

// stable is a message without what is another one each time, which must be there.
func stable(t *testing.T, m protocol.Message) protocol.Message {
	t.Helper()
	there := true
	switch m := m.(type) {
	case *protocol.Connect:
		there = m.Session != "" && m.Limits != nil
		m.Session, m.Limits = "", nil
	case *protocol.Receive:
		there = m.At > 0
		m.At = 0
	case *protocol.Sent:
		there = m.At > 0
		m.At = 0
	case *protocol.Error:
		there = m.Reason != "" && !strings.Contains(m.Reason, "\n")
		m.Reason = ""
		m.Retry = min(m.Retry, 1)
	}
	if !there {
		t.Errorf("something is missing: %v", m)
	}
	return m
}
