package client

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"callboard/protocol"
)

// inboxModel is a server's inbox and one device of it.
type inboxModel struct {
	head, floor uint64 // numbers up to floor are gone
	next        uint64 // what the present connection brings next
	acked       uint64
	passed      uint64 // the last gap
	window      uint64
}

// Whatever the connections do, the program gets every number once and in order, or
// is told of a gap; and the server never hears more than the program has
// acknowledged.
func TestIntakeDeliversOnceAndInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := newIntake(nil)
		server := inboxModel{window: uint64(rapid.IntRange(1, 8).Draw(t, "window"))}
		connected, begun := false, false
		var got, acknowledged uint64 // up to where the program has things, and has said so
		t.Repeat(map[string]func(*rapid.T){
			"arrive": func(t *rapid.T) { server.head += uint64(rapid.IntRange(1, 5).Draw(t, "n")) },
			"retain": func(t *rapid.T) {
				server.floor = uint64(rapid.IntRange(int(server.floor), int(server.head)).Draw(t, "floor"))
			},
			"connect": func(t *rapid.T) {
				if connected {
					t.Skip("it is")
				}
				from := i.done // 0 at first, as the server has it
				answer := &protocol.Connect{Head: server.head, Window: uint32(server.window)}
				if from < server.floor {
					answer.Gap = &protocol.Gap{First: from + 1, Last: server.floor}
					from = server.floor
				}
				answer.Cursor = &from
				if i.connected(answer) {
					t.Fatal("the inbox was not restored")
				}
				connected, begun = true, true
				server.next, server.acked, server.passed = from+1, from, from
			},
			"lose": func(*rapid.T) { connected = false },
			"bring": func(t *rapid.T) {
				if !connected || server.next > server.head || server.next > max(server.acked, server.passed)+server.window {
					t.Skip("it may not")
				}
				if server.next <= server.floor {
					if rapid.Bool().Draw(t, "with numbers") {
						i.gap(&protocol.Gap{First: server.next, Last: server.floor})
					} else {
						i.gap(nil)
					}
					server.next, server.passed = server.floor+1, server.floor
					return
				}
				if _, err := i.received(&protocol.Receive{Seq: server.next}); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "twice") {
					if more, err := i.received(&protocol.Receive{Seq: server.next}); more || err != nil {
						t.Fatal("a repeat went through", err)
					}
				}
				server.next++
			},
			"take": func(t *rapid.T) {
				h := i.head()
				if h == nil {
					t.Skip("there is none")
				}
				first := h.last
				if h.gap != nil {
					first = h.gap.First
				}
				if first != got+1 {
					t.Fatalf("%d comes behind %d", first, got)
				}
				got = h.last
				i.pop(h.last, h.age)
			},
			"acknowledge": func(t *rapid.T) {
				n := uint64(rapid.IntRange(int(acknowledged), int(got)).Draw(t, "n"))
				i.acknowledge(n, i.age)
				acknowledged = max(acknowledged, n)
			},
			"ack": func(t *rapid.T) {
				if !connected {
					t.Skip("nobody would hear it")
				}
				some, now := i.owes()
				if now && !some {
					t.Fatal("now, and nothing to say")
				}
				ack := i.ack()
				if (ack != nil) != some {
					t.Fatalf("owes says %t, and the ACK is %v", some, ack)
				}
				if ack != nil {
					if ack.Seq > acknowledged || ack.Seq <= server.acked {
						t.Fatalf("ACK %d, the program has acknowledged %d, the server knew %d", ack.Seq, acknowledged, server.acked)
					}
					server.acked = ack.Seq
				}
			},
			"": func(t *rapid.T) {
				if begun && i.done != acknowledged {
					t.Fatalf("the cursor is %d, the program has acknowledged %d", i.done, acknowledged)
				}
				if len(i.queue) > int(server.window)+int(server.head) {
					t.Fatalf("%d in the queue", len(i.queue))
				}
			},
		})
	})
}

// An inbox that was restored gives numbers again. Nothing that is new under an old
// number is hidden or acknowledged for another.
func TestIntakeSurvivesARestoredInbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := newIntake(nil)
		var head uint64
		taken := map[[2]uint64]bool{} // age and number
		for range rapid.IntRange(1, 12).Draw(t, "lives") {
			from := min(i.done, head)
			i.connected(&protocol.Connect{Head: head, Cursor: &from, Window: 1000})
			for seq := from + 1; seq <= head; seq++ { // once more
				if _, err := i.received(&protocol.Receive{Seq: seq}); err != nil {
					t.Fatal(err)
				}
			}
			for range rapid.IntRange(0, 5).Draw(t, "new") {
				head++
				if more, err := i.received(&protocol.Receive{Seq: head}); !more || err != nil {
					t.Fatalf("number %d is new and was hidden: %v", head, err)
				}
			}
			var items []item
			for h := i.head(); h != nil && rapid.Bool().Draw(t, "take"); h = i.head() {
				items = append(items, *h)
				if taken[[2]uint64{h.age, h.last}] {
					t.Fatalf("number %d came twice", h.last)
				}
				taken[[2]uint64{h.age, h.last}] = true
				i.pop(h.last, h.age)
			}
			if restoredTo := uint64(rapid.IntRange(0, int(head)).Draw(t, "restored to")); rapid.Bool().Draw(t, "restore") {
				head = restoredTo
			}
			from = min(i.done, head)
			i.connected(&protocol.Connect{Head: head, Cursor: &from, Window: 1000})
			for _, it := range items { // late
				i.acknowledge(it.last, it.age)
			}
			if i.done > head {
				t.Fatalf("the cursor is %d, the inbox ends at %d", i.done, head)
			}
		}
	})
}

// lifeModel is a server whose inbox is begun anew or put back from a backup, in which case
// its epoch is another one. What is in it is told apart by content.
type lifeModel struct {
	epoch    uint32
	contents []string
	record   uint64 // what it knows that the device has
}

// put adds messages that there never were before.
func (s *lifeModel) put(n int, made *int) {
	for range n {
		*made++
		s.contents = append(s.contents, fmt.Sprint("message ", *made))
	}
}

// connects is the server's side of a connection, up to its CONNECT.
func (s *lifeModel) connects(i *intake) (from uint64) {
	hello := &protocol.Connect{}
	i.hello(hello)
	head := uint64(len(s.contents))
	switch {
	case hello.Cursor == nil:
		from = s.record
	case hello.Epoch != 0 && hello.Epoch != s.epoch:
		from = min(hello.GetCursor(), s.record)
	default:
		from = min(hello.GetCursor(), head)
	}
	s.record = from
	i.connected(&protocol.Connect{Head: head, Cursor: &from, Window: 1000, Epoch: s.epoch})
	return from
}

// brings delivers up to a number.
func (s *lifeModel) brings(t *rapid.T, i *intake, from, to uint64) {
	for seq := from + 1; seq <= to; seq++ {
		if _, err := i.received(&protocol.Receive{Seq: seq, Content: s.contents[seq-1]}); err != nil {
			t.Fatal(err)
		}
	}
}

// However often an inbox is begun anew or put back, and however far it has grown before the
// client is back, the program gets all that is in it; and what it says of messages from
// before is not taken for word of those that have their numbers now.
func TestIntakeMissesNothingOfAnInboxWithAnotherEpoch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		made := 0
		server := lifeModel{epoch: 1}
		i := newIntake(nil)
		got := map[string]bool{}
		var late []item
		take := func() {
			h := *i.head()
			got[h.message.Content] = true
			if h.message.Epoch == 0 {
				t.Fatal("a message without its epoch")
			}
			late = append(late, h)
			i.pop(h.last, h.age)
		}
		for range rapid.IntRange(1, 8).Draw(t, "lives") {
			server.put(rapid.IntRange(0, 6).Draw(t, "new"), &made)
			from := server.connects(i)
			server.brings(t, i, from, uint64(rapid.IntRange(int(from), len(server.contents)).Draw(t, "to")))
			for i.head() != nil && rapid.Bool().Draw(t, "take") {
				take()
			}
			for len(late) > 0 && rapid.Bool().Draw(t, "acknowledge") {
				i.acknowledge(late[0].last, late[0].age)
				late = late[1:]
			}
			if i.done > uint64(len(server.contents)) {
				t.Fatalf("the cursor is %d of %d", i.done, len(server.contents))
			}
			if ack := i.ack(); ack != nil {
				for _, content := range server.contents[:ack.Seq] {
					if !got[content] {
						t.Fatalf("%s is acknowledged, and the program never had it", content)
					}
				}
				server.record = max(server.record, ack.Seq)
			}
			if rapid.Bool().Draw(t, "put back") {
				back := rapid.IntRange(0, len(server.contents)).Draw(t, "to which it is put back")
				server.contents = slices.Clone(server.contents[:back])
				server.record = uint64(rapid.IntRange(0, int(min(server.record, uint64(back)))).Draw(t, "record"))
				server.epoch++
			}
			i.lost()
		}
		server.brings(t, i, server.connects(i), uint64(len(server.contents)))
		for i.head() != nil {
			take()
		}
		for _, content := range server.contents {
			if !got[content] {
				t.Fatalf("the program never had %s", content)
			}
		}
	})
}

func TestIntakeDoesNotGrow(t *testing.T) {
	i := newIntake(nil)
	i.connected(&protocol.Connect{Window: 4, Head: 1 << 40})
	for seq := uint64(1); seq < 100_000; seq++ {
		if _, err := i.received(&protocol.Receive{Seq: seq}); err != nil {
			t.Fatal(err)
		}
		i.acknowledge(seq, 0)
	}
	if i.queue != nil {
		t.Errorf("%d in the queue", len(slices.Clone(i.queue)))
	}
}
