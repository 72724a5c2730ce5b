package transport

import (
	"encoding/binary"

	"callboard/protocol"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	opPing         = 9
	opPong         = 10
)

const (
	maxHeader  = 14  // bytes of the longest frame header: 2, a length of 8, a mask of 4
	maxControl = 125 // bytes of the longest control frame's payload
)

// header is what stands before a frame's payload.
type header struct {
	fin    bool
	opcode byte
	mask   uint32 // little-endian, as the bytes stand on the wire
	size   int    // bytes of the header itself
	length int    // bytes of the payload
}

// violation is a breach of the protocol: the close frame that answers it.
type violation struct {
	code   protocol.CloseCode
	reason string
}

// parseHeader reads the header of a client's frame from the beginning of b. It
// returns false when b holds too little of it to tell. What a client must not
// send is a violation, found as soon as the bytes that show it are there.
func parseHeader(b []byte) (h header, enough bool, bad *violation) {
	if len(b) < 2 {
		return h, false, nil
	}
	h.fin, h.opcode = b[0]&0x80 != 0, b[0]&0x0f
	h.length, h.size = int(b[1]&0x7f), 6
	switch {
	case b[0]&0x70 != 0:
		return h, false, &violation{protocol.CloseProtocolError, "a reserved bit is set; no extension was agreed on"}
	case h.opcode > opBinary && h.opcode < opClose || h.opcode > opPong:
		return h, false, &violation{protocol.CloseProtocolError, "unknown opcode"}
	case b[1]&0x80 == 0:
		return h, false, &violation{protocol.CloseProtocolError, "a client's frame must be masked"}
	case h.opcode >= opClose && !h.fin:
		return h, false, &violation{protocol.CloseProtocolError, "a control frame must not be fragmented"}
	case h.opcode >= opClose && h.length > maxControl:
		return h, false, &violation{protocol.CloseProtocolError, "a control frame is longer than 125 bytes"}
	}
	switch h.length {
	case 126:
		if h.size = 8; len(b) < 4 {
			return h, false, nil
		}
		h.length = int(binary.BigEndian.Uint16(b[2:]))
		if h.length < 126 {
			return h, false, &violation{protocol.CloseProtocolError, "a length is not in its shortest form"}
		}
	case 127:
		if h.size = 14; len(b) < 10 {
			return h, false, nil
		}
		length := binary.BigEndian.Uint64(b[2:])
		if length < 1<<16 || length >= 1<<63 {
			return h, false, &violation{protocol.CloseProtocolError, "a length is not in its shortest form"}
		}
		h.length = int(min(length, protocol.MaxFrameBytes+1)) // too large is all that counts
	}
	if h.length > protocol.MaxFrameBytes {
		return h, false, &violation{protocol.CloseTooBig, string(protocol.CodeTooLarge)}
	}
	if len(b) < h.size {
		return h, false, nil
	}
	h.mask = binary.LittleEndian.Uint32(b[h.size-4:])
	return h, true, nil
}

// unmask takes the mask off a payload, in place.
func unmask(b []byte, mask uint32) {
	if mask == 0 {
		return
	}
	wide := uint64(mask)<<32 | uint64(mask)
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * (i & 3)))
	}
}

// beginFrame appends the place for the header of a server's frame. What follows
// up to finishFrame is its payload.
func beginFrame(b []byte, opcode byte) []byte { return append(b, 0x80|opcode, 0) }

// finishFrame writes the length of the frame that begins at start. Nearly all
// are shorter than 126 bytes or move little to make room for a longer length.
func finishFrame(b []byte, start int) []byte {
	length := len(b) - start - 2
	switch {
	case length < 126:
		b[start+1] = byte(length)
	case length < 1<<16:
		b = append(b, 0, 0)
		copy(b[start+4:], b[start+2:])
		b[start+1] = 126
		binary.BigEndian.PutUint16(b[start+2:], uint16(length))
	default:
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
		copy(b[start+10:], b[start+2:])
		b[start+1] = 127
		binary.BigEndian.PutUint64(b[start+2:], uint64(length))
	}
	return b
}
