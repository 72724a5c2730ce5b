package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// refuseProto decodes a binary frame that has to be refused.
func refuseProto(t *testing.T, frame []byte) *FrameError {
	t.Helper()
	m, err := DecodeProto(frame, nil)
	refusal, ok := errors.AsType[*FrameError](err)
	if !ok {
		t.Fatalf("accepted as %v: % .80x", m, frame)
	}
	return refusal
}

// binary is the frame with the given fields of a message of type t.
func binary(t Type, fields string) []byte {
	b := protowire.AppendTag(nil, protowire.Number(t)+1, protowire.BytesType)
	return protowire.AppendString(b, fields)
}

func TestBinaryRefusalNamesFieldAndFault(t *testing.T) {
	for _, c := range []struct {
		frame  []byte
		code   ErrorCode
		reason string
	}{
		{nil, CodeInvalidMessage, "type: missing; a frame says what it is"},
		{binary(7, ""), CodeUnknownType, "type: not a type that there is; the types are 0 to 6"},
		{[]byte{0x0a, 5}, CodeInvalidMessage, "frame: not protobuf, at byte 0"},
		{[]byte{0x08, 1}, CodeInvalidMessage, "frame: a message of another wire type, at byte 0"},
		{append(binary(TypeAck, ""), binary(TypeAck, "")...), CodeInvalidMessage, "frame: more than one message, at byte 2"},
		{[]byte{0x00}, CodeInvalidMessage, "frame: not protobuf, at byte 0"},
		{append(binary(TypeAck, ""), 0x7b, 0x7c), CodeInvalidMessage, "frame: a group, which proto3 does not have, at byte 2"},
		{binary(TypeAck, "\x08\xff"), CodeInvalidMessage, "frame: not protobuf, at byte 2"},
		{binary(TypeAck, "\x7b\x7c"), CodeInvalidMessage, "frame: a group, which proto3 does not have, at byte 2"},
		{binary(TypeAck, "\x0a\x01x"), CodeInvalidMessage, "seq: bytes; callboard.proto has another type"},
		{binary(TypeAck, "\x08\x01\x08\x02"), CodeInvalidMessage, "seq: there more than once"},
		{binary(TypeSend, ""), CodeInvalidMessage, "receiver: missing; a SEND names the user it is for"},
		{binary(TypeSend, "\x0a\x00"), CodeInvalidMessage, "receiver: missing; a SEND names the user it is for"},
		{binary(TypeSend, "\x0a\x03a b"), CodeInvalidUserID, "receiver: a character that ids do not use; they use letters, digits and . _ - : @ +"},
		{binary(TypeSend, "\x0a\x01\xff"), CodeInvalidUTF8, "receiver: not valid UTF-8"},
		{binary(TypeSend, "\x08\x02"), CodeInvalidMessage, "receiver: a varint; callboard.proto has another type"},
		{binary(TypeSend, "\x0a\x012\x0a\x013"), CodeInvalidMessage, "receiver: there more than once"},
		{binary(TypeSend, "\x0a\x012\x12\x01\xff"), CodeInvalidUTF8, "content: not valid UTF-8"},
		{binary(TypeSend, "\x0a\x012\x15\x01\x01\x01\x01"), CodeInvalidMessage, "content: a number of fixed size; callboard.proto has another type"},
		{binary(TypeSend, "\x0a\x012\x1a\x01\n"), CodeInvalidMessage, "id: a control character"},
		{binary(TypeSend, "\x0a\x012\x1a\x01\xff"), CodeInvalidUTF8, "id: not valid UTF-8"},
		{binary(TypeConnect, "\x12\x01\xff"), CodeInvalidUTF8, "device: not valid UTF-8"},
		{binary(TypeConnect, "\x12\x01\t"), CodeInvalidMessage, "device: a control character"},
		{binary(TypeConnect, "\x20\x80\x80\x80\x80\x10"), CodeInvalidMessage, "window: not a whole number from 0 to 4294967295 in plain digits"},
		{binary(TypeConnect, "\x42\x02\x08"), CodeInvalidMessage, "frame: not protobuf, at byte 2"},
		{binary(TypeConnect, "\x42\x01\x08"), CodeInvalidMessage, "limits: not protobuf, at byte 0"},
		{binary(TypeConnect, "\x42\x06\x20\x80\x80\x80\x80\x10"), CodeInvalidMessage, "limits.in_flight: not a whole number from 0 to 4294967295 in plain digits"},
		{binary(TypeConnect, "\x4a\x03\x0a\x01x"), CodeInvalidMessage, "gap.first: bytes; callboard.proto has another type"},
		{binary(TypeClose, "\x08\xe7\x07"), CodeInvalidMessage, "code: not a close code that may be sent"},
	} {
		refusal := refuseProto(t, c.frame)
		if refusal.Reason != c.reason || refusal.Code != c.code {
			t.Errorf("% x\n got %s %s\nwant %s %s", c.frame, refusal.Code, refusal.Reason, c.code, c.reason)
		}
		checkRefusal(t, refusal)
	}
}

func TestUnknownBinaryFieldsAreIgnored(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	unknown = append(protowire.AppendTag(unknown, 99, protowire.Fixed32Type), 1, 2, 3, 4)
	unknown = append(protowire.AppendTag(unknown, 98, protowire.Fixed64Type), 1, 2, 3, 4, 5, 6, 7, 8)
	unknown = protowire.AppendString(protowire.AppendTag(unknown, 16, protowire.BytesType), "\xff")
	frame := bytes.Join([][]byte{unknown, binary(TypeSend, string(unknown)+"\x0a\x012"+string(unknown)), unknown}, nil)
	m, err := DecodeProto(frame, nil)
	if err != nil || !proto.Equal(m, &Send{Receiver: "2"}) {
		t.Errorf("got %v, %v", m, err)
	}
}

func TestRefusedBinaryMessageIsNamed(t *testing.T) {
	for _, fields := range []string{
		"\x1a\x03m-1",                      // no receiver
		"\x1a\x03m-1\x0a\x012\x12\x01\xff", // a bad text
		"\x1a\x03m-1\xff",                  // cut off
	} {
		if refusal := refuseProto(t, binary(TypeSend, fields)); refusal.ID != "m-1" {
			t.Errorf("%q: %+v", fields, refusal)
		}
	}
}

func TestBinaryFrameHasALimit(t *testing.T) {
	for _, c := range []struct {
		message func(string) Message
		limit   int
	}{
		{func(s string) Message { return &Send{Receiver: "2", Content: s} }, MaxFrameBytes},
		{func(s string) Message { return &Receive{Receiver: "2", Content: s} }, MaxReceiveBytes},
	} {
		size := c.limit - len(AppendProto(nil, c.message(strings.Repeat("x", 60000)))) + 60000
		if _, err := DecodeProto(AppendProto(nil, c.message(strings.Repeat("x", size))), nil); err != nil {
			t.Errorf("%d bytes: %v", c.limit, err)
		}
		if refusal := refuseProto(t, AppendProto(nil, c.message(strings.Repeat("x", size+1)))); refusal.Code != CodeTooLarge {
			t.Errorf("a byte more than %d: %v", c.limit, refusal)
		}
	}
	if refusal := refuseProto(t, make([]byte, 10<<20)); refusal.Code != CodeTooLarge {
		t.Errorf("10 MiB: %v", refusal)
	}
}

// What a binary SEND carries, a JSON RECEIVE can carry too.
func TestContentThatJSONCannotCarryIsRefused(t *testing.T) {
	for _, c := range []struct {
		unit    string
		escaped int
	}{{"x", 1}, {"é", 2}, {"\"", 2}, {"\n", 2}, {"\x00", 6}, {"\x1f", 6}, {"\u2028", 3}} {
		most := min(MaxContentBytes/c.escaped, (MaxFrameBytes-100)/len(c.unit))
		send := &Send{Receiver: "2", Id: "m-1", Content: strings.Repeat(c.unit, most)}
		if _, err := DecodeProto(AppendProto(nil, send), nil); err != nil {
			t.Errorf("%d of %q: %v", most, c.unit, err)
		}
		receive := &Receive{
			Seq: 1<<64 - 1, Id: strings.Repeat(`"`, 64), Sender: strings.Repeat("s", 64), Receiver: strings.Repeat("r", 64),
			Content: send.Content, At: -1 << 63, Traceparent: traceparent,
		}
		for _, codec := range []Codec{JSON, Proto} {
			if m, err := codec.Decode(codec.Append(nil, receive), nil); err != nil || !proto.Equal(m, receive) {
				t.Errorf("%d of %q do not arrive by %v: %v", most, c.unit, codec, err)
			}
		}
		if c.escaped > len(c.unit) {
			send.Content += c.unit
			refusal := refuseProto(t, AppendProto(nil, send))
			if refusal.Code != CodeTooLarge || refusal.Field != "content" || refusal.ID != "m-1" {
				t.Errorf("%d of %q: %v", most+1, c.unit, refusal)
			}
		}
	}
}

func TestEscapedLengthIsThatOfTheEncoder(t *testing.T) {
	pad := strings.Repeat("p", MaxContentBytes/6) // so that it is counted
	for c := range 256 {
		s := pad + string(rune(c)) + `"\ é €`
		if got, want := escapedLen(s), len(appendString(nil, s))-2; got != want {
			t.Errorf("%q: %d, want %d", rune(c), got, want)
		}
	}
	if got := escapedLen("short"); got < 5 || got > MaxContentBytes {
		t.Errorf("got %d", got)
	}
}

func TestBinarySendIsDecodedIntoTheGivenOne(t *testing.T) {
	send := &Send{Receiver: "9", Content: "old", Id: "old", Sender: "9"}
	m, err := DecodeProto(AppendProto(nil, &Send{Receiver: "bob", Content: "new"}), send)
	if err != nil {
		t.Fatal(err)
	}
	if m != Message(send) || !proto.Equal(send, &Send{Receiver: "bob", Content: "new"}) {
		t.Errorf("got %v", m)
	}
}

func TestBinaryMessageOutlivesItsFrame(t *testing.T) {
	want := &Send{Receiver: "bob", Content: "aéb", Id: "m-1", Sender: "1"}
	frame := AppendProto(nil, want)
	m, err := DecodeProto(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if !proto.Equal(m, want) {
		t.Errorf("got %v, want %v", m, want)
	}
}

// FuzzDecodeProto: the decoder never panics, allocates no more than a small multiple
// of the frame, and yields what the generated code does. Where it refuses what that
// accepts, it is for a rule of ours; FuzzCodecsAgree has those.
func FuzzDecodeProto(f *testing.F) {
	for _, c := range readGolden(f).Valid {
		frame, err := hex.DecodeString(c.Proto)
		if err != nil {
			f.Fatal(c.Name, err)
		}
		f.Add(frame)
	}
	f.Add(binary(TypeConnect, "\x42\x06\x20\x80\x80\x80\x80\x10"))
	f.Add(binary(7, "\x0a\x01x"))
	f.Add([]byte("2\r\x99\x99\x99\x99000000000")) // a number that fields do not have
	f.Fuzz(func(t *testing.T, frame []byte) {
		given := bytes.Clone(frame)
		got, err := DecodeProto(given, nil)
		if !bytes.Equal(given, frame) {
			t.Fatal("the decoder wrote into the frame")
		}
		clear(given)
		checkMemory(t, func() { _, _ = DecodeProto(frame, nil) }, len(frame))
		if err != nil {
			refusal, ok := errors.AsType[*FrameError](err)
			if !ok {
				t.Fatal(err)
			}
			checkRefusal(t, refusal)
			checkStrict(t, frame, refusal)
			return
		}
		reference := new(Frame)
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame, reference); err != nil {
			t.Fatalf("accepted as %v; want %v", got, err)
		}
		want := content(reference)
		switch want := want.(type) {
		case *Send:
			want.Traceparent = traceparentReference(want.Traceparent)
		case *Receive:
			want.Traceparent = traceparentReference(want.Traceparent)
		}
		if !proto.Equal(got, want) {
			t.Fatalf("got %v; want %v", got, want)
		}
		again, err := DecodeProto(AppendProto(nil, got), nil)
		if err != nil || !proto.Equal(again, got) {
			t.Fatalf("%v comes back as %v, %v", got, again, err)
		}
	})
}

// checkStrict asserts that a frame that protobuf's own encoder could have written is
// not refused for its form.
func checkStrict(t *testing.T, frame []byte, refusal *FrameError) {
	t.Helper()
	reference := new(Frame)
	if (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(frame, reference) != nil {
		return
	}
	canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(reference)
	if err == nil && bytes.Equal(canonical, frame) && refusal.Field == "" && refusal.Code == CodeInvalidMessage {
		t.Fatalf("%v: %v", reference, refusal)
	}
}

// FuzzCodecsAgree: what one codec takes the other takes too, as the same message; and
// what one refuses the other refuses, with the same words. A binary SEND has a
// RECEIVE that fits into a JSON frame.
func FuzzCodecsAgree(f *testing.F) {
	f.Add(uint8(TypeSend), "1", "2", "m1", "hello", uint64(0), int64(0), true)
	f.Add(uint8(TypeSend), "a b", "2", "", "x", uint64(0), int64(0), true)
	f.Add(uint8(TypeReceive), "bob", "007", "m\n", "caf\u00e9 \"\\\n\x00", uint64(7), int64(-1), false)
	f.Add(uint8(TypeClose), "", "", "", "slow_consumer", uint64(999), int64(0), false)
	f.Add(uint8(TypeConnect), "1", "tab\there", "", "token", uint64(1)<<63, int64(0), true)
	f.Add(uint8(TypeError), "1", "", "", "gap", uint64(1)<<63, int64(0), true)
	f.Fuzz(func(t *testing.T, kind uint8, user, other, id, text string, n uint64, at int64, set bool) {
		m := message(Type(kind%7), user, other, id, text, n, at, set)
		frame := AppendJSON(nil, m)
		byJSON, errJSON := DecodeJSON(frame, nil)
		byProto, errProto := DecodeProto(AppendProto(nil, m), nil)
		refusedJSON, _ := errors.AsType[*FrameError](errJSON)
		refusedProto, _ := errors.AsType[*FrameError](errProto)
		send, isSend := m.(*Send)
		switch {
		case user == "" && (isSend || m.Type() == TypeReceive): // In JSON the receiver is there, and empty.
			if errJSON == nil || errProto == nil {
				t.Fatalf("%v is accepted: %v, %v", m, errJSON, errProto)
			}
		case len(frame) > MaxFrameBytes: // Each codec counts its own bytes.
			if isSend && errProto == nil && len(appendString(nil, send.Content)) > MaxContentBytes+2 {
				t.Fatalf("a content of %d bytes is accepted", len(send.Content))
			}
		case errJSON != nil || errProto != nil:
			if errJSON == nil || errProto == nil || *refusedJSON != *refusedProto {
				t.Fatalf("%v: %v in JSON, %v in protobuf", m, errJSON, errProto)
			}
		case !proto.Equal(byJSON, byProto):
			t.Fatalf("%v is %v in JSON, %v in protobuf", m, byJSON, byProto)
		}
		if isSend && errProto == nil {
			sent := byProto.(*Send)
			receive := &Receive{Seq: n, Id: sent.Id, Sender: sent.Receiver, Receiver: sent.Receiver, Content: sent.Content, At: at}
			if got, err := DecodeJSON(AppendJSON(nil, receive), nil); err != nil || !proto.Equal(got, receive) {
				t.Fatalf("it does not arrive: %v", err)
			}
		}
	})
}
