package protocol

import (
	"regexp"
	"strings"
	"unicode"
)

// A messageReference is a struct that encoding/json fills from a frame.
type messageReference interface {
	// message is what the frame means, or the code for the field that it lacks
	// or that is out of bounds.
	message() (Message, ErrorCode)
}

func referenceFor(t Type) messageReference {
	switch t {
	case TypeConnect:
		return new(connectReference)
	case TypeSend:
		return new(sendReference)
	case TypeReceive:
		return new(receiveReference)
	case TypeClose:
		return new(closeReference)
	case TypeSent:
		return new(sentReference)
	case TypeAck:
		return new(ackReference)
	case TypeError:
		return new(errorReference)
	}
	return nil
}

type sendReference struct {
	Receiver userIDReference    `json:"receiver"`
	Content  string             `json:"content"`
	ID       messageIDReference `json:"id"`
	Sender   userIDReference    `json:"sender"`

	Traceparent string `json:"traceparent"`
}

// traceparentReference is what a text in the place of a traceparent means.
func traceparentReference(s string) string {
	trace, span := strings.Repeat("0", 32), strings.Repeat("0", 16)
	if !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`).MatchString(s) || s[3:35] == trace || s[36:52] == span {
		return ""
	}
	return s
}

func (r *sendReference) message() (Message, ErrorCode) {
	if r.Receiver == "" {
		return nil, CodeInvalidMessage
	}
	return &Send{
		Receiver: string(r.Receiver), Content: r.Content, Id: string(r.ID), Sender: string(r.Sender),
		Traceparent: traceparentReference(r.Traceparent),
	}, ""
}

type receiveReference struct {
	Seq      uint64             `json:"seq"`
	ID       messageIDReference `json:"id"`
	Sender   userIDReference    `json:"sender"`
	Receiver userIDReference    `json:"receiver"`
	Content  string             `json:"content"`
	At       int64              `json:"at"`

	Traceparent string `json:"traceparent"`
}

func (r *receiveReference) message() (Message, ErrorCode) {
	if r.Receiver == "" {
		return nil, CodeInvalidMessage
	}
	return &Receive{
		Seq: r.Seq, Id: string(r.ID), Sender: string(r.Sender), Receiver: string(r.Receiver),
		Content: r.Content, At: r.At, Traceparent: traceparentReference(r.Traceparent),
	}, ""
}

type closeReference struct {
	Code   uint16 `json:"code"`
	Reason string `json:"reason"`
}

func (r *closeReference) message() (Message, ErrorCode) {
	if r.Code != 0 && !CloseCode(r.Code).Valid() || len(r.Reason) > MaxReasonBytes {
		return nil, CodeInvalidMessage
	}
	return &Close{Code: uint32(r.Code), Reason: r.Reason}, ""
}

type sentReference struct {
	ID  messageIDReference `json:"id"`
	Seq uint64             `json:"seq"`
	At  int64              `json:"at"`
}

func (r *sentReference) message() (Message, ErrorCode) {
	return &Sent{Id: string(r.ID), Seq: r.Seq, At: r.At}, ""
}

type ackReference struct {
	Seq *uint64 `json:"seq"`
}

func (r *ackReference) message() (Message, ErrorCode) {
	if r.Seq == nil {
		return nil, CodeInvalidMessage
	}
	return &Ack{Seq: *r.Seq}, ""
}

type errorReference struct {
	ID     messageIDReference `json:"id"`
	Code   *string            `json:"code"`
	Reason string             `json:"reason"`
	Gap    *gapReference      `json:"gap"`
	Retry  uint32             `json:"retry"`
}

func (r *errorReference) message() (Message, ErrorCode) {
	if r.Code == nil {
		return nil, CodeInvalidMessage
	}
	return &Error{Id: string(r.ID), Code: *r.Code, Reason: r.Reason, Gap: r.Gap.message(), Retry: r.Retry}, ""
}

type connectReference struct {
	Token   string           `json:"token"`
	Device  string           `json:"device"`
	Cursor  *uint64          `json:"cursor"`
	Window  uint32           `json:"window"`
	User    userIDReference  `json:"user"`
	Session string           `json:"session"`
	Head    uint64           `json:"head"`
	Limits  *limitsReference `json:"limits"`
	Gap     *gapReference    `json:"gap"`
	Epoch   uint32           `json:"epoch"`
}

func (r *connectReference) message() (Message, ErrorCode) {
	if len(r.Device) > MaxDeviceBytes || strings.ContainsFunc(r.Device, unicode.IsControl) || len(r.Token) > MaxTokenBytes {
		return nil, CodeInvalidMessage
	}
	m := &Connect{
		Token: r.Token, Device: r.Device, Cursor: r.Cursor, Window: r.Window,
		User: string(r.User), Session: r.Session, Head: r.Head, Gap: r.Gap.message(), Epoch: r.Epoch,
	}
	if l := r.Limits; l != nil {
		m.Limits = &Limits{
			FrameBytes: l.FrameBytes, UserIdBytes: l.UserIDBytes, MessageIdBytes: l.MessageIDBytes,
			InFlight: l.InFlight, Sessions: l.Sessions, PingIntervalMs: l.PingIntervalMS, MissedPongs: l.MissedPongs,
			ContentBytes: l.ContentBytes, WindowBytes: l.WindowBytes, Devices: l.Devices,
		}
	}
	return m, ""
}

type limitsReference struct {
	FrameBytes     uint32 `json:"frame_bytes"`
	UserIDBytes    uint32 `json:"user_id_bytes"`
	MessageIDBytes uint32 `json:"message_id_bytes"`
	InFlight       uint32 `json:"in_flight"`
	Sessions       uint32 `json:"sessions"`
	PingIntervalMS uint32 `json:"ping_interval_ms"`
	MissedPongs    uint32 `json:"missed_pongs"`
	ContentBytes   uint32 `json:"content_bytes"`
	WindowBytes    uint32 `json:"window_bytes"`
	Devices        uint32 `json:"devices"`
}

func (r *limitsReference) UnmarshalJSON(b []byte) error {
	type plain limitsReference
	return unmarshal(b, (*plain)(r))
}

type gapReference struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

func (r *gapReference) message() *Gap {
	if r == nil {
		return nil
	}
	return &Gap{First: r.First, Last: r.Last}
}

func (r *gapReference) UnmarshalJSON(b []byte) error {
	type plain gapReference
	return unmarshal(b, (*plain)(r))
}
