package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// FuzzDecodeJSON: the decoder never panics, allocates no more than a small
// multiple of the frame, and accepts and yields what encoding/json does, but for
// the deviations that reference marks.
func FuzzDecodeJSON(f *testing.F) {
	g := readGolden(f)
	for _, c := range g.Valid {
		f.Add([]byte(c.Frame))
	}
	for _, c := range g.Invalid {
		f.Add([]byte(c.Frame))
	}
	f.Fuzz(checkFrame)
}

// FuzzDecodeTokens is FuzzDecodeJSON with frames that are put together from
// pieces of JSON, a byte of the input for each: most of them come further than
// random bytes do.
func FuzzDecodeTokens(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		choices := make([]byte, random.IntN(12))
		for i := range choices {
			choices[i] = byte(random.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		frame := []byte(`{"type":`)
		for _, c := range choices {
			frame = append(frame, tokens[int(c)%len(tokens)]...)
		}
		checkFrame(t, append(frame, '}'))
	})
}

var tokens = []string{
	"0", "1", "2", "3", "4", "5", "6", `,"receiver":`, `,"content":`, `,"id":`, `,"sender":`, `,"seq":`, `,"at":`,
	`,"code":`, `,"reason":`, `,"token":`, `,"cursor":`, `,"window":`, `,"user":`, `,"epoch":`, `,"traceparent":`, `"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"`, `,"limits":{"sessions":1`,
	`,"gap":{"first":2`, `,"retry":`, `,"last":`, `,"x":`, `,"Receiver":`, `,"re\u0063eiver":`, `"bob"`, `"b\u006Fb"`, `""`, `"a b"`,
	`"\ud83d\ude00\ud83d"`, `"é"`, "\"\xff\"", `"\n"`, `null`, `true`, `{}`, `[]`, `{`, `}`, `[`, `]`, `,`, `:`, ` `, `"`, `\`, `-`,
	`.5`, `e1`, `1001`, `4294967296`, `18446744073709551616`, `-9223372036854775808`, `{"type":1}`, `[[[[[[[[`, `]]]]]]]]`,
}

// checkFrame asserts what FuzzDecodeJSON promises.
func checkFrame(t *testing.T, frame []byte) {
	t.Helper()
	given := bytes.Clone(frame)
	got, err := DecodeJSON(given, nil)
	if !bytes.Equal(given, frame) {
		t.Fatal("the decoder wrote into the frame")
	}
	clear(given) // A message that still looked at it would not be the one that is wanted.

	want, code := reference(frame)
	switch {
	case code != "":
		refusal, ok := errors.AsType[*FrameError](err)
		if !ok {
			t.Fatalf("accepted as %v; want %s", got, code)
		}
		if refusal.Code != code && (refusal.Code != CodeInvalidUserID || code != CodeInvalidMessage) {
			t.Fatalf("%v; want %s", refusal, code)
		}
		checkRefusal(t, refusal)
	case err != nil:
		t.Fatalf("%v; want %v", err, want)
	case !proto.Equal(got, want):
		t.Fatalf("got %v; want %v", got, want)
	default:
		checkCanonical(t, got)
	}
	checkMemory(t, func() { _, _ = DecodeJSON(frame, nil) }, len(frame))
}

// checkRefusal asserts that a refusal is fit to be sent to the client.
func checkRefusal(t *testing.T, refusal *FrameError) {
	t.Helper()
	if refusal.ID != "" {
		if _, err := ParseMessageID(refusal.ID); err != nil {
			t.Errorf("it names a message that cannot be: %v", err)
		}
	}
	if n := len(refusal.Reason); n > MaxReasonBytes {
		t.Errorf("a reason of %d bytes: %s", n, refusal.Reason)
	}
	subject := refusal.Field
	if subject == "" {
		subject = "frame"
	}
	if !strings.HasPrefix(refusal.Reason, subject+": ") {
		t.Errorf("the reason does not begin with %s: %s", subject, refusal.Reason)
	}
}

// checkCanonical asserts that m has a frame that is JSON and means m.
func checkCanonical(t *testing.T, m Message) {
	t.Helper()
	frame := AppendJSON(nil, m)
	if !json.Valid(frame) || !utf8.Valid(frame) {
		t.Fatalf("the frame of %v is not JSON: %q", m, frame)
	}
	if len(frame) > MaxFrameBytes {
		return // The canonical form can be longer: quotes around a message id.
	}
	again, err := DecodeJSON(frame, nil)
	if err != nil {
		t.Fatalf("%v in %s", err, frame)
	}
	if !proto.Equal(again, m) {
		t.Fatalf("%s means %v; want %v", frame, again, m)
	}
}

// checkMemory asserts that decoding allocates at most twice the frame's size and what
// the largest message and a refusal need. What else runs in the process counts
// too, so the smallest of a few measurements has to do.
func checkMemory(t *testing.T, decode func(), size int) {
	t.Helper()
	limit := 2*uint64(size) + 2048
	var before, after runtime.MemStats
	least := ^uint64(0)
	for range 3 {
		runtime.ReadMemStats(&before)
		decode()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= limit {
			return
		}
	}
	t.Fatalf("%d bytes allocated for a frame of %d", least, size)
}

// traceparentOf is a traceparent made of two numbers, or something that is none.
func traceparentOf(trace uint64, span int64) string {
	return fmt.Sprintf("00-%032x-%016x-%02x", trace, uint64(span), byte(trace))
}

// message is one of the given type, made of the given pieces.
func message(t Type, user, other, id, text string, n uint64, at int64, set bool) Message {
	gap, parent := &Gap{First: n, Last: uint64(at)}, traceparentOf(n, at)
	if !set {
		gap, parent = nil, ""
	}
	switch t {
	case TypeConnect:
		c := &Connect{Token: text, Device: other, Window: uint32(n), User: user, Session: text, Head: n, Gap: gap}
		if set {
			c.Cursor = &n
			c.Epoch = uint32(n >> 8)
			c.Limits = &Limits{FrameBytes: uint32(n), Sessions: uint32(at)}
		}
		return c
	case TypeSend:
		return &Send{Receiver: user, Content: text, Id: id, Sender: other, Traceparent: parent}
	case TypeReceive:
		return &Receive{Seq: n, Id: id, Sender: other, Receiver: user, Content: text, At: at, Traceparent: parent}
	case TypeClose:
		return &Close{Code: uint32(n), Reason: text}
	case TypeSent:
		return &Sent{Id: id, Seq: n, At: at}
	case TypeAck:
		return &Ack{Seq: n}
	default:
		return &Error{Id: id, Code: text, Reason: text, Gap: gap, Retry: uint32(n >> 16)}
	}
}

// FuzzRoundTrip: a message that keeps the rules survives its frame.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint8(TypeSend), "1", "2", "m1", "hello", uint64(0), int64(0), true)
	f.Add(uint8(TypeReceive), "bob", "007", "", "caf\u00e9 \u2028 \"\\\n\x00", uint64(7), int64(1700000000000), false)
	f.Add(uint8(TypeClose), "", "", "", "slow_consumer", uint64(4001), int64(0), false)
	f.Add(uint8(TypeError), "", "", "m1", "gap", uint64(7), int64(9), true)
	f.Add(uint8(TypeConnect), "18446744073709551615", "", "", "token", uint64(1)<<63, int64(0), true)
	f.Fuzz(func(t *testing.T, kind uint8, user, other, id, text string, n uint64, at int64, set bool) {
		for _, u := range []string{user, other} {
			if _, err := ParseUserID(u); u != "" && err != nil {
				t.Skip()
			}
		}
		if _, err := ParseMessageID(id); id != "" && err != nil || !utf8.ValidString(text) {
			t.Skip()
		}
		if (n == 0 || at == 0) && Type(kind%7) <= TypeReceive {
			set = false // its traceparent would be none
		}
		m := message(Type(kind%7), user, other, id, text, n, at, set)
		if c, ok := m.(*Close); ok && !CloseCode(c.Code).Valid() || len(text) > MaxReasonBytes && m.Type() == TypeClose {
			t.Skip()
		}
		if c, ok := m.(*Connect); ok && (deviceFault(c.Device) != "" || len(c.Token) > MaxTokenBytes) {
			t.Skip()
		}
		if user == "" && (m.Type() == TypeSend || m.Type() == TypeReceive) {
			t.Skip()
		}
		checkCanonical(t, m)
	})
}
