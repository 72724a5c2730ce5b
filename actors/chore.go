package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// What operators ask of an inbox: to forget a device, and to take messages that nobody
// fetches. Both take the road of a message, through shard, user and journal: the user
// is the only writer of its inbox, and who asked is answered when the store has it.
//
// Otherwise messages go when retention says so, and not already when every device has
// them: as long as one is there its id is known, and a repetition is answered with its
// place instead of being kept twice.

type (
	// forgetDevice, to a shard and on to the user, asks to forget a device. The answer
	// is Forgotten.
	forgetDevice struct {
		user   protocol.UserID
		device string
		force  bool // close its sessions, if it has some
	}
	// trimInbox, to a shard and on to the user, asks to take the messages up to a number.
	// The answer is Trimmed.
	trimInbox struct {
		user    protocol.UserID
		through uint64
		unseen  bool // also those that some device has not had
	}
)

// Forgotten answers ForgetDevice.
type Forgotten struct {
	Cursor   uint64 // where the device stood
	Sessions int    // that were closed
}

// Trimmed answers TrimInbox.
type Trimmed struct {
	Removed uint64   // how many messages went
	Floor   uint64   // messages up to this one are gone
	Nobody  uint64   // how many of those that went no device has had
	Unseen  []Unseen // by device
}

// Unseen is how many of some messages a device has not had.
type Unseen struct {
	Device   string
	Messages uint64
}

// ForgetDevice removes a device and its cursor. A device that is connected is refused
// as device_connected, unless its sessions are to be closed. One that comes back is new:
// it is sent all that is in the inbox, unless its client says where it stands.
//
// Errors: an *Error with a code (not_found, device_connected, unavailable,
// storage_full, internal, draining), or the context's. After the last five the device
// may be forgotten: ask again.
func (s *System) ForgetDevice(ctx context.Context, user protocol.UserID, device string, force bool) (*Forgotten, error) {
	return askUser[*Forgotten](ctx, s, user, &forgetDevice{user, device, force})
}

// TrimInbox removes the messages up to a number, or all there are if it is higher. What
// some device has not had is refused as unseen, unless that is wanted; such a device
// is told of the gap. So room is made in an inbox that is full.
//
// Errors: an *Error with a code (unseen, unavailable, storage_full, internal,
// draining), or the context's. After the last five they may be gone: ask again.
func (s *System) TrimInbox(ctx context.Context, user protocol.UserID, through uint64, unseen bool) (*Trimmed, error) {
	return askUser[*Trimmed](ctx, s, user, &trimInbox{user, through, unseen})
}

// chore is what the next commit of a user does for an operator.
type chore struct {
	trim   uint64 // messages up to it go; 0: none
	device string // is forgotten, if the answer is Forgotten
	asks   *actor.PID
	answer any // when it is done
}

// finish answers for chores that are done, or says why they are not.
func (s *System) finish(user protocol.UserID, chores []chore, why *Error) {
	for _, c := range chores {
		if why == nil && s.watched() {
			s.publishChore(user, &c)
		}
		switch {
		case c.asks == nil:
		case why != nil:
			s.root.Send(c.asks, why)
		default:
			s.root.Send(c.asks, c.answer)
		}
	}
}

// publishChore tells those who watch what an operator has done to an inbox.
func (s *System) publishChore(user protocol.UserID, c *chore) {
	switch done := c.answer.(type) {
	case *Trimmed:
		if done.Removed > 0 {
			s.publish(Event{Kind: InboxTrimmed, User: user,
				Reason: fmt.Sprintf("%d messages removed, up to %d; no device has had %d of them", done.Removed, done.Floor, done.Nobody)})
		}
	case *Forgotten:
		s.publish(Event{Kind: DeviceForgotten, User: user, Device: c.device, Reason: fmt.Sprintf("it had the messages up to %d", done.Cursor)})
	}
}

// trimsOf are the trims among chores.
func trimsOf(trims []inbox.Trim, user protocol.UserID, chores []chore) []inbox.Trim {
	for _, c := range chores {
		if c.trim > 0 {
			trims = append(trims, inbox.Trim{User: user, UpTo: c.trim})
		}
	}
	return trims
}

// notNow is why the inbox takes no chore, or nil.
func (u *user) notNow() *Error {
	switch {
	case u.broken != nil || u.fate != nil || u.system.storage.Load() != nil:
		return u.refusing()
	case !u.awaited.none():
		return ErrTakenOver
	}
	return nil
}

func (u *user) forgetDevice(ctx actor.Context, msg *forgetDevice) {
	d, why := u.device(msg.device), u.notNow()
	switch {
	case why != nil:
		answer(ctx, why)
		return
	case d == nil:
		answer(ctx, ErrNoDevice)
		return
	case u.connected(msg.device) && !msg.force:
		answer(ctx, ErrDeviceConnected)
		return
	}
	done := &Forgotten{Cursor: d.Cursor}
	u.sessions = slices.DeleteFunc(u.sessions, func(a *attachment) bool {
		if a.device != msg.device {
			return false
		}
		done.Sessions++
		u.root().Send(a.session, closeByOperator)
		return true
	})
	u.forgotten.add(inbox.Move{User: u.id, Device: d.Device, Forget: true})
	u.devices = slices.DeleteFunc(u.devices, func(d device) bool { return d.Name == msg.device })
	u.trimTail()
	u.chores.add(chore{device: msg.device, asks: ctx.Sender(), answer: done})
}

func (u *user) trimInbox(ctx actor.Context, msg *trimInbox) {
	if why := u.notNow(); why != nil {
		answer(ctx, why)
		return
	}
	u.lookForFloor()
	done := u.trimming(min(msg.through, u.head))
	if why := done.loss(); why != nil && !msg.unseen {
		answer(ctx, why)
		return
	}
	u.chores.add(chore{trim: done.Floor, asks: ctx.Sender(), answer: done})
}

// trimming is what a trim would do.
func (u *user) trimming(upTo uint64) *Trimmed {
	t := &Trimmed{Floor: max(upTo, u.floor)}
	t.Removed = t.Floor - u.floor
	t.Nobody = t.Floor - min(t.Floor, u.seen())
	for _, d := range u.devices {
		has := min(max(d.Cursor, u.floor), t.Floor)
		if has == t.Floor || d.Name == "" && d.Cursor == 0 && !u.listens() {
			continue
		}
		t.Unseen = append(t.Unseen, Unseen{d.Name, t.Floor - has})
	}
	return t
}

// listens is whether a session of the nameless device acknowledges: one that does not
// may be there only to send.
func (u *user) listens() bool {
	return slices.ContainsFunc(u.sessions, func(a *attachment) bool { return a.device == "" && a.listens })
}

// loss is why not to trim: what would be lost, or nil.
func (t *Trimmed) loss() *Error {
	if t.Nobody == 0 && len(t.Unseen) == 0 {
		return nil
	}
	var lost []string
	if t.Nobody > 0 {
		lost = append(lost, fmt.Sprintf("no device has had %d", t.Nobody))
	}
	for _, u := range t.Unseen {
		name := fmt.Sprintf("device %q", u.Device)
		if u.Device == "" {
			name = "the nameless device"
		}
		lost = append(lost, fmt.Sprintf("%s has not had %d", name, u.Messages))
	}
	return &Error{CodeUnseen, fmt.Sprintf("of the %d messages that would go %s", t.Removed, strings.Join(lost, ", "))}
}

// chored: the store has done what operators asked for.
func (u *user) chored(chores []chore) {
	if len(chores) == 0 {
		return
	}
	for _, c := range chores {
		u.floor = max(u.floor, c.trim)
	}
	u.tail.keepFrom(u.floor)
	u.look()
	u.pumpAll(true) // who is behind is told of the gap
}
