package protocol

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// go test ./protocol -run Transcript -update writes the frames of the messages into
// testdata/transcripts. Read what has changed: clients in other languages rely on it.
var update = flag.Bool("update", false, "write the frames in testdata/transcripts anew")

// transcript is a file in testdata/transcripts; testdata/README.md explains it.
type transcript struct {
	Name  string           `json:"name"`
	About string           `json:"about"`
	Plays bool             `json:"plays"`
	Given json.RawMessage  `json:"given,omitempty"`
	Rate  json.RawMessage  `json:"rate,omitempty"`
	Steps []transcriptStep `json:"steps"`
}

type transcriptStep struct {
	Event   string          `json:"event"`
	Session string          `json:"session,omitempty"`
	User    string          `json:"user,omitempty"`
	Type    string          `json:"type,omitempty"`
	Message json.RawMessage `json:"message,omitempty"`
	JSON    string          `json:"json,omitempty"`
	Proto   string          `json:"proto,omitempty"`
	Refused string          `json:"refused,omitempty"`
	Status  int             `json:"status,omitempty"`
	Code    uint16          `json:"code,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	UpTo    uint64          `json:"up_to,omitempty"`
}

func TestTranscriptFramesAreCanonical(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var script transcript
			if err := json.Unmarshal(text, &script); err != nil {
				t.Fatal(err)
			}
			if script.Name+".json" != filepath.Base(file) || script.About == "" {
				t.Errorf("it is called %q: %s", script.Name, script.About)
			}
			for i := range script.Steps {
				checkStep(t, &script.Steps[i])
			}
			if *update {
				writeTranscript(t, file, &script)
			}
		})
	}
}

func checkStep(t *testing.T, step *transcriptStep) {
	t.Helper()
	switch step.Event {
	case "client", "server":
	case "client_close", "server_close":
		if !CloseCode(step.Code).Valid() || len(step.Reason) > MaxReasonBytes {
			t.Errorf("a close frame cannot have %d %q", step.Code, step.Reason)
		}
		return
	case "open", "drain", "trim", "block", "unblock":
		return
	case "open_refused":
		if !slices.ContainsFunc(Codes(), func(row CodeRow) bool { return string(row.Code) == step.Refused }) || step.Status < 400 {
			t.Errorf("a handshake cannot be refused with %d %q", step.Status, step.Refused)
		}
		return
	default:
		t.Errorf("no such event: %q", step.Event)
		return
	}
	m := messageNamed(t, step.Type)
	if err := protojson.Unmarshal(step.Message, m); err != nil {
		t.Fatalf("%s: %v", step.Message, err)
	}
	if *update {
		step.JSON, step.Proto = string(AppendJSON(nil, m)), hex.EncodeToString(AppendProto(nil, m))
	}
	binary, err := hex.DecodeString(step.Proto)
	if err != nil {
		t.Error(err)
	}
	for codec, frame := range map[Codec][]byte{JSON: []byte(step.JSON), Proto: binary} {
		if canonical := codec.Append(nil, m); !bytes.Equal(canonical, frame) {
			t.Errorf("%s is written as %q, not %q", step.Message, canonical, frame)
		}
		got, err := codec.Decode(frame, nil)
		refusal, _ := errors.AsType[*FrameError](err)
		switch {
		case refusal != nil && string(refusal.Code) != step.Refused:
			t.Errorf("%q is refused: %v", frame, refusal)
		case refusal == nil && step.Refused != "":
			t.Errorf("%q is not refused as %s", frame, step.Refused)
		case refusal == nil && !proto.Equal(got, m):
			t.Errorf("%q means %v, want %v", frame, got, m)
		}
	}
}

func messageNamed(t *testing.T, kind string) Message {
	t.Helper()
	for _, m := range []Message{
		new(Connect), new(Send), new(Receive), new(Close), new(Sent), new(Ack), new(Error),
	} {
		if m.Type().String() == kind {
			return m
		}
	}
	t.Fatalf("no such message: %q", kind)
	return nil
}

func writeTranscript(t *testing.T, file string, script *transcript) {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(script); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
