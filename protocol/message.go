package protocol

import (
	"strconv"

	"google.golang.org/protobuf/proto"
)

// A Message is one of the seven kinds that travel between a client and the
// service. The same values travel between actors, where nobody changes a
// message once it is sent.
type Message interface {
	proto.Message

	// Type is the kind's number on the wire.
	Type() Type
}

// Type is the number of a kind of message in a JSON frame. In a protobuf Frame the field
// of that kind has the next number.
type Type uint64

// The kinds of messages. 0 to 3 are the seed's, in its order; 7 to 9 are
// reserved for RECEIPT, PRESENCE and SIGNAL.
const (
	TypeConnect Type = 0
	TypeSend    Type = 1
	TypeReceive Type = 2
	TypeClose   Type = 3
	TypeSent    Type = 4
	TypeAck     Type = 5
	TypeError   Type = 6
)

// String is the kind's name, as the documents write it.
func (t Type) String() string {
	switch t {
	case TypeConnect:
		return "CONNECT"
	case TypeSend:
		return "SEND"
	case TypeReceive:
		return "RECEIVE"
	case TypeClose:
		return "CLOSE"
	case TypeSent:
		return "SENT"
	case TypeAck:
		return "ACK"
	case TypeError:
		return "ERROR"
	}
	return "type " + strconv.FormatUint(uint64(t), 10)
}

// Type is TypeConnect.
func (*Connect) Type() Type { return TypeConnect }

// Type is TypeSend.
func (*Send) Type() Type { return TypeSend }

// Type is TypeReceive.
func (*Receive) Type() Type { return TypeReceive }

// Type is TypeClose.
func (*Close) Type() Type { return TypeClose }

// Type is TypeSent.
func (*Sent) Type() Type { return TypeSent }

// Type is TypeAck.
func (*Ack) Type() Type { return TypeAck }

// Type is TypeError.
func (*Error) Type() Type { return TypeError }
