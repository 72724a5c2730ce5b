package protocol

import (
	"fmt"
	"strconv"
)

// AppendJSON appends the frame of m to dst and returns the longer slice. It
// allocates nothing but the room that dst lacks.
//
// The form is canonical: the type first, the other keys in the order of the
// code below, no white space, no key for an empty field. Only the receiver and
// the content of a SEND and a RECEIVE, the seq of an ACK, the code of an ERROR
// and the numbers in limits and gap are always there. A user id that is the
// decimal form of a uint64 is a number, any other a string; a message id is
// always a string. What is appended is valid JSON in valid UTF-8, whatever the
// strings of m hold.
func AppendJSON(dst []byte, m Message) []byte {
	switch m := m.(type) {
	case *Send:
		dst = append(dst, `{"type":1`...)
		dst = appendText(dst, `,"id":`, m.Id)
		dst = appendUser(dst, `,"sender":`, m.Sender)
		dst = appendUserID(append(dst, `,"receiver":`...), m.Receiver)
		dst = appendString(append(dst, `,"content":`...), m.Content)
		dst = appendText(dst, `,"traceparent":`, m.Traceparent)
	case *Receive:
		dst = append(dst, `{"type":2`...)
		dst = appendUint(dst, `,"seq":`, m.Seq)
		dst = appendText(dst, `,"id":`, m.Id)
		dst = appendUser(dst, `,"sender":`, m.Sender)
		dst = appendUserID(append(dst, `,"receiver":`...), m.Receiver)
		dst = appendString(append(dst, `,"content":`...), m.Content)
		dst = appendInt(dst, `,"at":`, m.At)
		dst = appendText(dst, `,"traceparent":`, m.Traceparent)
	case *Close:
		dst = append(dst, `{"type":3`...)
		dst = appendUint(dst, `,"code":`, uint64(m.Code))
		dst = appendText(dst, `,"reason":`, m.Reason)
	case *Sent:
		dst = append(dst, `{"type":4`...)
		dst = appendText(dst, `,"id":`, m.Id)
		dst = appendUint(dst, `,"seq":`, m.Seq)
		dst = appendInt(dst, `,"at":`, m.At)
	case *Ack:
		dst = appendNumber(dst, `{"type":5,"seq":`, m.Seq)
	case *Error:
		dst = append(dst, `{"type":6`...)
		dst = appendText(dst, `,"id":`, m.Id)
		dst = appendString(append(dst, `,"code":`...), m.Code)
		dst = appendText(dst, `,"reason":`, m.Reason)
		dst = appendGap(dst, m.Gap)
		dst = appendUint(dst, `,"retry":`, uint64(m.Retry))
	case *Connect:
		dst = appendConnect(append(dst, `{"type":0`...), m)
	default:
		panic(fmt.Sprintf("protocol: %T has no frame", m))
	}
	return append(dst, '}')
}

// AppendSeed is AppendJSON for a client of the seed's dialect. Its RECEIVE has the fields
// that the seed's had, and no others: the number and the time of a message are of no use
// to a client that does not acknowledge.
func AppendSeed(dst []byte, m Message) []byte {
	r, ok := m.(*Receive)
	if !ok {
		return AppendJSON(dst, m)
	}
	dst = append(dst, `{"type":2`...)
	dst = appendUser(dst, `,"sender":`, r.Sender)
	dst = appendUserID(append(dst, `,"receiver":`...), r.Receiver)
	dst = appendString(append(dst, `,"content":`...), r.Content)
	return append(dst, '}')
}

// appendConnect appends what comes behind the type of a CONNECT.
func appendConnect(dst []byte, m *Connect) []byte {
	dst = appendText(dst, `,"token":`, m.Token)
	dst = appendText(dst, `,"device":`, m.Device)
	if m.Cursor != nil {
		dst = appendNumber(dst, `,"cursor":`, *m.Cursor)
	}
	dst = appendUint(dst, `,"window":`, uint64(m.Window))
	dst = appendUser(dst, `,"user":`, m.User)
	dst = appendText(dst, `,"session":`, m.Session)
	dst = appendUint(dst, `,"head":`, m.Head)
	dst = appendUint(dst, `,"epoch":`, uint64(m.Epoch))
	if l := m.Limits; l != nil {
		dst = appendNumber(dst, `,"limits":{"frame_bytes":`, uint64(l.FrameBytes))
		dst = appendNumber(dst, `,"user_id_bytes":`, uint64(l.UserIdBytes))
		dst = appendNumber(dst, `,"message_id_bytes":`, uint64(l.MessageIdBytes))
		dst = appendNumber(dst, `,"in_flight":`, uint64(l.InFlight))
		dst = appendNumber(dst, `,"sessions":`, uint64(l.Sessions))
		dst = appendNumber(dst, `,"ping_interval_ms":`, uint64(l.PingIntervalMs))
		dst = appendNumber(dst, `,"missed_pongs":`, uint64(l.MissedPongs))
		dst = appendNumber(dst, `,"content_bytes":`, uint64(l.ContentBytes))
		dst = appendNumber(dst, `,"window_bytes":`, uint64(l.WindowBytes))
		dst = appendNumber(dst, `,"devices":`, uint64(l.Devices))
		dst = append(dst, '}')
	}
	return appendGap(dst, m.Gap)
}

// appendGap appends the gap of a CONNECT or an ERROR, if it has one.
func appendGap(dst []byte, g *Gap) []byte {
	if g == nil {
		return dst
	}
	dst = appendNumber(dst, `,"gap":{"first":`, g.First)
	dst = appendNumber(dst, `,"last":`, g.Last)
	return append(dst, '}')
}

// appendUser appends a field that is a user id, if it is set.
func appendUser(dst []byte, key, id string) []byte {
	if id == "" {
		return dst
	}
	return appendUserID(append(dst, key...), id)
}

// appendText appends a field that is a string, if it is not empty.
func appendText(dst []byte, key, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, key...), s)
}

// appendUint appends a field that is a number, if it is not 0.
func appendUint(dst []byte, key string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return appendNumber(dst, key, n)
}

// appendInt appends a field that is a number with a sign, if it is not 0.
func appendInt(dst []byte, key string, n int64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, key...), n, 10)
}

// appendNumber appends a field that is a number.
func appendNumber(dst []byte, key string, n uint64) []byte {
	return strconv.AppendUint(append(dst, key...), n, 10)
}

// appendUserID appends a user id in its canonical form.
func appendUserID(dst []byte, id string) []byte {
	if isUint64(id) {
		return append(dst, id...)
	}
	return appendString(dst, id)
}
