package actors

import (
	"slices"
	"time"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// device is one of a user's devices: what it has of the inbox, and whether the
// store knows that.
type device struct {
	inbox.Device
	moved bool // since it was last handed to the store
}

// device finds a device by its name; nil if there is none.
func (u *user) device(name string) *device {
	for i := range u.devices {
		if u.devices[i].Name == name {
			return &u.devices[i]
		}
	}
	return nil
}

// addDevice makes a device known, or returns nil if there are too many and none of
// them has been away for the retention time. The nameless one is always let in.
func (u *user) addDevice(name string) *device {
	if name != "" && u.named() >= protocol.MaxDevices && !u.forgetOldest() {
		return nil
	}
	u.devices = append(u.devices, device{Device: inbox.Device{Name: name}})
	return &u.devices[len(u.devices)-1]
}

func (u *user) named() (n int) {
	for i := range u.devices {
		if u.devices[i].Name != "" {
			n++
		}
	}
	return n
}

// forgetOldest makes room for a new device in place of one that has not been seen
// for the retention time.
func (u *user) forgetOldest() bool {
	oldest := -1
	for i := range u.devices {
		if name := u.devices[i].Name; name != "" && !u.connected(name) && (oldest < 0 || u.devices[i].Seen < u.devices[oldest].Seen) {
			oldest = i
		}
	}
	if oldest < 0 || now()-u.devices[oldest].Seen < u.system.limits.Load().ForgetDevicesAfter.Milliseconds() {
		return false
	}
	u.forgotten.add(inbox.Move{User: u.id, Device: u.devices[oldest].Device, Forget: true})
	u.devices = slices.Delete(u.devices, oldest, oldest+1)
	return true
}

func (u *user) connected(name string) bool {
	return slices.ContainsFunc(u.sessions, func(a *attachment) bool { return a.device == name })
}

// moveTo sets where a device stands, forwards or, if its client asks for that,
// backwards.
func (d *device) moveTo(cursor uint64) {
	d.Cursor, d.Seen, d.moved = cursor, now(), true
}

// advance moves a device forwards.
func (d *device) advance(cursor uint64) {
	if cursor > d.Cursor {
		d.moveTo(cursor)
	}
}

// seenEvery is how often the store is told that a device is still in use.
const seenEvery = time.Hour

// seenNow keeps a device from being taken for one that stays away.
func (d *device) seenNow() {
	if now()-d.Seen > seenEvery.Milliseconds() {
		d.moveTo(d.Cursor)
	}
}

// fetched is how far the device is that has most of the inbox.
func (u *user) fetched() (seq uint64) {
	for i := range u.devices {
		seq = max(seq, u.devices[i].Cursor)
	}
	return seq
}

// moves are the devices that the store has to be told of.
func (u *user) moves() []inbox.Move {
	moves := u.forgotten.take()
	for i := range u.devices {
		if d := &u.devices[i]; d.moved {
			d.moved = false
			moves = append(moves, inbox.Move{User: u.id, Device: d.Device})
		}
	}
	return moves
}

// unmoved takes back what moves had handed over and the store did not take.
func (u *user) unmoved(moves []inbox.Move) {
	for _, m := range moves {
		if d := u.device(m.Device.Name); d != nil { // if it was to be forgotten, it has come back
			d.moved = true
		} else if m.Forget {
			u.forgotten.add(m)
		}
	}
}

// dirty is whether moves would return any.
func (u *user) dirty() bool {
	return !u.forgotten.none() || slices.ContainsFunc(u.devices, func(d device) bool { return d.moved })
}

// now is the wall clock as messages have it: milliseconds since 1970-01-01 UTC.
func now() int64 { return time.Now().UnixMilli() }
