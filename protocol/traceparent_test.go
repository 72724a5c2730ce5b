package protocol

import (
	"strings"
	"testing"
)

// traceparent is the one of W3C Trace Context's own example.
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceparentIsOneOfVersion00AndNothingElse(t *testing.T) {
	for _, s := range []string{traceparent, traceparent[:53] + "00", traceparent[:53] + "ff"} {
		if !IsTraceparent(s) {
			t.Errorf("%s is none", s)
		}
	}
	bad := []string{
		"", traceparent[:54], traceparent + "0", traceparent + "-00", " " + traceparent[1:], strings.ToUpper(traceparent),
		"ff" + traceparent[2:], "01" + traceparent[2:], "00-" + strings.Repeat("0", 32) + traceparent[35:],
		traceparent[:36] + strings.Repeat("0", 16) + "-01",
	}
	for i := range traceparent { // no byte of it may be something else
		bad = append(bad, traceparent[:i]+"g"+traceparent[i+1:], traceparent[:i]+"\xc3"+traceparent[i+1:])
	}
	for _, s := range bad {
		if IsTraceparent(s) || IsTraceparent([]byte(s)) {
			t.Errorf("%q is one", s)
		}
	}
}

func TestSampledIsTheLowestFlag(t *testing.T) {
	for flags, want := range map[string]bool{"00": false, "01": true, "02": false, "03": true, "0f": true, "0e": false, "fe": false, "80": false} {
		if got := Sampled(traceparent[:53] + flags); got != want {
			t.Errorf("with the flags %s: %v, want %v", flags, got, want)
		}
	}
	if Sampled("") || Sampled("1") {
		t.Error("what is no traceparent is sampled")
	}
}

func TestTraceparentCostsOneAllocationAndOnlyWhereItIsThere(t *testing.T) {
	for _, codec := range []Codec{JSON, Proto} {
		for want, parent := range []string{"", traceparent} {
			frame := codec.Append(nil, &Send{Receiver: "2", Traceparent: parent})
			send := &Send{Receiver: "2"}
			allocs(t, float64(want), func() {
				if _, err := codec.Decode(frame, send); err != nil {
					t.Fatal(err)
				}
			})
			if send.Traceparent != parent {
				t.Errorf("%v: %q, want %q", codec, send.Traceparent, parent)
			}
		}
	}
}
