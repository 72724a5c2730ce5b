package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"

	"callboard/protocol"
)

// The key layout; DESIGN.md says why.
//
//	00 'v'                                   version of this layout
//	00 'e'                                   epoch
//	00 'n'                                   number of the newest commit
//	01 len(user) user 01                     floor: its number and sum
//	01 len(user) user 02 device              cursor of a device
//	01 len(user) user 03 len(sender) sender id    number of the entry that has the id
//	01 len(user) user 04 seq                 entry
//	02 user                                  block
//	03 number                                message that was set aside
//
// Lengths are a byte, numbers in keys 8 bytes with the highest first, so that entries
// sort by number.
const (
	metaSpace = 0x00
	userSpace = 0x01
	lastSpace = 0x02 // behind all keys of users

	blockSpace = 0x02
	blockEnd   = 0x03

	letterSpace = 0x03
	letterEnd   = 0x04

	floorKind  = 0x01
	deviceKind = 0x02
	idKind     = 0x03
	entryKind  = 0x04
	lastKind   = 0x05
	endKind    = 0xff // behind all keys of a user, whoever wrote them
)

var (
	versionKey = []byte{metaSpace, 'v'}
	epochKey   = []byte{metaSpace, 'e'}
	probeKey   = []byte{metaSpace, 'n'} // written by a commit of nothing
)

// prefixBytes is how much stands before the user in a key, and the kind behind it.
const prefixBytes = 3

// appendPrefix appends the part of a key up to its kind.
func appendPrefix(key []byte, user protocol.UserID, kind byte) []byte {
	key = append(key, userSpace, byte(len(user)))
	key = append(key, user...)
	return append(key, kind)
}

func appendEntryKey(key []byte, user protocol.UserID, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(appendPrefix(key, user, entryKind), seq)
}

func appendIDKey(key []byte, user protocol.UserID, sender, id string) []byte {
	key = append(appendPrefix(key, user, idKind), byte(len(sender)))
	return append(append(key, sender...), id...)
}

func appendDeviceKey(key []byte, user protocol.UserID, device string) []byte {
	return append(appendPrefix(key, user, deviceKind), device...)
}

func appendBlockKey(key []byte, user protocol.UserID) []byte {
	return append(append(key, blockSpace), user...)
}

func appendLetterKey(key []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(key, letterSpace), number)
}

// userOf returns whose key it is, and the rest of the key behind the user: kind and all.
func userOf(key []byte) (protocol.UserID, []byte, error) {
	if len(key) < prefixBytes || key[0] != userSpace || len(key) < prefixBytes+int(key[1]) {
		return "", nil, fmt.Errorf("key %x belongs to no user", key)
	}
	end := 2 + int(key[1])
	if key[end] == endKind {
		return "", nil, fmt.Errorf("key %x is of no known kind", key)
	}
	return protocol.UserID(key[2:end]), key[end:], nil
}

// seqOf reads the number in what userOf left of an entry's key.
func seqOf(rest []byte) (uint64, error) {
	if len(rest) != 9 || rest[0] != entryKind {
		return 0, fmt.Errorf("%x is no entry's key", rest)
	}
	return binary.BigEndian.Uint64(rest[1:]), nil
}

// fits reports whether names fit into keys. protocol's limits are far below.
func fits(user protocol.UserID, sender string) bool {
	return len(user) > 0 && len(user) <= 255 && len(sender) <= 255
}

// errMisfit is the error for what does not fit.
var errMisfit = errors.New("a user's name has 1 to 255 bytes, and a sender's no more")
