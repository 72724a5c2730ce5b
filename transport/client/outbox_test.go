package client

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"callboard/protocol"
)

// The model of an outbox is a slice, in the order of add, and whom it lost.
func TestOutboxKeepsTheOrderAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := newOutbox()
		var model []*Sending
		limit, added := 0, 0
		wire := func() (onWire []*Sending) {
			for _, s := range model {
				if s.onWire {
					onWire = append(onWire, s)
				}
			}
			return onWire
		}
		remove := func(s *Sending) {
			model = slices.DeleteFunc(model, func(other *Sending) bool { return other == s })
		}
		pick := func(from []*Sending) *Sending {
			if len(from) == 0 {
				t.Skip("there is none")
			}
			return rapid.SampledFrom(from).Draw(t, "which")
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				added++
				s := &Sending{message: &protocol.Send{Id: strconv.Itoa(added), Content: "x"}, waiters: 1}
				if o.add(s) != nil {
					t.Fatal("a new message is said to be there")
				}
				model = append(model, s)
			},
			"add again": func(t *rapid.T) {
				s := pick(model)
				if o.add(&Sending{message: s.message}) != s {
					t.Fatal("a message is not found under its id")
				}
			},
			"connected": func(t *rapid.T) {
				if limit > 0 {
					t.Skip("it is")
				}
				limit = rapid.IntRange(1, 5).Draw(t, "limit")
				o.connected(limit)
			},
			"take": func(t *rapid.T) {
				var want []protocol.Message
				maxBytes := rapid.IntRange(1, 5).Draw(t, "bytes")
				free := limit - len(wire())
				for _, s := range model {
					if !s.onWire && len(want) < free && len(want) < maxBytes {
						want = append(want, s.message)
					}
				}
				if got := o.take(nil, maxBytes); !slices.Equal(got, want) {
					t.Fatalf("taken %v, want %v", got, want)
				}
			},
			"answered": func(t *rapid.T) {
				s := pick(wire())
				if o.answered(s.message.Id) != s || o.answered(s.message.Id) != nil {
					t.Fatal("the answer did not find its message, or found it twice")
				}
				remove(s)
			},
			"answered out of turn": func(t *rapid.T) {
				if s := pick(model); !s.onWire && o.answered(s.message.Id) != nil {
					t.Fatal("a message was answered that was not on the wire")
				}
			},
			"abandon": func(t *rapid.T) {
				s := pick(model)
				if s.waiters == 0 {
					t.Skip("it is")
				}
				onWire := s.onWire
				if o.abandon(s) == onWire {
					t.Fatal("it is to be removed if and only if it is not on the wire")
				}
				if !onWire {
					remove(s)
				}
			},
			"lost": func(t *rapid.T) {
				limit = 0
				for _, s := range o.lost() {
					if s.waiters > 0 {
						t.Fatal("a message was forgotten that somebody waits for")
					}
				}
				model = slices.DeleteFunc(model, func(s *Sending) bool { return s.waiters == 0 })
			},
			"": func(t *rapid.T) {
				var all []*Sending
				for s := o.first; s != nil; s = s.following {
					all = append(all, s)
				}
				if !slices.Equal(all, model) || o.len() != len(model) || o.wire != len(wire()) {
					t.Fatalf("the outbox has %d of %d messages, %d of %d on the wire", len(all), len(model), o.wire, len(wire()))
				}
			},
		})
		if all := o.drain(); !slices.Equal(all, model) || o.len() != 0 || o.next != nil {
			t.Fatal("drain left something")
		}
	})
}
