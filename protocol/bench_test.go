package protocol

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// benchTexts are the contents of the messages in the benchmarks: 64 bytes as a
// load generator has them, as a chat has them with line ends and quotes, and
// where no letter is ASCII; and a long one.
var benchTexts = []struct{ name, text string }{
	{"ascii", "t1700000000000000000xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
	{"escaped", "he said \"no\",\nand left;\tshe stayed \\ waited a little while more"},
	{"chinese", strings.Repeat("消息", 10) + "!!!!"},
	{"4KB", strings.Repeat("lorem ipsum dolor sit amet, cons", 128)},
}

// seedMessage is the message as the seed has it, for encoding/json: the yardstick.
type seedMessage struct {
	Type     uint64 `json:"type"`
	Sender   uint64 `json:"sender"`
	Receiver uint64 `json:"receiver"`
	Content  string `json:"content"`
}

func benchFrame(b *testing.B, text string) []byte {
	b.Helper()
	frame, err := json.Marshal(seedMessage{Type: 1, Sender: 1, Receiver: 2, Content: text})
	if err != nil {
		b.Fatal(err)
	}
	return frame
}

func BenchmarkDecodeSend(b *testing.B) {
	for _, c := range benchTexts {
		frame := benchFrame(b, c.text)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			send := new(Send)
			for b.Loop() {
				send.Content = "" // The next message has another.
				if _, err := DecodeJSON(frame, send); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeSendStandard(b *testing.B) {
	for _, c := range benchTexts {
		frame := benchFrame(b, c.text)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				var m seedMessage
				if err := json.Unmarshal(frame, &m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendReceive(b *testing.B) {
	for _, c := range benchTexts {
		m := &Receive{Sender: "1", Receiver: "2", Content: c.text}
		dst := AppendJSON(nil, m)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				dst = AppendJSON(dst[:0], m)
			}
		})
	}
}

func BenchmarkAppendReceiveStandard(b *testing.B) {
	for _, c := range benchTexts {
		m := &seedMessage{Type: 2, Sender: 1, Receiver: 2, Content: c.text}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := json.Marshal(m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeProtoSend(b *testing.B) {
	for _, c := range benchTexts {
		frame := AppendProto(nil, &Send{Receiver: "2", Sender: "1", Content: c.text})
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			send := new(Send)
			for b.Loop() {
				send.Content = "" // The next message has another.
				if _, err := DecodeProto(frame, send); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDecodeProtoSendStandard is the generated code, without our rules.
func BenchmarkDecodeProtoSendStandard(b *testing.B) {
	for _, c := range benchTexts {
		frame := AppendProto(nil, &Send{Receiver: "2", Sender: "1", Content: c.text})
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				if err := proto.Unmarshal(frame, new(Frame)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendProtoReceive(b *testing.B) {
	for _, c := range benchTexts {
		m := &Receive{Seq: 42, Id: "m-1", Sender: "1", Receiver: "2", Content: c.text, At: 1700000000123}
		dst := AppendProto(nil, m)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				dst = AppendProto(dst[:0], m)
			}
		})
	}
}

// BenchmarkAppendProtoReceiveStandard is the generated code.
func BenchmarkAppendProtoReceiveStandard(b *testing.B) {
	for _, c := range benchTexts {
		m := &Receive{Seq: 42, Id: "m-1", Sender: "1", Receiver: "2", Content: c.text, At: 1700000000123}
		dst := AppendProto(nil, m)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(dst)))
			for b.Loop() {
				var err error
				if dst, err = (proto.MarshalOptions{}).MarshalAppend(dst[:0], envelope(m)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRefuse is what a client costs that sends nothing but nonsense.
func BenchmarkRefuse(b *testing.B) {
	for _, c := range []struct{ name, frame string }{
		{"field", `{"type":1,"receiver":"a b","content":"hello"}`},
		{"frame", `{"type":1,"receiver":2,"content":"hello"`},
		{"64KB", `{"type":1,"x":[` + strings.Repeat("[[1],[2]],", MaxFrameBytes/10-2)},
	} {
		frame := []byte(c.frame)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeJSON(frame, nil); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
