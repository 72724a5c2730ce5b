package actors

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"callboard/protocol"
)

// One inbox and its devices do, step by step, what a model of a few lines does: who
// sends the same again gets the first place, a device gets what is behind its cursor,
// in order and by its window, and the cursor is what it has acknowledged; through
// failures, restarts, a disk that fails and one that lies. Each step ends when
// everything is at rest. rapid prints the seed of a failure and shrinks it.
func TestInboxIsAsItsModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.Custom(drawChange), 1, 40).Draw(rt, "plan")
		var fault string
		config := Config{IdleAfter: time.Second, PingInterval: 100 * time.Hour, MaxInFlight: 4, Intensity: Intensity{Failures: 1000}}
		inBubble(t, config, func(w *world) {
			if fault == "" {
				fault = newModel(w).run(plan)
			}
		})
		if fault != "" {
			rt.Fatal(fault)
		}
	})
}

// change is one step of a plan; A and B are what Do makes of them.
type change struct {
	Do   string
	A, B int
}

func drawChange(t *rapid.T) change {
	return change{
		Do: rapid.SampledFrom([]string{
			"send", "send", "send", "send", "many", "ack", "ack", "ack", "connect", "connect", "cursor", "hang up",
			"fail", "wait", "restart", "trim", "disk breaks", "disk lies", "disk works",
		}).Draw(t, "do"),
		A: rapid.IntRange(0, 7).Draw(t, "a"),
		B: rapid.IntRange(0, 7).Draw(t, "b"),
	}
}

// model is what bob's inbox and his devices are to be.
type model struct {
	w       *world
	alice   *peer
	entries []string          // contents; the first has the number 1
	floor   uint64            // retention took the numbers up to it
	places  map[string]uint64 // of ids
	devices map[string]*modelDevice
	failing bool // the disk
	lying   bool // it keeps what it says that it does not
}

type modelDevice struct {
	cursor  uint64
	sure    bool  // the store has the cursor
	live    *peer // nil: away
	window  int
	at      uint64 // newest received, or gone before it was
	checked int    // messages that have been looked at
}

func newModel(w *world) *model {
	m := &model{w: w, places: map[string]uint64{}, devices: map[string]*modelDevice{}}
	m.alice = w.device("alice", "phone")
	return m
}

func (m *model) head() uint64 { return uint64(len(m.entries)) }

func (m *model) run(plan []change) string {
	for i, c := range plan {
		fault := m.do(c)
		synctest.Wait()
		if fault == "" {
			fault = m.check()
		}
		if fault != "" {
			return fmt.Sprintf("step %d, %+v: %s", i, c, fault)
		}
	}
	return ""
}

func (m *model) do(c change) string {
	device := []string{"phone", "tablet"}[c.A%2]
	switch c.Do {
	case "send":
		return m.send(fmt.Sprint("id", c.A), fmt.Sprint("content", c.B/6))
	case "many":
		for range 10 {
			if fault := m.send(fmt.Sprint("one of many ", len(m.places)), "x"); fault != "" {
				return fault
			}
		}
	case "connect", "cursor":
		if !m.lying { // or else where the inbox ends is not known before the disk works
			return m.connect(device, c)
		}
	case "ack":
		if d := m.devices[device]; d != nil && d.live != nil {
			m.ack(d, uint64(c.B))
		}
	case "hang up":
		m.hangUp(m.devices[device])
	case "fail":
		m.w.crash("bob")
		m.unsure()
	case "wait":
		time.Sleep(time.Minute)
	case "restart":
		m.restart()
	case "trim":
		m.trim(uint64(c.A))
	case "disk breaks":
		m.failing = true
		m.w.store.breaks(errDisk)
	case "disk lies":
		m.failing, m.lying = true, true
		m.w.store.lies(errDisk)
	case "disk works":
		m.failing, m.lying = false, false
		m.w.store.lies(nil)
		time.Sleep(3 * time.Second)
	}
	return ""
}

func (m *model) send(id, content string) string {
	confirmed, refused := len(of[*protocol.Sent](m.alice.conn)), len(m.alice.codes())
	m.alice.sendID("bob", content, id)
	synctest.Wait()
	sent, codes := of[*protocol.Sent](m.alice.conn)[confirmed:], m.alice.codes()[refused:]
	if len(sent)+len(codes) != 1 {
		return fmt.Sprintf("answered %v and %v", sent, codes)
	}
	place, known := m.places[id]
	known = known && place > m.floor
	switch {
	case len(codes) == 1 && codes[0] == protocol.CodeUnavailable && m.failing:
		if at := uint64(len(m.w.store.contents("bob"))) + m.floor; !known && at == m.head()+1 { // the disk lied
			m.places[id], m.entries = at, append(m.entries, content)
		}
		m.unsure()
	case known && m.entries[place-1] != content:
		if len(codes) != 1 || codes[0] != protocol.CodeConflict {
			return fmt.Sprintf("want a conflict with %d, got %v %v", place, sent, codes)
		}
	case len(sent) != 1 || known && sent[0].Seq != place || !known && sent[0].Seq != m.head()+1:
		return fmt.Sprintf("known %v at %d, head %d; answered %v, %v", known, place, m.head(), sent, codes)
	case !known:
		m.places[id], m.entries = m.head()+1, append(m.entries, content)
	}
	return ""
}

func (m *model) connect(name string, c change) string {
	d := m.devices[name]
	told := d != nil || c.Do == "cursor" // of a gap; one that is new misses nothing
	if d == nil {
		d = &modelDevice{sure: true}
		m.devices[name] = d
	}
	m.hangUp(d)
	hello := &protocol.Connect{Device: name, Window: uint32(1 + c.B%4)}
	want := d.cursor
	if c.Do == "cursor" {
		cursor := uint64(c.B * 3)
		hello.Cursor, want = &cursor, min(cursor, m.head())
	}
	d.live = m.w.v1("bob", hello)
	got := d.live.welcome()
	if told = told && want < m.floor; (d.sure || hello.Cursor != nil) && (told != (got.Gap != nil) || told && got.Gap.First != want+1) {
		return fmt.Sprintf("CONNECT from cursor %d with floor %d says gap %v", want, m.floor, got.Gap)
	}
	switch want = max(want, m.floor); {
	case got.Head != m.head():
		return fmt.Sprintf("CONNECT says head %d, want %d", got.Head, m.head())
	case got.GetCursor() != want && (d.sure || hello.Cursor != nil || got.GetCursor() > want):
		return fmt.Sprintf("CONNECT says cursor %d, want %d", got.GetCursor(), want)
	case got.Gap != nil && got.Gap.Last != m.floor:
		return fmt.Sprintf("CONNECT says gap %v, want it up to %d", got.Gap, m.floor)
	}
	d.cursor, d.at, d.checked, d.window, d.sure = got.GetCursor(), got.GetCursor(), 0, 1+c.B%4, !m.failing
	return ""
}

func (m *model) ack(d *modelDevice, seq uint64) {
	seq = min(d.at, d.cursor+seq)
	d.live.ack(seq)
	if seq > d.cursor {
		d.cursor, d.sure = seq, d.sure && !m.failing
	}
}

func (m *model) hangUp(d *modelDevice) {
	if d != nil && d.live != nil {
		d.live.hangUp()
		d.live = nil
		synctest.Wait()
	}
}

// unsure: bob's actor is another; what a failing disk has not got of the cursors of
// those that are away is lost.
func (m *model) unsure() {
	for _, d := range m.devices {
		d.sure = d.sure && !m.failing
	}
}

func (m *model) restart() {
	for _, d := range m.devices {
		m.hangUp(d)
	}
	m.unsure()
	m.w.restart()
	m.alice = m.w.device("alice", "phone")
}

// trim is retention while nobody is there.
func (m *model) trim(n uint64) {
	if m.failing {
		return
	}
	for _, d := range m.devices {
		m.hangUp(d)
	}
	time.Sleep(time.Minute)
	m.floor = min(m.floor+n, m.head())
	m.w.store.trim("bob", m.floor)
}

func (m *model) check() string {
	for name, d := range m.devices {
		if d.live == nil {
			continue
		}
		received := of[*protocol.Receive](d.live.conn)
		for _, got := range received[d.checked:] {
			if d.at++; got.Seq != d.at || got.Seq > m.head() || got.Content != m.entries[got.Seq-1] {
				return fmt.Sprintf("%s got %v, want %d of %d", name, got, d.at, m.head())
			}
		}
		d.checked = len(received)
		unacked := int(d.at - d.cursor)
		if unacked > d.window || d.at < m.head() && unacked <= d.window/2 && !m.failing {
			return fmt.Sprintf("%s has got up to %d of %d and acknowledged %d; the window is %d", name, d.at, m.head(), d.cursor, d.window)
		}
		if frame, closed := d.live.conn.closeFrame(); closed || len(d.live.codes()) > 0 {
			return fmt.Sprintf("%s was told %v and closed by %+v", name, d.live.codes(), frame)
		}
	}
	for name, d := range m.devices {
		if got := m.w.store.cursor("bob", name); d.sure && !m.failing && got != d.cursor {
			return fmt.Sprintf("the store has cursor %d of %s, want %d", got, name, d.cursor)
		}
	}
	if got := m.w.store.contents("bob"); !slices.Equal(got, m.entries[m.floor:]) || m.w.store.wasOfferedGaps() > 0 {
		return fmt.Sprintf("the inbox has %q, want %q", got, m.entries[m.floor:])
	}
	if got := m.alice.link.credits.Load(); got != 4 {
		return fmt.Sprintf("alice has %d credits of 4", got)
	}
	return ""
}
