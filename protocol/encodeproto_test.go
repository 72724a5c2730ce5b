package protocol

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
)

// envelope is m as the generated code has it: the reference for binary frames.
func envelope(m Message) *Frame {
	switch m := m.(type) {
	case *Connect:
		return &Frame{Message: &Frame_Connect{m}}
	case *Send:
		return &Frame{Message: &Frame_Send{m}}
	case *Receive:
		return &Frame{Message: &Frame_Receive{m}}
	case *Close:
		return &Frame{Message: &Frame_Close{m}}
	case *Sent:
		return &Frame{Message: &Frame_Sent{m}}
	case *Ack:
		return &Frame{Message: &Frame_Ack{m}}
	case *Error:
		return &Frame{Message: &Frame_Error{m}}
	}
	panic("no such message")
}

// content is the message in f, nil if there is none.
func content(f *Frame) Message {
	switch m := f.Message.(type) {
	case *Frame_Connect:
		return m.Connect
	case *Frame_Send:
		return m.Send
	case *Frame_Receive:
		return m.Receive
	case *Frame_Close:
		return m.Close
	case *Frame_Sent:
		return m.Sent
	case *Frame_Ack:
		return m.Ack
	case *Frame_Error:
		return m.Error
	}
	return nil
}

// checkProtoFrame asserts that the frame of m is the one that protobuf's own encoder
// writes.
func checkProtoFrame(t *testing.T, m Message) []byte {
	t.Helper()
	got := AppendProto(nil, m)
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(envelope(m))
	if err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%v is\n% x, want\n% x", m, got, want)
	}
	return got
}

func TestBinaryFrameIsWhatProtobufWrites(t *testing.T) {
	zero := uint64(0)
	for _, m := range []Message{
		new(Connect), new(Send), new(Receive), new(Close), new(Sent), new(Ack), new(Error),
		&Connect{Cursor: &zero, Limits: new(Limits), Gap: new(Gap)},
		&Receive{Seq: 1<<64 - 1, At: -1},
		&Error{Gap: &Gap{First: 1, Last: 300}},
	} {
		checkProtoFrame(t, m)
	}
	// Each length of a length, and both sides of where it grows.
	for _, n := range []int{1, 100, 122, 123, 124, 125, 126, 127, 128, 129, 16300, 16375, 16380, 16384, 16390, 70000, 1 << 21} {
		checkProtoFrame(t, &Send{Receiver: "2", Content: strings.Repeat("x", n)})
		checkProtoFrame(t, &Connect{Token: strings.Repeat("x", n), Limits: &Limits{Devices: 1<<32 - 1}})
	}
}

func TestEveryProtoFieldTravelsUnderItsNumber(t *testing.T) {
	for _, m := range []Message{
		new(Connect), new(Send), new(Receive), new(Close), new(Sent), new(Ack), new(Error),
	} {
		t.Run(m.Type().String(), func(t *testing.T) {
			fill(m.ProtoReflect())
			frame := checkProtoFrame(t, m)
			again, err := DecodeProto(frame, nil)
			if err != nil || !proto.Equal(again, m) {
				t.Errorf("% x means %v, want %v: %v", frame, again, m, err)
			}
		})
	}
}

func TestBinaryEncodingAppends(t *testing.T) {
	got := string(AppendProto([]byte("before"), &Ack{Seq: 7}))
	if want := "before\x32\x02\x08\x07"; got != want {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestBinaryEncodingIsValidWhateverTheStringsHold(t *testing.T) {
	for _, given := range []string{"\xff", "a\xc3(", "12345678\xe2\x82\"é", "\xed\xa0\x80", "\ufffd is a letter", "é\x00\xff\\\u2028ok€"} {
		f := new(Frame)
		if err := proto.Unmarshal(AppendProto(nil, &Error{Code: given, Reason: given}), f); err != nil {
			t.Errorf("%q: %v", given, err)
		}
		// Both codecs put the same in the place of what is no UTF-8.
		m, err := DecodeJSON(AppendJSON(nil, &Error{Code: given, Reason: given}), nil)
		if err != nil || !proto.Equal(m, content(f)) || !utf8.ValidString(f.GetError().Reason) {
			t.Errorf("%q is %v in JSON and %v in protobuf: %v", given, m, f, err)
		}
	}
}

func TestForeignMessageHasNoBinaryFrame(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was encoded")
		}
	}()
	AppendProto(nil, struct{ *Send }{new(Send)})
}
