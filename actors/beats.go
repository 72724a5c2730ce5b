package actors

import "github.com/asynkron/protoactor-go/actor"

// beats is the wheel of the heartbeat: a session is in the slot that its number says. So
// sessions that connect together are pinged apart, and no session needs a timer. A session
// knows its place in the slot, so one is taken out in no time, without a map, which would
// take three times the memory and keep it when most have gone. The zero value is empty.
type beats [beatSlots][]beating

// beatSlots are its slots: each beat pings 1/25 of the sessions.
const beatSlots = 25

type beating struct {
	pid     *actor.PID
	session *session // the gateway reads its number and user, which never change, and its place
}

func (b *beats) add(s *session, pid *actor.PID) {
	slot := b.slot(s)
	s.place = uint32(len(*slot))
	*slot = append(*slot, beating{pid, s})
}

// remove takes a session out, if it is there.
func (b *beats) remove(s *session) {
	slot := b.slot(s)
	if int(s.place) >= len(*slot) || (*slot)[s.place].session != s {
		return
	}
	last := len(*slot) - 1
	(*slot)[s.place] = (*slot)[last]
	(*slot)[s.place].session.place = s.place
	(*slot)[last] = beating{}
	*slot = smaller((*slot)[:last])
}

func (b *beats) of(s *session) *actor.PID { return (*b.slot(s))[s.place].pid }

func (b *beats) slot(s *session) *[]beating { return &b[s.number%beatSlots] }
