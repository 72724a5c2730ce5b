package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"callboard/actors/inbox"
	"callboard/protocol"
)

var _ inbox.Deadletters = (*Store)(nil)

// SetAside implements inbox.Deadletters. Like Commit it mends the store first if the disk
// has failed.
func (s *Store) SetAside(letter *inbox.Deadletter, drop ...uint64) error {
	err := s.change(func(b *pebble.Batch) error {
		if err := dropLetters(b, drop); err != nil {
			return err
		}
		return b.Set(appendLetterKey(nil, letter.Number), appendLetterValue(nil, letter), nil)
	})
	if err != nil {
		return fmt.Errorf("setting message %d aside: %w", letter.Number, err)
	}
	return nil
}

// Drop implements inbox.Deadletters.
func (s *Store) Drop(numbers ...uint64) error {
	if err := s.change(func(b *pebble.Batch) error { return dropLetters(b, numbers) }); err != nil {
		return fmt.Errorf("dropping what was set aside: %w", err)
	}
	return nil
}

func dropLetters(b *pebble.Batch, numbers []uint64) error {
	for _, number := range numbers {
		if err := b.Delete(appendLetterKey(nil, number), nil); err != nil {
			return err
		}
	}
	return nil
}

// Deadletters implements inbox.Deadletters.
func (s *Store) Deadletters(after uint64, limit int) (found []*inbox.Deadletter, err error) {
	if limit <= 0 || after+1 == 0 {
		return nil, nil
	}
	err = s.readingSure(func(db *database) error {
		return db.letters(after+1, func(key, value []byte) (bool, error) {
			letter, err := decodeLetter(key, value)
			if err != nil {
				return false, fmt.Errorf("key %x: %w", key, err)
			}
			found = append(found, letter)
			return len(found) < limit, nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was set aside: %w", err)
	}
	return found, nil
}

// letters calls do for the messages set aside from a number on, until it returns false.
func (d *database) letters(from uint64, do func(key, value []byte) (bool, error)) error {
	return d.scan(appendLetterKey(nil, from), []byte{letterEnd}, do)
}

// letterVersion is the first byte of the value of a message that was set aside. At and
// crashes follow as varints, then the strings, each behind its length.
const letterVersion = 1

func appendLetterValue(value []byte, l *inbox.Deadletter) []byte {
	value = append(value, letterVersion)
	value = binary.AppendVarint(value, l.At)
	value = binary.AppendUvarint(value, l.Crashes)
	for _, text := range []string{string(l.Sender), string(l.Receiver), l.ID, l.Content, l.Reason, l.Stack} {
		value = append(binary.AppendUvarint(value, uint64(len(text))), text...)
	}
	return value
}

func decodeLetter(key, value []byte) (*inbox.Deadletter, error) {
	if len(key) != 9 || len(value) == 0 || value[0] != letterVersion {
		return nil, errCorrupt
	}
	l := &inbox.Deadletter{Number: binary.BigEndian.Uint64(key[1:])}
	value = value[1:]
	var n, m int
	if l.At, n = binary.Varint(value); n <= 0 {
		return nil, errCorrupt
	}
	if l.Crashes, m = binary.Uvarint(value[n:]); m <= 0 {
		return nil, errCorrupt
	}
	value = value[n+m:]
	var texts [6]string
	for i := range texts {
		length, n := binary.Uvarint(value)
		if n <= 0 || length > uint64(len(value)-n) {
			return nil, errCorrupt
		}
		texts[i] = string(value[n : n+int(length)])
		value = value[n+int(length):]
	}
	if len(value) > 0 {
		return nil, errCorrupt
	}
	l.Sender, l.Receiver = protocol.UserID(texts[0]), protocol.UserID(texts[1])
	l.ID, l.Content, l.Reason, l.Stack = texts[2], texts[3], texts[4], texts[5]
	return l, nil
}
