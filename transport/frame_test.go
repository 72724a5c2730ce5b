package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
)

// sequence is a client's frames one after another.
func sequence(frames ...[]byte) []byte { return bytes.Join(frames, nil) }

// violations are the ways to break the protocol and how each is answered.
var violations = []struct {
	name   string
	bytes  []byte
	code   protocol.CloseCode
	reason string
}{
	{"reserved bit 1", []byte{0xc1, 0x80, 0, 0, 0, 0}, 1002, "a reserved bit is set; no extension was agreed on"},
	{"reserved bit 2", []byte{0xa1, 0x80, 0, 0, 0, 0}, 1002, "a reserved bit is set; no extension was agreed on"},
	{"reserved bit 3", []byte{0x91, 0x80, 0, 0, 0, 0}, 1002, "a reserved bit is set; no extension was agreed on"},
	{"opcode 3", clientFrame(3, ""), 1002, "unknown opcode"},
	{"opcode 7", clientFrame(7, ""), 1002, "unknown opcode"},
	{"opcode 11", clientFrame(11, ""), 1002, "unknown opcode"},
	{"opcode 15", clientFrame(15, ""), 1002, "unknown opcode"},
	{"unmasked", []byte{0x81, 0x02, '{', '}'}, 1002, "a client's frame must be masked"},
	{"fragmented ping", fragment(false, opPing, "x"), 1002, "a control frame must not be fragmented"},
	{"fragmented close", fragment(false, opClose, ""), 1002, "a control frame must not be fragmented"},
	{"long ping", frameHead(true, opPing, 126), 1002, "a control frame is longer than 125 bytes"},
	{"long pong", frameHead(true, opPong, 70000), 1002, "a control frame is longer than 125 bytes"},
	{"5 bytes in 16 bits", []byte{0x81, 0xfe, 0, 5}, 1002, "a length is not in its shortest form"},
	{"5 bytes in 64 bits", []byte{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5}, 1002, "a length is not in its shortest form"},
	{"negative length", []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0}, 1002, "a length is not in its shortest form"},
	{"too long", frameHead(true, opText, protocol.MaxFrameBytes+1), 1009, "too_large"},
	{"exabytes", []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1009, "too_large"},
	{"too long in fragments", sequence(
		fragment(false, opText, strings.Repeat(" ", protocol.MaxFrameBytes)), fragment(true, opContinuation, " "),
	), 1009, "too_large"},
	{"continuation of nothing", clientFrame(opContinuation, "x"), 1002, "a continuation of no message"},
	{"message in a message", sequence(fragment(false, opText, "{"), clientFrame(opText, "}")), 1002,
		"a message began before the last one had ended"},
	{"binary", clientFrame(opBinary, "{}"), 1003, "this session speaks JSON in text frames"},
	{"no UTF-8", clientFrame(opText, "\"\xff\""), 1007, "a text frame must be UTF-8"},
	{"half a rune", clientFrame(opText, "\"\xe2\x82"), 1007, "a text frame must be UTF-8"},
	{"half a close code", clientFrame(opClose, "\x03"), 1002, "a close frame with half a code"},
	{"close code 1005", clientFrame(opClose, "\x03\xed"), 1002, "a close code that must not be sent"},
	{"close code 1006", clientFrame(opClose, "\x03\xee"), 1002, "a close code that must not be sent"},
	{"close code 1015", clientFrame(opClose, "\x03\xf7"), 1002, "a close code that must not be sent"},
	{"close code 999", clientFrame(opClose, "\x03\xe7"), 1002, "a close code that must not be sent"},
	{"close code 2999", clientFrame(opClose, "\x0b\xb7"), 1002, "a close code that must not be sent"},
	{"close code 5000", clientFrame(opClose, "\x13\x88"), 1002, "a close code that must not be sent"},
	{"close reason no UTF-8", clientFrame(opClose, "\x03\xe8\xff"), 1007, "a close reason must be UTF-8"},
}

func TestViolationClosesWithItsCode(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for _, v := range violations {
		t.Run(v.name, func(t *testing.T) {
			p := s.raw("1")
			p.put(v.bytes)
			if reason := p.closed(v.code); reason != v.reason {
				t.Errorf("the reason is %q, want %q", reason, v.reason)
			}
			must(t, p.Close())
		})
	}
	s.connect("1").send("1", "still here")
}

// A close frame is answered with its own code, and the connection then ends.
func TestCloseIsAnswered(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	for payload, code := range map[string]protocol.CloseCode{
		"": 1000, "\x03\xe8": 1000, "\x03\xe9bye": 1001, "\x0f\xa0": 4000, "\x0b\xb8": 3000,
	} {
		p := s.raw("1")
		p.put(clientFrame(opClose, payload))
		p.closed(code)
		p.ended()
	}
}

func TestFragmentsMakeOneMessage(t *testing.T) {
	s := start(t, Config{}, actors.Config{})
	p, receiver := s.raw("1"), s.connect("2")
	message := send("2", "pieces with € in it")
	for i := range len(message) {
		opcode := byte(opContinuation)
		if i == 0 {
			opcode = opText
		}
		p.put(fragment(i == len(message)-1, opcode, message[i:i+1]))
		if i%10 == 0 {
			p.put(clientFrame(opPing, fmt.Sprint(i))) // control frames may come in between
			if opcode, payload := p.reads(); opcode != opPong || string(payload) != fmt.Sprint(i) {
				t.Fatalf("a ping in between got %d %q", opcode, payload)
			}
		}
	}
	receiver.gets("pieces with € in it")
}

// What comes in pieces of any size is what comes at once.
func TestBytesOneByOneAreTheWhole(t *testing.T) {
	stream := sequence(
		clientFrame(opText, send("1", "short")),
		clientFrame(opPing, "ping"),
		fragment(false, opText, send("1", "begin")[:10]),
		clientFrame(opPong, ""),
		fragment(false, opContinuation, ""),
		fragment(true, opContinuation, send("1", "begin")[10:]),
		clientFrame(opText, send("1", strings.Repeat("long", 100))),
		clientFrame(opText, send("1", strings.Repeat("x", 60000))),
	)
	s := start(t, Config{}, actors.Config{})
	whole := s.answers(stream, len(stream), 5) // four messages and a pong
	sizes := []int{1, 2, 7, 4096}
	if overTLS { // where each is a record
		sizes = []int{7, 100, 4096}
	}
	for _, size := range sizes {
		pieces := s.answers(stream, size, 5)
		if !slices.Equal(pieces, whole) {
			t.Errorf("in pieces of %d bytes it is another conversation: %d frames", size, len(pieces))
		}
	}
}

// answers sends the stream in pieces and returns the frames that come back, in
// the order of the alphabet: pongs are no part of the messages' order.
func (s *service) answers(stream []byte, size, frames int) []string {
	s.t.Helper()
	p := s.raw("1")
	written := make(chan error, 1)
	go func() {
		for piece := range slices.Chunk(stream, size) {
			if _, err := p.Write(piece); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	var got []string
	for range frames {
		opcode, payload := p.reads()
		if opcode == opText { // without place and time
			m, err := protocol.DecodeJSON(payload, nil)
			must(s.t, err)
			payload = []byte(m.(*protocol.Receive).Content)
		}
		got = append(got, fmt.Sprint(opcode, " ", string(payload)))
	}
	must(s.t, <-written)
	p.put(clientFrame(opClose, ""))
	if opcode, _ := p.reads(); opcode != opClose {
		s.t.Errorf("a frame of opcode %d too many", opcode)
	}
	p.ended()
	slices.Sort(got)
	return got
}

func TestUnmaskIsByteByByte(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		b := make([]byte, random.IntN(80))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		mask := random.Uint32()
		if random.IntN(10) == 0 {
			mask = 0
		}
		var key [4]byte
		binary.LittleEndian.PutUint32(key[:], mask)
		want := make([]byte, len(b))
		for i := range b {
			want[i] = b[i] ^ key[i&3]
		}
		if unmask(b, mask); !bytes.Equal(b, want) {
			t.Fatalf("seed %d: mask %x of %d bytes", seed, mask, len(b))
		}
	}
}

func TestServerFramesCanBeRead(t *testing.T) {
	for _, length := range []int{0, 1, 124, 125, 126, 127, 65535, 65536, 100000} {
		payload := strings.Repeat("é", length/2) + strings.Repeat("x", length%2)
		out := []byte("before")
		for range 2 { // the second one begins behind the first
			start := len(out)
			out = append(beginFrame(out, opText), payload...)
			out = finishFrame(out, start)
		}
		in := bytes.NewReader(out[len("before"):])
		for range 2 {
			opcode, got, err := readFrame(in)
			if err != nil || opcode != opText || string(got) != payload {
				t.Errorf("%d bytes: read %d bytes of opcode %d, %v", length, len(got), opcode, err)
			}
		}
		if in.Len() != 0 {
			t.Errorf("%d bytes: %d bytes too many", length, in.Len())
		}
	}
}

// FuzzFrames compares the frames that we read with the ones that gorilla's server
// reads from the same bytes. We refuse and gorilla does not: a length that is not
// in its shortest form (RFC 6455, 5.2: the minimal number of bytes MUST be used).
// That text is UTF-8 is no matter of frames, for either.
func FuzzFrames(f *testing.F) {
	for _, v := range violations {
		f.Add(v.bytes)
	}
	f.Add(sequence(clientFrame(opText, "one"), clientFrame(opPing, "p"), clientFrame(opBinary, strings.Repeat("2", 200))))
	f.Add(sequence(fragment(false, opText, "a"), clientFrame(opPong, ""), fragment(true, opContinuation, "b")))
	f.Add(clientFrame(opText, strings.Repeat("x", protocol.MaxFrameBytes)))
	f.Add(clientFrame(opClose, "\x03\xe8bye"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, short := ourMessages(b)
		theirs := gorillaMessages(t, b)
		if short { // they read on where we have stopped
			theirs = theirs[:min(len(theirs), len(ours))]
		}
		if fmt.Sprint(ours) != fmt.Sprint(theirs) {
			t.Errorf("% x\nours   %q\ntheirs %q", b[:min(len(b), 64)], ours, theirs)
		}
	})
}

// ourMessages puts the messages together that parseHeader finds; notShortest
// tells that it stopped at a length that is not in its shortest form.
func ourMessages(stream []byte) (messages []string, notShortest bool) {
	b := bytes.Clone(stream)
	var message []byte
	var under byte
	for {
		h, enough, bad := parseHeader(b)
		if bad != nil {
			return messages, strings.Contains(bad.reason, "shortest")
		}
		if !enough || len(b) < h.size+h.length {
			return messages, false
		}
		payload := b[h.size : h.size+h.length]
		unmask(payload, h.mask)
		b = b[h.size+h.length:]
		switch {
		case h.opcode == opClose:
			return messages, false
		case h.opcode > opClose:
			continue
		case (h.opcode == opContinuation) == (under == 0), len(message)+len(payload) > protocol.MaxFrameBytes:
			return messages, false
		case under == 0:
			under = h.opcode
		}
		if message = append(message, payload...); h.fin {
			messages = append(messages, string('0'+rune(under))+string(message))
			message, under = nil, 0
		}
	}
}

func gorillaMessages(t *testing.T, stream []byte) (messages []string) {
	t.Helper()
	ws := gorillaServer(t, bytes.NewReader(stream))
	ws.SetReadLimit(protocol.MaxFrameBytes)
	for {
		kind, b, err := ws.ReadMessage()
		if err != nil {
			return messages
		}
		messages = append(messages, string('0'+rune(kind))+string(b))
	}
}

// gorillaServer is gorilla's server side of a connection from which the client's
// frames are read.
func gorillaServer(tb testing.TB, frames io.Reader) *websocket.Conn {
	tb.Helper()
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake("1"))))
	must(tb, err)
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := upgrader.Upgrade(&hijacked{frames: frames}, request, nil)
	must(tb, err)
	return ws
}

// hijacked is an http.ResponseWriter over frames in memory, and the connection
// that it gives away.
type hijacked struct {
	frames io.Reader
	net.Conn
}

func (h *hijacked) Header() http.Header { return http.Header{} }
func (h *hijacked) WriteHeader(int)     {}
func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h, bufio.NewReadWriter(bufio.NewReaderSize(h, 16<<10), bufio.NewWriter(h)), nil
}
func (h *hijacked) Read(b []byte) (int, error)       { return h.frames.Read(b) }
func (h *hijacked) Write(b []byte) (int, error)      { return len(b), nil }
func (h *hijacked) Close() error                     { return nil }
func (h *hijacked) SetDeadline(time.Time) error      { return nil }
func (h *hijacked) SetReadDeadline(time.Time) error  { return nil }
func (h *hijacked) SetWriteDeadline(time.Time) error { return nil }
func (h *hijacked) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (h *hijacked) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// again gives the same frame for ever.
type again struct {
	frame []byte
	at    int
}

func (a *again) Read(b []byte) (n int, err error) {
	for n < len(b) {
		c := copy(b[n:], a.frame[a.at:])
		n += c
		a.at = (a.at + c) % len(a.frame)
	}
	return n, nil
}

var frameSizes = []int{16, 128, 4096}

// BenchmarkFrameRead is one frame of the payload's size, header and unmasking.
func BenchmarkFrameRead(b *testing.B) {
	for _, size := range frameSizes {
		frame := clientFrame(opText, strings.Repeat("x", size))
		b.Run(fmt.Sprintf("ours/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h, enough, bad := parseHeader(frame)
				if !enough || bad != nil {
					b.Fatal(bad)
				}
				unmask(frame[h.size:], h.mask)
			}
		})
		b.Run(fmt.Sprintf("gorilla/size=%d", size), func(b *testing.B) {
			ws := gorillaServer(b, &again{frame: frame})
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := ws.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFrameWrite is one frame of the payload's size into memory.
func BenchmarkFrameWrite(b *testing.B) {
	for _, size := range frameSizes {
		payload := bytes.Repeat([]byte("x"), size)
		b.Run(fmt.Sprintf("ours/size=%d", size), func(b *testing.B) {
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = append(beginFrame(out[:0], opText), payload...)
				out = finishFrame(out, 0)
			}
		})
		b.Run(fmt.Sprintf("gorilla/size=%d", size), func(b *testing.B) {
			ws := gorillaServer(b, &again{frame: []byte{0}})
			b.ReportAllocs()
			for b.Loop() {
				if err := ws.WriteMessage(websocket.TextMessage, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
