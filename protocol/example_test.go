package protocol_test

import (
	"errors"
	"fmt"

	"callboard/protocol"
)

// A SEND comes in, and goes out as a RECEIVE.
func Example() {
	m, err := protocol.DecodeJSON([]byte(`{"type":1,"receiver":2,"content":"hello"}`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	send := m.(*protocol.Send)
	frame := protocol.AppendJSON(nil, &protocol.Receive{
		Sender:   "1",
		Receiver: send.Receiver,
		Content:  send.Content,
	})
	fmt.Printf("%s\n", frame)
	// Output: {"type":2,"sender":1,"receiver":2,"content":"hello"}
}

// A frame that is refused is answered with what is wrong with it.
func ExampleFrameError() {
	_, err := protocol.DecodeJSON([]byte(`{"type":1,"id":"m-1","content":"hello"}`), nil)
	if refusal, ok := errors.AsType[*protocol.FrameError](err); ok {
		fmt.Printf("%s\n", protocol.AppendJSON(nil, refusal.Message()))
	}
	// Output: {"type":6,"id":"m-1","code":"invalid_message","reason":"receiver: missing; a SEND names the user it is for"}
}
