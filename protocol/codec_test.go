package protocol

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestCodecIsThatOfItsSubprotocol(t *testing.T) {
	for _, codec := range []Codec{JSON, Proto} {
		if got, ok := CodecOf(codec.String()); !ok || got != codec || !strings.HasPrefix(codec.String(), SubprotocolPrefix) {
			t.Errorf("%v is the codec %v, %v", codec, got, ok)
		}
		want := &Send{Receiver: "bob", Id: "m-1", Content: "hello"}
		if m, err := codec.Decode(codec.Append(nil, want), nil); err != nil || !proto.Equal(m, want) {
			t.Errorf("%v: got %v, %v", codec, m, err)
		}
	}
	for _, other := range []string{"", "callboard.v1", "callboard.v2.json", "Callboard.v1.json", "chat"} {
		if codec, ok := CodecOf(other); ok {
			t.Errorf("%q is %v", other, codec)
		}
	}
}

// In the seed's dialect only RECEIVE is another than in JSON, and only by what it leaves out.
func TestSeedsReceiveHasTheSeedsFields(t *testing.T) {
	full := &Receive{Seq: 7, Id: "m-1", Sender: "alice", Receiver: "2", Content: "a \"quote\"\n", At: 1700000000123}
	if got, want := string(AppendSeed(nil, full)), `{"type":2,"sender":"alice","receiver":2,"content":"a \"quote\"\n"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	bare := &Receive{Sender: full.Sender, Receiver: full.Receiver, Content: full.Content}
	if m, err := Seed.Decode(Seed.Append(nil, full), nil); err != nil || !proto.Equal(m, bare) {
		t.Errorf("got %v, %v", m, err)
	}
	refused := &Error{Id: "m-1", Code: string(CodeInboxFull), Reason: "full"}
	if got, want := string(Seed.Append(nil, refused)), string(AppendJSON(nil, refused)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
