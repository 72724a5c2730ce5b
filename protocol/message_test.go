package protocol

import "testing"

func TestTypesKeepTheSeedsNumbers(t *testing.T) {
	for number, m := range []Message{
		new(Connect), new(Send), new(Receive), new(Close), new(Sent), new(Ack), new(Error),
	} {
		if m.Type() != Type(number) {
			t.Errorf("%v is %d, want %d", m.Type(), m.Type(), number)
		}
	}
}

func TestTypePrintsItsName(t *testing.T) {
	for number, want := range []string{"CONNECT", "SEND", "RECEIVE", "CLOSE", "SENT", "ACK", "ERROR", "type 7"} {
		if got := Type(number).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
