package protocol

import (
	"strings"
	"testing"
)

// allocs asserts how often f allocates.
func allocs(t *testing.T, want float64, f func()) {
	t.Helper()
	if underRace {
		t.Skip("the race detector allocates too")
	}
	if got := testing.AllocsPerRun(100, f); got != want {
		t.Errorf("%v allocations, want %v", got, want)
	}
}

func TestSendWithPresetIDsAllocatesItsContentAlone(t *testing.T) {
	frame := []byte(`{"type":1,"sender":"a-rather-long-user-id@example.org","receiver":12345678901234567890,"content":"` +
		strings.Repeat("x", 100) + `"}`)
	send := &Send{Sender: "a-rather-long-user-id@example.org", Receiver: "12345678901234567890"}
	allocs(t, 1, func() {
		send.Content = ""
		if _, err := DecodeJSON(frame, send); err != nil {
			t.Fatal(err)
		}
	})
}

func TestBinarySendWithPresetIDsAllocatesItsContentAlone(t *testing.T) {
	frame := AppendProto(nil, &Send{
		Sender: "a-rather-long-user-id@example.org", Receiver: "12345678901234567890", Content: strings.Repeat("x", 100),
	})
	send := &Send{Sender: "a-rather-long-user-id@example.org", Receiver: "12345678901234567890"}
	allocs(t, 1, func() {
		send.Content = ""
		if _, err := DecodeProto(frame, send); err != nil {
			t.Fatal(err)
		}
	})
}

func TestEscapedContentAllocatesOnce(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		frame := []byte(`{"type":1,"receiver":2,"content":"` + strings.Repeat(`x\n\u00e9`, n/9) + `"}`)
		send := &Send{Receiver: "2"}
		allocs(t, 1, func() {
			if _, err := DecodeJSON(frame, send); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// longEscaped is the inside of a string of 3,000 bytes that is not short for any
// purpose, and has to be unescaped.
var longEscaped = strings.Repeat(`\u0041bc`, 1000)

func TestDecodingAllocatesOnlyWhatItReturns(t *testing.T) {
	for _, c := range []struct {
		frame  string
		allocs float64
	}{
		// The message and its strings.
		{`{"type":1,"id":"m-1","sender":"alice","receiver":"bob","content":"hello"}`, 5},
		{`{"type":2,"seq":42,"id":"m-1","sender":"alice","receiver":"bob","content":"hello","at":1700000000123}`, 5},
		{`{"type":3}`, 1},
		{`{"type":4,"id":"m-1","seq":42,"at":1700000000123}`, 2},
		{`{"type":5,"seq":42}`, 1},
		{`{"type":5,"x":[[[[1,2,{"a":"\n"}]]]],"y":"\ud83d\ude00","\u0074ypo":null,"se\u0071":42}`, 1},
		{`{"type":5,"` + longEscaped + `":"` + longEscaped + `","seq":42}`, 1},
	} {
		frame := []byte(c.frame)
		allocs(t, c.allocs, func() {
			if _, err := DecodeJSON(frame, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestRefusingDoesNotAllocateWhatIsRefused(t *testing.T) {
	for _, c := range []struct {
		frame  string
		allocs float64
	}{
		// The message that was begun, the refusal and the reason in one piece or two.
		{`{"type":3,"code":1}`, 3},
		{`{"type":1,"content":"` + longEscaped + `"}`, 4},
		{`{"type":1,"receiver":"` + longEscaped + `"}`, 3},
		{`{"type":1,"receiver":2,"id":"` + longEscaped + `"}`, 3},
	} {
		frame := []byte(c.frame)
		allocs(t, c.allocs, func() {
			if m, err := DecodeJSON(frame, nil); err == nil {
				t.Fatalf("accepted as %v", m)
			}
		})
	}
}

func TestEncodingAllocatesNothingWithRoomToSpare(t *testing.T) {
	cursor := uint64(7)
	for _, m := range []Message{
		&Connect{Token: "t", Device: "d", Cursor: &cursor, User: "bob", Limits: new(Limits), Gap: new(Gap)},
		&Send{Receiver: "bob", Content: "hello"},
		&Receive{Seq: 7, Id: "m-1", Sender: "1", Receiver: "bob", Content: "\"\n\x00é\xff", At: 1700000000123},
		&Close{Code: 1000, Reason: "normal"},
		&Sent{Id: "m-1", Seq: 7, At: 1700000000123},
		&Ack{Seq: 7},
		&Error{Id: "m-1", Code: "internal", Reason: "reason"},
	} {
		dst := make([]byte, 0, 1024)
		allocs(t, 0, func() { AppendJSON(dst, m) })
		if m.Type() != TypeReceive { // whose text that is no UTF-8 is mended in a copy
			allocs(t, 0, func() { AppendProto(dst, m) })
		}
	}
}
