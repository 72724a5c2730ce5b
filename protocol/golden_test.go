package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// golden is testdata/frames.json; testdata/README.md explains it.
type golden struct {
	Valid []struct {
		Name, Frame, Type, Canonical, Proto string
		Message                             json.RawMessage
	}
	Invalid []struct {
		Name, Frame     string
		FrameHex        string `json:"frame_hex"`
		Code, Field, ID string
	}
}

func readGolden(tb testing.TB) golden {
	tb.Helper()
	text, err := os.ReadFile("testdata/frames.json")
	if err != nil {
		tb.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(text, &g); err != nil {
		tb.Fatal(err)
	}
	for i, c := range g.Invalid {
		if c.FrameHex == "" {
			continue
		}
		frame, err := hex.DecodeString(c.FrameHex)
		if err != nil {
			tb.Fatal(c.Name, err)
		}
		g.Invalid[i].Frame = string(frame)
	}
	return g
}

func TestGoldenFramesMeanWhatTheySay(t *testing.T) {
	for _, c := range readGolden(t).Valid {
		t.Run(c.Name, func(t *testing.T) {
			got, err := DecodeJSON([]byte(c.Frame), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Type().String() != c.Type {
				t.Fatalf("a %v, want a %s", got.Type(), c.Type)
			}
			want := got.ProtoReflect().New().Interface()
			if err := protojson.Unmarshal(c.Message, want); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if canonical := string(AppendJSON(nil, got)); canonical != c.Canonical {
				t.Errorf("written as %s, want %s", canonical, c.Canonical)
			}
			binary, err := hex.DecodeString(c.Proto)
			if err != nil {
				t.Fatal(err)
			}
			if frame := checkProtoFrame(t, got); !bytes.Equal(frame, binary) {
				t.Errorf("written as %x, want %s", frame, c.Proto)
			}
			if byProto, err := DecodeProto(binary, nil); err != nil || !proto.Equal(byProto, want) {
				t.Errorf("%s means %v, want %v: %v", c.Proto, byProto, want, err)
			}
		})
	}
}

func TestGoldenFaultsAreRefusedWithCodeAndField(t *testing.T) {
	for _, c := range readGolden(t).Invalid {
		t.Run(c.Name, func(t *testing.T) {
			m, err := DecodeJSON([]byte(c.Frame), nil)
			refusal, ok := errors.AsType[*FrameError](err)
			if !ok {
				t.Fatalf("accepted as %v", m)
			}
			if m != nil {
				t.Errorf("refused, and still a message: %v", m)
			}
			if string(refusal.Code) != c.Code || refusal.Field != c.Field || refusal.ID != c.ID {
				t.Errorf("code %s, field %q, id %q; want %s, %q, %q",
					refusal.Code, refusal.Field, refusal.ID, c.Code, c.Field, c.ID)
			}
			checkRefusal(t, refusal)
		})
	}
}
