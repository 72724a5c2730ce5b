package actors

import "github.com/asynkron/protoactor-go/actor"

// spawnOfMany starts an actor below the one at hand, which supervises it and hears of its end,
// as with Context.SpawnNamed. But protoactor puts it into no set of children. That set takes
// 70 bytes for each, and goes on referring to about half of those that have ended, and so to
// all that they had, until as many come again. In return the actor at hand ends them itself
// before its own end, see end.
func spawnOfMany(ctx actor.Context, props *actor.Props, name string) (*actor.PID, error) {
	return actor.DefaultSpawner(ctx.ActorSystem(), ctx.Self().GetId()+"/"+name, props, ctx)
}
