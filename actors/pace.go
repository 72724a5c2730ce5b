package actors

import "time"

// pace chooses how many slices move in one step of a change of the number of shards.
//
// A step takes as long as a message takes to get through the queues, and its commit, and the
// work for each user besides. On a node that is busy or waits for its disk the
// queues are nearly all of it: a step for twice as many users takes as long, and costs the
// others nothing more. Where the work is nearly all of it, it takes twice as long, and those
// who are on the way wait for each other. So the pace tries twice the width now and then, and keeps it
// if the step took a third longer at most: then the work is at most half of the step. It is
// a function of what it is told, so that tests can show where it leads.
type pace struct {
	width    uint32        // of the step at hand, in slices
	most     uint32        // so wide at most
	kept     uint32        // the width that has proved good
	usual    time.Duration // what steps of that width took, newer ones weigh more
	wait     int           // so many more steps before the next try
	patience int           // steps between a try that failed and the next; doubles
}

const (
	// maxWidening is how many times as many users as maxAway may be on the way at once.
	maxWidening = 16

	// fewestSteps is in how many steps a change is made at least, if it does not fit into
	// one of maxAway: never are more users on the way than this part of those who move.
	fewestSteps = 4

	// firstWait is how many steps are measured before the first try, and after the first that fails.
	firstWait = 2
)

// newPace begins with so many users on the way at once, of so many who move. If they are exactly
// so many, it stays there.
func newPace(toMove, away int, exactly bool) pace {
	p := pace{width: uint32(max(1, ringSlices/(1+toMove/away))), wait: firstWait, patience: firstWait}
	p.kept, p.most = p.width, p.width
	if !exactly {
		p.most = max(p.width, uint32(min(ringSlices*away*maxWidening/max(toMove, 1), ringSlices/fewestSteps)))
	}
	return p
}

// stepped learns how long the step at hand took, and chooses the next one.
func (p *pace) stepped(took time.Duration) {
	switch {
	case took <= 0: // no clock tells less than that
		return
	case p.usual == 0:
		p.usual = took
	case p.width > p.kept && 3*took > 4*p.usual:
		p.width = p.kept
		p.wait = p.patience
		p.patience *= 2
		return
	case p.width > p.kept:
		p.kept, p.wait = p.width, 1
		fallthrough
	default: // the mean, for one step may be short by chance
		p.usual = (p.usual + took) / 2
	}
	if p.wait = max(0, p.wait-1); p.wait == 0 {
		p.width = min(2*p.kept, p.most)
	}
}
