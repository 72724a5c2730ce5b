package actors

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxShards is the most there can be.
const MaxShards = 4096

// ErrScaling is what Scale returns while the number of shards changes to another one.
var ErrScaling = errors.New("the number of shards is changing already")

// Phase is how far a change of the number of shards is.
type Phase string

// The phases, in their order. Settled is the one in which nothing changes.
const (
	Preparing Phase = "preparing" // the shards count who will move
	Moving    Phase = "moving"    // users are on the way
	Settling  Phase = "settling"  // all have moved
	Ending    Phase = "ending"    // the shards that were given up stop
	Settled   Phase = "settled"
)

// Scaling is a change of the number of shards: the one under way or the last. Before the
// first, From and To are the number there is, and Began is zero.
type Scaling struct {
	From, To int
	Phase    Phase
	Moved    int // users that have moved, or had nothing left to move with
	ToMove   int // how many there were to be when it began; who comes and goes meanwhile makes it differ
	Began    time.Time
	Took     time.Duration // so far
	Why      string        // who asked for it, or what the pilot saw
	Steering Steering      // who decides on the number from now on
}

// Scale begins to change the number of shards, 1 to MaxShards, and returns how far that
// is; Scaling says how it goes on. Users move to other shards while messages flow; nobody
// but a reader of the log notices. To ask for the number there is, or that is under way,
// moves nobody.
//
// The number holds: where it was left to the service it is no more, until AutoScale or the
// next start. What is refused holds nothing.
//
// Errors: ErrScaling with how far the other change is, for it is not interrupted; an
// *Error with draining when the node stops; the context's.
func (s *System) Scale(ctx context.Context, shards int, why string) (Scaling, error) {
	if shards < 1 || shards > MaxShards {
		return Scaling{}, fmt.Errorf("shards is %d: give 1 to %d", shards, MaxShards)
	}
	return s.askRegistry(ctx, &scale{shards: shards, why: why})
}

// Scaling is how far the last change of the number of shards is.
func (s *System) Scaling() Scaling { return *s.scaling.Load() }
