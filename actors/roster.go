package actors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/protocol"
)

// Whom a shard knows, and the actors that it starts for them.

func (s *shard) add(ctx actor.Context, id protocol.UserID) *entry {
	e := &entry{id: id}
	s.insert(e)
	s.added(e)
	s.start(ctx, e)
	return e
}

func (s *shard) insert(e *entry) {
	s.users[e.id] = e
	s.most = max(s.most, len(s.users))
	s.order.ReplaceOrInsert(e)
	if e.restarts > 0 {
		s.sick.ReplaceOrInsert(e)
	}
	s.system.counts.users.Add(1)
}

func (s *shard) remove(e *entry) {
	delete(s.users, e.id)
	s.users = smallerMap(s.users, &s.most)
	s.order.Delete(e)
	if e.restarts > 0 {
		s.sick.Delete(e)
	}
	s.busiest.drop(e)
	s.system.counts.users.Add(-1)
}

// start gives the user an actor, its sessions, and the mail that was held.
func (s *shard) start(ctx actor.Context, e *entry) {
	s.epoch++
	s.next = &user{
		id: e.id, system: s.system, home: ctx.Self(), lane: uint8(s.number), awaited: fewOf(slices.Clone(e.sessions)), untimed: untilSample(),
	}
	s.next.box.Init(s.next)
	pid, err := spawnOfMany(ctx, s.props, string(e.id)+"."+strconv.FormatUint(s.epoch, 36))
	if err != nil {
		panic(fmt.Sprintf("shard %d: user %s has a name that was given before: %v", s.number, e.id, err))
	}
	s.actors++
	e.pid, e.actor, e.state = pid, s.next, active
	s.next = nil
	for _, session := range e.sessions {
		ctx.Send(session, msgReattach)
	}
	s.release(ctx, e)
}

// release sends on the mail that was held. It may be tried again.
func (s *shard) release(ctx actor.Context, e *entry) {
	s.system.mailHop(HopRouted, e.held.all(), "") // before the mail is taken, as it may fail
	for _, mail := range e.held.take() {
		ctx.Send(e.pid, mail)
	}
}

// userOf reads the user's id out of the name that start has given.
func userOf(pid *actor.PID) protocol.UserID {
	name := pid.GetId()
	name = name[strings.LastIndexByte(name, '/')+1:]
	return protocol.UserID(name[:strings.LastIndexByte(name, '.')])
}
