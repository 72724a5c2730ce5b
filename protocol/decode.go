package protocol

import (
	"strconv"
	"unicode/utf8"
)

// DecodeJSON decodes the text frame of one message. The error is always a
// *FrameError. Nothing that is returned refers to frame, which the caller may
// use again.
//
// A SEND is decoded into send if send is not nil, and send is the Message that
// is returned; other kinds leave it alone. Its fields are overwritten, but for
// a string that is already what the frame has: that one is kept. A caller who
// sets Receiver and Sender to those of the frame before, which are most often
// those of this one too, saves two allocations and is left with one, the
// content. After an error the fields have no meaning.
//
// Fields that the kind does not use are ignored, whatever they hold, as long as
// they are JSON. A field that is null counts as absent. A RECEIVE may have
// MaxReceiveBytes, the other kinds have MaxFrameBytes.
func DecodeJSON(frame []byte, send *Send) (Message, error) {
	if len(frame) > MaxReceiveBytes {
		return nil, tooLarge(MaxReceiveBytes)
	}
	d := decoder{frame: frame}
	if i, fault := scanFrame(frame, &d.values); fault != "" {
		if !utf8.Valid(frame) {
			return nil, d.malformed(CodeInvalidUTF8, notUTF8)
		}
		return nil, d.malformed(CodeInvalidMessage, fault+", at byte "+strconv.Itoa(i))
	}
	d.require(fieldType, untyped)
	return d.finish(d.message(Type(d.uint64(fieldType)), send))
}

// A decoder turns the fields of one object into a message. Its methods that
// read a field note what is wrong with it in err and go on with a zero value.
//
// It reads the fields of either codec, which differ in how a frame is scanned and
// in the shapes that its values have; so what is refused in the one is refused in
// the other, with the same words.
type decoder struct {
	frame  []byte
	values members
	binary bool        // The frame is protobuf, which does not write what is 0 or empty.
	err    *FrameError // The first fault.
}

// finish is what a decoder returns for m.
func (d *decoder) finish(m Message) (Message, error) {
	if d.err != nil {
		d.err.ID = d.refusedID()
		return nil, d.err
	}
	return m, nil
}

// message is the message of type t.
func (d *decoder) message(t Type, send *Send) Message {
	if d.err != nil {
		return nil
	}
	if len(d.frame) > MaxFrameBytes && t != TypeReceive {
		d.err = tooLarge(MaxFrameBytes)
		return nil
	}
	switch t {
	case TypeConnect:
		return d.connect()
	case TypeSend:
		if send == nil {
			send = new(Send)
		}
		return d.send(send)
	case TypeReceive:
		return d.receive()
	case TypeClose:
		return d.close()
	case TypeSent:
		return d.sent()
	case TypeAck:
		return d.ack()
	case TypeError:
		return d.error()
	}
	d.refuse(CodeUnknownType, fieldType, "not a type that there is; the types are 0 to 6")
	return nil
}

func (d *decoder) send(m *Send) *Send {
	d.require(fieldReceiver, "a SEND names the user it is for")
	m.Receiver = d.userID(fieldReceiver, m.Receiver)
	d.fitJSON(fieldContent)
	m.Content = d.text(fieldContent, m.Content)
	m.Id = d.messageID(m.Id)
	m.Sender = d.userID(fieldSender, m.Sender)
	m.Traceparent = d.traceparent()
	return m
}

func (d *decoder) receive() *Receive {
	d.require(fieldReceiver, "a RECEIVE names the user it is for")
	return &Receive{
		Seq:         d.uint64(fieldSeq),
		Id:          d.messageID(""),
		Sender:      d.userID(fieldSender, ""),
		Receiver:    d.userID(fieldReceiver, ""),
		Content:     d.text(fieldContent, ""),
		At:          d.int64(fieldAt),
		Traceparent: d.traceparent(),
	}
}

func (d *decoder) close() *Close {
	m := &Close{
		Code:   d.uint32(fieldCode),
		Reason: d.text(fieldReason, ""),
	}
	if c := m.Code; c > 0xffff || c != 0 && !CloseCode(c).Valid() {
		d.refuse(CodeInvalidMessage, fieldCode, "not a close code that may be sent")
	}
	if len(m.Reason) > MaxReasonBytes {
		d.refuse(CodeInvalidMessage, fieldReason, "too long; a close frame carries 123 bytes")
	}
	return m
}

func (d *decoder) sent() *Sent {
	return &Sent{
		Id:  d.messageID(""),
		Seq: d.uint64(fieldSeq),
		At:  d.int64(fieldAt),
	}
}

func (d *decoder) ack() *Ack {
	d.requireKey(fieldSeq, "an ACK says up to which message the device has all")
	return &Ack{Seq: d.uint64(fieldSeq)}
}

func (d *decoder) error() *Error {
	d.requireKey(fieldCode, "an ERROR says what is wrong")
	return &Error{
		Id:     d.messageID(""),
		Code:   d.text(fieldCode, ""),
		Reason: d.text(fieldReason, ""),
		Gap:    d.gap(),
		Retry:  d.uint32(fieldRetry),
	}
}
