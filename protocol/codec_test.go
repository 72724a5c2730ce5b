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
