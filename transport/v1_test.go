package transport

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/protobuf/proto"

	"callboard/actors"
	"callboard/protocol"
)

var codecs = []protocol.Codec{protocol.JSON, protocol.Proto}

// join connects a user in version 1 and returns the server's CONNECT too.
func (s *service) join(user string, codec protocol.Codec, hello *protocol.Connect) (*rawPeer, *protocol.Connect) {
	s.t.Helper()
	p := s.speak(user, codec)
	p.says(codec, hello)
	m := p.hears(codec)
	welcome, ok := m.(*protocol.Connect)
	if !ok {
		s.t.Fatalf("CONNECT is answered by %v", m)
	}
	return p, welcome
}

// refuses reads one message, which must be an ERROR with the code, for the id.
func (p *rawPeer) refuses(codec protocol.Codec, code protocol.ErrorCode, id, field string) {
	p.t.Helper()
	m := p.hears(codec)
	e, ok := m.(*protocol.Error)
	if !ok || e.Code != string(code) || e.Id != id || !strings.HasPrefix(e.Reason, field+": ") {
		p.t.Fatalf("got %v, want ERROR %s for %q over %s", m, code, id, field)
	}
}

func TestCloseOfAClientHasACodeOfItsOwn(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range []protocol.Codec{protocol.JSON, protocol.Proto} {
		for code, echoed := range map[uint32]protocol.CloseCode{0: 1000, 1000: 1000, 3000: 3000, 4999: 4999} {
			p, _ := s.join("1", codec, &protocol.Connect{})
			for _, bad := range []*protocol.Close{
				{Code: 1001}, {Code: 1011}, {Code: 2999}, {Code: 5000}, {Code: 1006}, {Code: 1<<16 + 1000},
				{Code: 4000, Reason: strings.Repeat("x", protocol.MaxReasonBytes+1)},
			} {
				p.says(codec, bad)
				if e, ok := p.hears(codec).(*protocol.Error); !ok || e.Code != string(protocol.CodeInvalidMessage) || !strings.Contains(e.Reason, ": ") {
					t.Fatalf("to %v the server says %v", bad, e)
				}
			}
			reason := strings.Repeat("y", protocol.MaxReasonBytes)
			p.says(codec, &protocol.Close{Code: code, Reason: reason})
			opcode, payload := p.reads()
			if opcode != opClose || protocol.CloseCode(payload[0])<<8|protocol.CloseCode(payload[1]) != echoed || string(payload[2:]) != reason {
				t.Errorf("CLOSE %d is answered by opcode %d %q", code, opcode, payload)
			}
			_ = p.Close()
		}
	}
}

func TestSubprotocolIsTheOneThatTheClientLikesBest(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for offer, want := range map[string]string{
		"":                                      "",
		"callboard.v1.json":                     "callboard.v1.json",
		"callboard.v1.proto":                    "callboard.v1.proto",
		"callboard.v1.proto, callboard.v1.json": "callboard.v1.proto",
		"callboard.v1.json,callboard.v1.proto":  "callboard.v1.json",
		"callboard.v2.json, callboard.v1.proto": "callboard.v1.proto",
		"chat, callboard.v1.json":               "callboard.v1.json",
		"chat":                                  "",
		"Callboard.v1.json":                     "", // names are compared as they are
	} {
		p, answer, err := s.dial("1", nil, offer)
		if err != nil {
			t.Errorf("%s: %v", offer, err)
			continue
		}
		if got := answer.header.Get("Sec-WebSocket-Protocol"); got != want || p.ws.Subprotocol() != want {
			t.Errorf("%s: got %q, want %q", offer, got, want)
		}
		_ = p.ws.Close()
	}
	p := s.tcp() // the header may come more than once
	p.put([]byte(strings.Replace(handshake("1"), "\r\n\r\n",
		"\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: callboard.v1.json\r\n\r\n", 1)))
	response, err := http.ReadResponse(p.in, nil)
	must(t, err)
	_ = response.Body.Close()
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != "callboard.v1.json" {
		t.Errorf("in two headers: got %q", got)
	}
}

func TestUnknownVersionIsToldWhichOnesThereAre(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, offer := range []string{"callboard.v2.json", "callboard.", "chat, callboard.v1.xml"} {
		header := http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
			"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-Websocket-Protocol": {offer},
		}
		status, _, body := s.get(http.MethodGet, "/ws/1", header)
		var p problem
		must(t, json.Unmarshal([]byte(body), &p))
		if status != http.StatusBadRequest || p.Code != protocol.CodeUnknownSubprotocol ||
			!strings.Contains(p.Reason, protocol.SubprotocolJSON) || !strings.Contains(p.Reason, protocol.SubprotocolProto) {
			t.Errorf("%s: %d %s", offer, status, body)
		}
	}
}

func TestWelcomeSaysWhatHolds(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			p, welcome := s.join("1", codec, &protocol.Connect{Device: "phone " + codec.String()})
			l := welcome.Limits
			if welcome.User != "1" || welcome.Session == "" || welcome.Cursor == nil || welcome.Window != protocol.DefaultWindow ||
				l == nil || l.FrameBytes != protocol.MaxFrameBytes || l.InFlight != protocol.MaxInFlight || l.PingIntervalMs == 0 {
				t.Errorf("got %v", welcome)
			}
			must(t, p.Close())
		})
	}
}

func TestFirstMessageMustBeConnect(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			for _, m := range []protocol.Message{
				&protocol.Send{Receiver: "2", Id: "m-1"}, &protocol.Ack{Seq: 1}, &protocol.Close{}, &protocol.Sent{},
			} {
				p := s.speak("1", codec)
				p.says(codec, m)
				p.says(codec, &protocol.Connect{}) // too late
				if reason := p.closed(protocol.ClosePolicyViolation); !strings.HasSuffix(reason, m.Type().String()) {
					t.Errorf("%v: the reason is %q", m, reason)
				}
				_ = p.Close()
			}
			for _, m := range []protocol.Message{
				&protocol.Connect{Device: strings.Repeat("x", protocol.MaxDeviceBytes+1)}, &protocol.Connect{Device: "a\tb"},
			} {
				p := s.speak("1", codec)
				p.says(codec, m)
				if reason := p.closed(protocol.ClosePolicyViolation); !strings.HasPrefix(reason, "device: ") {
					t.Errorf("%v: the reason is %q", m, reason)
				}
				_ = p.Close()
			}
		})
	}
}

func TestConnectThatDoesNotComeEndsTheSession(t *testing.T) {
	s := start(t, Config{}, actors.Config{HandshakeTimeout: 50 * time.Millisecond})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			p := s.speak("1", codec)
			p.closed(protocol.ClosePolicyViolation)
			must(t, p.Close())
		})
	}
}

func TestEachCodecHasItsKindOfFrame(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for codec, opcode := range map[protocol.Codec]byte{protocol.JSON: opBinary, protocol.Proto: opText} {
		p, _ := s.join("1", codec, new(protocol.Connect))
		p.put(clientFrame(opcode, "{}"))
		p.closed(protocol.CloseUnsupportedData)
		_ = p.Close()
	}
}

func TestCodecsTalkToEachOtherAndToTheSeedsDialect(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	text, _ := s.join("text", protocol.JSON, new(protocol.Connect))
	binary, _ := s.join("binary", protocol.Proto, new(protocol.Connect))
	seed := s.connect("seed")
	content := "grüße, 你好, 🎭 \x00\"\\"
	text.says(protocol.JSON, &protocol.Send{Receiver: "binary", Id: "m-1", Content: content})
	text.says(protocol.JSON, &protocol.Send{Receiver: "seed", Id: "m-2", Content: content})
	want := &protocol.Receive{Seq: 1, Id: "m-1", Sender: "text", Receiver: "binary", Content: content}
	if got := stable(t, binary.hears(protocol.Proto)); !proto.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	seed.gets(content)
	binary.says(protocol.Proto, &protocol.Send{Receiver: "text", Id: "m-1", Content: content})
	for range 3 { // two SENT and a RECEIVE
		if m, ok := text.hears(protocol.JSON).(*protocol.Receive); ok && m.Content != content {
			t.Errorf("got %v", m)
		}
	}
	seed.write(`{"type":1,"receiver":"binary","content":"from the seed"}`)
	if sent := binary.hears(protocol.Proto); sent.Type() != protocol.TypeSent {
		t.Errorf("got %v", sent)
	}
	if m, ok := binary.hears(protocol.Proto).(*protocol.Receive); !ok || m.Content != "from the seed" || m.Id != "" || m.Seq != 2 {
		t.Errorf("got %v", m)
	}
}

func TestSendNeedsAnIDInVersion1(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			p, _ := s.join("1", codec, new(protocol.Connect))
			for _, id := range []string{"", "m-1", ""} { // also when the first has gone well
				p.says(codec, &protocol.Send{Receiver: "2", Content: "x", Id: id})
				if id == "" {
					p.refuses(codec, protocol.CodeInvalidMessage, "", "id")
				} else if m, ok := p.hears(codec).(*protocol.Sent); !ok || m.Id != id || m.Seq == 0 || m.At == 0 {
					t.Errorf("got %v", m)
				}
			}
			must(t, p.Close())
		})
	}
}

func TestWhatCannotBeUnderstoodIsRefusedInBothCodecs(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			p, _ := s.join("1", codec, new(protocol.Connect))
			for _, c := range []struct {
				m     protocol.Message
				code  protocol.ErrorCode
				id    string
				field string
			}{
				{&protocol.Send{Receiver: "a b", Id: "m-1"}, protocol.CodeInvalidUserID, "m-1", "receiver"},
				{&protocol.Send{Receiver: "2", Id: strings.Repeat("x", 65)}, protocol.CodeInvalidMessage, "", "id"},
				{&protocol.Send{Receiver: "2", Id: "m-1", Sender: "3"}, protocol.CodeSenderMismatch, "m-1", "sender"},
				{&protocol.Connect{}, protocol.CodeInvalidMessage, "", "type"},
				{&protocol.Receive{Receiver: "1"}, protocol.CodeUnknownType, "", "type"},
				{&protocol.Error{Code: "x"}, protocol.CodeUnknownType, "", "type"},
				{&protocol.Ack{Seq: 1}, protocol.CodeInvalidMessage, "", "seq"},
			} {
				p.says(codec, c.m)
				p.refuses(codec, c.code, c.id, c.field)
			}
			p.says(codec, &protocol.Send{Receiver: "2", Id: "m-1"})
			if m := p.hears(codec); m.Type() != protocol.TypeSent {
				t.Errorf("got %v", m)
			}
			must(t, p.Close())
		})
	}
}

// What JSON cannot say is refused without ending a binary session.
func TestBinarySessionOutlivesWhatTextFramesMayNotHave(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p, _ := s.join("1", protocol.Proto, new(protocol.Connect))
	noText := string(protocol.AppendProto(nil, &protocol.Send{Receiver: "2", Id: "m-1", Content: "12345"}))
	p.put(clientFrame(opBinary, strings.Replace(noText, "12345", "1234\xff", 1)))
	p.refuses(protocol.Proto, protocol.CodeInvalidUTF8, "m-1", "content")
	p.says(protocol.Proto, &protocol.Send{Receiver: "2", Id: "m-2", Content: strings.Repeat("\x00", 20000)})
	p.refuses(protocol.Proto, protocol.CodeTooLarge, "m-2", "content")
	p.put(clientFrame(opBinary, "\xff\xff"))
	p.refuses(protocol.Proto, protocol.CodeInvalidMessage, "", "frame")
	p.put(clientFrame(opBinary, ""))
	p.refuses(protocol.Proto, protocol.CodeInvalidMessage, "", "type")
	p.says(protocol.Proto, &protocol.Send{Receiver: "2", Id: "m-1", Content: "12345"})
	if m := p.hears(protocol.Proto); m.Type() != protocol.TypeSent {
		t.Errorf("got %v", m)
	}
}

// The longest message that a client may send arrives at one that reads JSON.
func TestLongestBinaryMessageArrivesAsJSON(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	reader, _ := s.join("2", protocol.JSON, new(protocol.Connect))
	p, _ := s.join("1", protocol.Proto, new(protocol.Connect))
	content := strings.Repeat("\x00", protocol.MaxContentBytes/6)
	p.says(protocol.Proto, &protocol.Send{Receiver: "2", Id: "m-1", Content: content})
	if m, ok := reader.hears(protocol.JSON).(*protocol.Receive); !ok || m.Content != content {
		t.Errorf("got %.100v", m)
	}
}

// A client that connects again finds what it missed, once.
func TestGorillaClientResumesInBothCodecs(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			user := "reader-of-" + codec.String()
			kind := map[protocol.Codec]int{protocol.JSON: websocket.TextMessage, protocol.Proto: websocket.BinaryMessage}[codec]
			sender := s.connect("1")
			cursor := uint64(0)
			for round := range 5 {
				for i := range 10 {
					sender.send(user, fmt.Sprint(10*round+i))
				}
				p, _, err := s.dial(user, nil, codec.String())
				must(t, err)
				hello := &protocol.Connect{Device: "phone", Window: 3, Cursor: &cursor}
				must(t, p.ws.WriteMessage(kind, codec.Append(nil, hello)))
				for cursor < uint64(10*round+7) { // and leaves in the middle
					must(t, p.ws.SetReadDeadline(time.Now().Add(patience)))
					got, frame, err := p.ws.ReadMessage()
					must(t, err)
					m, err := codec.Decode(frame, nil)
					must(t, err)
					switch m := m.(type) {
					case *protocol.Receive:
						if got != kind || m.Seq != cursor+1 || m.Content != fmt.Sprint(cursor) {
							t.Fatalf("got %v behind %d", m, cursor)
						}
						cursor = m.Seq
						must(t, p.ws.WriteMessage(kind, codec.Append(nil, &protocol.Ack{Seq: cursor})))
					case *protocol.Connect:
						if *m.Cursor != cursor || m.Window != 3 {
							t.Fatalf("got %v, want cursor %d", m, cursor)
						}
					default:
						t.Fatalf("got %v", m)
					}
				}
				_ = p.ws.Close()
			}
		})
	}
}
