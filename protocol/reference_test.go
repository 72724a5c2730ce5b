package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// This is the decoder as encoding/json would have it: what a frame means, said
// with the standard library and without a care for speed. Each place where
// DecodeJSON differs on purpose is marked "Deviation"; DESIGN.md has the reasons.

// reference is the message in the frame, or the code with which it is refused.
// Where several faults meet, the code is that of one of them.
func reference(frame []byte) (Message, ErrorCode) {
	// Deviation: encoding/json has no limit.
	if len(frame) > MaxReceiveBytes {
		return nil, CodeTooLarge
	}
	// Deviation: encoding/json puts U+FFFD in the place of what is no UTF-8.
	if !utf8.Valid(frame) {
		return nil, CodeInvalidUTF8
	}
	// Deviation: encoding/json stops at 10,000 levels.
	if json.Valid(frame) && nesting(frame) > MaxDepth {
		return nil, CodeInvalidMessage
	}
	// Deviation: encoding/json takes null for an object without members.
	if string(bytes.TrimSpace(frame)) == "null" {
		return nil, CodeInvalidMessage
	}
	var head struct {
		Type *uint64 `json:"type"`
	}
	if unmarshal(frame, &head) != nil || head.Type == nil {
		return nil, CodeInvalidMessage
	}
	if len(frame) > MaxFrameBytes && Type(*head.Type) != TypeReceive {
		return nil, CodeTooLarge
	}
	m := referenceFor(Type(*head.Type))
	if m == nil {
		return nil, CodeUnknownType
	}
	if unmarshal(frame, m) != nil {
		return nil, CodeInvalidMessage
	}
	return m.message()
}

// unmarshal is json.Unmarshal of an object into a struct, without the members
// over which DecodeJSON and encoding/json disagree.
func unmarshal(object []byte, v any) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return err
	}
	counts, agreed := keyCounts(object), true
	for _, name := range namesOf(v) {
		// Deviation: encoding/json takes the last of several members.
		if counts[name] > 1 {
			return errors.New("repeated: " + name)
		}
		// Deviation: encoding/json takes "Type" for "type".
		for key := range members {
			if key != name && strings.EqualFold(key, name) {
				delete(members, key)
				agreed = false
			}
		}
	}
	if agreed {
		return json.Unmarshal(object, v)
	}
	exact, err := json.Marshal(members)
	if err != nil {
		return err
	}
	return json.Unmarshal(exact, v)
}

// keyCounts is how often each key is in the object.
func keyCounts(object []byte) map[string]int {
	counts := map[string]int{}
	d := json.NewDecoder(bytes.NewReader(object))
	_, err := d.Token()
	for err == nil && d.More() {
		var key json.Token
		if key, err = d.Token(); err != nil {
			break
		}
		counts[fmt.Sprint(key)]++
		err = d.Decode(new(json.RawMessage))
	}
	return counts
}

// namesOf is the names of the JSON fields of the struct that v points to.
func namesOf(v any) []string {
	var names []string
	for t, i := reflect.TypeOf(v).Elem(), 0; i < t.NumField(); i++ {
		names = append(names, t.Field(i).Tag.Get("json"))
	}
	return names
}

// nesting is the depth of the objects and arrays in valid JSON.
func nesting(frame []byte) int {
	deepest, level := 0, 0
	for d := json.NewDecoder(bytes.NewReader(frame)); ; {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			level++
			deepest = max(deepest, level)
		case json.Delim('}'), json.Delim(']'):
			level--
		}
	}
}

// A userIDReference is a user id as a number or a string.
type userIDReference string

func (id *userIDReference) UnmarshalJSON(b []byte) error {
	return unmarshalID((*string)(id), b, regexp.MustCompile(`^[A-Za-z0-9._:@+-]{1,64}$`).MatchString)
}

// A messageIDReference is a message id as a number or a string.
type messageIDReference string

func (id *messageIDReference) UnmarshalJSON(b []byte) error {
	return unmarshalID((*string)(id), b, func(s string) bool {
		return 1 <= len(s) && len(s) <= 64 && !strings.ContainsFunc(s, unicode.IsControl)
	})
}

func unmarshalID(id *string, b []byte, valid func(string) bool) error {
	switch {
	case string(b) == "null":
		return nil
	case b[0] != '"':
		var n uint64
		if err := json.Unmarshal(b, &n); err != nil {
			return err
		}
		*id = strconv.FormatUint(n, 10)
		return nil
	}
	if err := json.Unmarshal(b, id); err != nil {
		return err
	}
	if !valid(*id) {
		return errors.New("not an id")
	}
	return nil
}
