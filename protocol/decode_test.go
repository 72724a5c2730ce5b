package protocol

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

// refuse decodes a frame that has to be refused.
func refuse(t *testing.T, frame string) *FrameError {
	t.Helper()
	m, err := DecodeJSON([]byte(frame), nil)
	refusal, ok := errors.AsType[*FrameError](err)
	if !ok {
		t.Fatalf("accepted as %v: %.80s", m, frame)
	}
	return refusal
}

func TestRefusalNamesFieldAndFault(t *testing.T) {
	for _, c := range []struct{ frame, reason string }{
		{`{"content":"hi"}`, "type: missing; a frame says what it is"},
		{`{"type":"1"}`, "type: a string; must be a number"},
		{`{"type":1.0}`, "type: not a whole number from 0 to 18446744073709551615 in plain digits"},
		{`{"type":9}`, "type: not a type that there is; the types are 0 to 6"},
		{`{"type":1}`, "receiver: missing; a SEND names the user it is for"},
		{`{"type":1,"receiver":[]}`, "receiver: an array; must be a string or a number"},
		{`{"type":1,"receiver":2,"receiver":3}`, "receiver: there more than once"},
		{`{"type":1,"receiver":""}`, "receiver: empty; an id has 1 to 64 bytes"},
		{`{"type":1,"receiver":"a b"}`, "receiver: a character that ids do not use; they use letters, digits and . _ - : @ +"},
		{`{"type":1,"receiver":2,"content":true}`, "content: a boolean; must be a string"},
		{`{"type":1,"receiver":2,"id":"\n"}`, "id: a control character"},
		{`{"type":3,"code":999}`, "code: not a close code that may be sent"},
		{`{"type":0,"limits":{"in_flight":{}}}`, "limits.in_flight: an object; must be a number"},
		{`[]`, "frame: not an object, at byte 0"},
		{`{"type":1,}`, "frame: no key where one should be, at byte 10"},
		{`{"type" 1}`, "frame: no colon behind a key, at byte 8"},
		{`{"type":}`, "frame: no value where one should be, at byte 8"},
		{`{"type":1]`, "frame: an object that does not go on with a comma or end, at byte 9"},
		{`{"x":[1}}`, "frame: an array that does not go on with a comma or end, at byte 7"},
		{`{"x":-}`, "frame: a number that JSON does not have, at byte 6"},
		{`{"x":nil}`, "frame: a word that JSON does not have, at byte 5"},
		{`{"x":"\q"}`, "frame: an escape that JSON does not have, at byte 6"},
		{`{"x":"`, "frame: a string that does not end, at byte 6"},
		{"{\"x\":\"\x00\"}", "frame: a control character in a string, at byte 6"},
		{"{\"x\":\"\xff\"}", "frame: not valid UTF-8"},
		{`{"type":5,"seq":1} {`, "frame: something behind the object, at byte 19"},
		{`{"x":` + strings.Repeat("[", MaxDepth), "frame: nested too deeply, at byte 20"},
	} {
		if got := refuse(t, c.frame).Reason; got != c.reason {
			t.Errorf("%s\n got %s\nwant %s", c.frame, got, c.reason)
		}
	}
}

func TestRefusalQuotesNothingFromTheFrame(t *testing.T) {
	const secret = "s3cret"
	for _, frame := range []string{
		`{"type":"` + secret + `"}`,
		`{"type":1,"receiver":"` + secret + ` "}`,
		`{"type":1,"receiver":2,"content":{"` + secret + `":1}}`,
		`{"type":0,"token":["` + secret + `"]}`,
		`{"` + secret + `":` + secret,
	} {
		if refusal := refuse(t, frame); strings.Contains(refusal.Error(), secret) {
			t.Errorf("%v", refusal)
		}
	}
}

func TestRefusalBecomesAnErrorFrame(t *testing.T) {
	refusal := refuse(t, `{"type":1,"id":7,"content":"hi"}`)
	got := string(AppendJSON(nil, refusal.Message()))
	want := `{"type":6,"id":"7","code":"invalid_message","reason":"receiver: missing; a SEND names the user it is for"}`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestFrameHasALimit(t *testing.T) {
	frame := func(kind Type, size int) string {
		frame := `{"type":` + strconv.Itoa(int(kind)) + `,"receiver":2,"content":""}`
		return strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
	}
	for _, c := range []struct {
		kind  Type
		limit int
	}{{TypeSend, MaxFrameBytes}, {TypeReceive, MaxReceiveBytes}} {
		if _, err := DecodeJSON([]byte(frame(c.kind, c.limit)), nil); err != nil {
			t.Errorf("%v of the longest size: %v", c.kind, err)
		}
		if refusal := refuse(t, frame(c.kind, c.limit+1)); refusal.Code != CodeTooLarge {
			t.Errorf("%v of a byte more: %v", c.kind, refusal)
		}
	}
	if refusal := refuse(t, frame(TypeSend, 10<<20)); refusal.Code != CodeTooLarge {
		t.Errorf("SEND of 10 MiB: %v", refusal)
	}
}

func TestLongestSendCanBeReceived(t *testing.T) {
	frame := `{"type":1,"id":"` + strings.Repeat("é", 32) + `","receiver":"` + strings.Repeat("r", 64) + `","content":""}`
	frame = strings.Replace(frame, `""`, `"`+strings.Repeat("x", MaxFrameBytes-len(frame))+`"`, 1)
	m, err := DecodeJSON([]byte(frame), nil)
	if err != nil {
		t.Fatal(err)
	}
	send := m.(*Send)
	receive := &Receive{
		Seq: 1<<64 - 1, Id: send.Id, Sender: strings.Repeat("s", 64), Receiver: send.Receiver,
		Content: send.Content, At: -1 << 63,
	}
	got, err := DecodeJSON(AppendJSON(nil, receive), nil)
	if err != nil || !proto.Equal(got, receive) {
		t.Errorf("it does not arrive: %v", err)
	}
}

func TestNestingBombIsRefusedAtOnce(t *testing.T) {
	for _, bomb := range []string{"[", `{"x":`} {
		frame := `{"type":1,"receiver":2,"x":` + strings.Repeat(bomb, MaxFrameBytes/len(bomb)-16)
		if refusal := refuse(t, frame); !strings.Contains(refusal.Reason, "nested too deeply") {
			t.Error(refusal)
		}
	}
}

func TestSendIsDecodedIntoTheGivenOne(t *testing.T) {
	// Given a Send with the values of another message,
	send := &Send{Receiver: "9", Content: "old", Id: "old", Sender: "9"}
	// when a frame is decoded into it,
	m, err := DecodeJSON([]byte(`{"type":1,"receiver":"bob","content":"new"}`), send)
	if err != nil {
		t.Fatal(err)
	}
	// then it is the message, and nothing old is left.
	if m != Message(send) {
		t.Error("another Send was returned")
	}
	if want := (&Send{Receiver: "bob", Content: "new"}); !proto.Equal(send, want) {
		t.Errorf("got %v, want %v", send, want)
	}
}

func TestOtherKindsLeaveTheGivenSendAlone(t *testing.T) {
	send := &Send{Receiver: "9", Content: "old", Id: "old", Sender: "9"}
	if _, err := DecodeJSON([]byte(`{"type":3,"content":"new"}`), send); err != nil {
		t.Fatal(err)
	}
	if want := (&Send{Receiver: "9", Content: "old", Id: "old", Sender: "9"}); !proto.Equal(send, want) {
		t.Errorf("got %v", send)
	}
}

func TestMessageOutlivesItsFrame(t *testing.T) {
	frame := []byte(`{"type":1,"id":"m-1","sender":1,"receiver":"bob","content":"a\u00e9b"}`)
	m, err := DecodeJSON(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(frame)
	if want := (&Send{Receiver: "bob", Content: "aéb", Id: "m-1", Sender: "1"}); !proto.Equal(m, want) {
		t.Errorf("got %v, want %v", m, want)
	}
}
