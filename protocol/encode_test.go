package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func TestEncodingAppends(t *testing.T) {
	got := string(AppendJSON([]byte("before"), &Ack{Seq: 7}))
	if want := `before{"type":5,"seq":7}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEncodingEscapesWhatJSONAsksFor(t *testing.T) {
	// Each byte stands once at every place in a word of eight, and behind one.
	for c := range 128 {
		for n := range 17 {
			text := strings.Repeat("x", n) + string(rune(c)) + "y"
			frame := AppendJSON(nil, &Send{Receiver: "2", Content: text})
			var got struct{ Content string }
			if err := json.Unmarshal(frame, &got); err != nil || got.Content != text {
				t.Fatalf("%q became %s: %v", text, frame, err)
			}
			escaped := strings.Contains(string(frame), `\`)
			if needed := c < ' ' || c == '"' || c == '\\'; escaped != needed {
				t.Fatalf("%q became %s", text, frame)
			}
		}
	}
}

func TestEncodingIsValidWhateverTheStringsHold(t *testing.T) {
	for given, want := range map[string]string{
		"\xff":                 "\ufffd",
		"a\xc3(":               "a\ufffd(",
		"12345678\xe2\x82\"é":  "12345678\ufffd\ufffd\"é",
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd",
		"\ufffd is a letter":   "\ufffd is a letter",
		"é\x00\xff\\\u2028ok€": "é\x00\ufffd\\\u2028ok€",
	} {
		frame := AppendJSON(nil, &Receive{Id: given, Sender: given, Receiver: given, Content: given})
		if !json.Valid(frame) || !utf8.Valid(frame) {
			t.Errorf("%q makes %q", given, frame)
		}
		var got struct{ ID, Sender, Receiver, Content string }
		if err := json.Unmarshal(frame, &got); err != nil {
			t.Error(err)
		}
		for _, got := range []string{got.ID, got.Sender, got.Receiver, got.Content} {
			if got != want {
				t.Errorf("%q arrives as %q, want %q", given, got, want)
			}
		}
	}
}

func TestEveryProtoFieldTravelsUnderItsName(t *testing.T) {
	for _, m := range []Message{
		new(Connect), new(Send), new(Receive), new(Close), new(Sent), new(Ack), new(Error),
	} {
		t.Run(m.Type().String(), func(t *testing.T) {
			fill(m.ProtoReflect())
			frame := AppendJSON(nil, m)
			var got map[string]json.RawMessage
			if err := json.Unmarshal(frame, &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "type")
			checkNames(t, m.ProtoReflect().Descriptor(), got)
			again, err := DecodeJSON(frame, nil)
			if err != nil || !proto.Equal(again, m) {
				t.Errorf("%s means %v, want %v: %v", frame, again, m, err)
			}
		})
	}
}

// fill sets all fields, each to a value that its name allows.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.Kind() == protoreflect.MessageKind:
			fill(m.Mutable(f).Message())
		case f.Name() == "traceparent":
			m.Set(f, protoreflect.ValueOf(traceparent))
		case f.Kind() == protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOf(string(f.Name())))
		case f.Kind() == protoreflect.Uint32Kind:
			m.Set(f, protoreflect.ValueOf(uint32(1000+i)))
		case f.Kind() == protoreflect.Uint64Kind:
			m.Set(f, protoreflect.ValueOf(uint64(1000+i)))
		case f.Kind() == protoreflect.Int64Kind:
			m.Set(f, protoreflect.ValueOf(int64(-1000-i)))
		}
	}
}

func checkNames(t *testing.T, d protoreflect.MessageDescriptor, got map[string]json.RawMessage) {
	t.Helper()
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		value, ok := got[string(f.Name())]
		if !ok {
			t.Errorf("%s does not travel", f.FullName())
			continue
		}
		delete(got, string(f.Name()))
		if f.Kind() == protoreflect.MessageKind {
			var inner map[string]json.RawMessage
			if err := json.Unmarshal(value, &inner); err != nil {
				t.Error(err)
			}
			checkNames(t, f.Message(), inner)
		}
	}
	for name := range got {
		t.Errorf("%s travels and is no field of %s", name, d.FullName())
	}
}

func TestForeignMessageHasNoFrame(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was encoded")
		}
	}()
	AppendJSON(nil, struct{ *Send }{new(Send)})
}
