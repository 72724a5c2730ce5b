package bench

import (
	"context"
	"fmt"
	"maps"
	"time"
)

// A mark is how things stand at one moment.
type mark struct {
	at        time.Time
	received  uint64
	confirmed uint64
	in, out   int64
	own       time.Duration
	idle      time.Duration
	service   usage
}

func (l *load) mark() mark {
	m := mark{
		at: time.Now(), received: l.received.Load(), confirmed: l.confirmed.Load(),
		in: l.source.received.Load(), out: l.source.sent.Load(), own: processorTime(),
	}
	m.idle, _ = idleTime()
	m.service, _ = readUsage(l.config.PID)
	return m
}

// measure connects, warms up, measures and settles.
func (l *load) measure(ctx context.Context) (*Result, error) {
	stop := make(chan struct{})
	defer close(stop) // the writers end; hangUp waits for them
	before := l.mark()
	connecting, err := l.connect(ctx, stop)
	if err != nil {
		return nil, err
	}
	pacing := l.start(ctx)
	defer pacing()
	if err := l.pass(ctx, "warming up", l.config.Warmup); err != nil {
		return nil, err
	}
	from := l.mark()
	l.measuring.Store(true)
	if err := l.pass(ctx, "measuring", l.config.Duration); err != nil {
		return nil, err
	}
	l.measuring.Store(false)
	to := l.mark()
	pacing()
	l.halt()
	result := l.result(before, from, to, connecting)
	if l.ledger != nil {
		l.settle(ctx)
	}
	result.Check, result.Errors = l.outcome()
	return result, nil
}

// outcome is what the checker says, if it was asked for, and what was refused, by code.
func (l *load) outcome() (check *Check, errors map[string]uint64) {
	if l.ledger != nil {
		verdict := l.verdict()
		check = &verdict
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return check, maps.Clone(l.errors)
}

// start lets the peers send. What it returns ends the pacing, and may be called again.
func (l *load) start(ctx context.Context) (stop func()) {
	for i, p := range l.peers {
		if n := l.mayStart(i); n > 0 {
			p.allow(n)
		}
	}
	if l.config.Rate == 0 || l.config.Workload == Idle {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); l.pace(ctx) }()
	return func() { cancel(); <-ended }
}

const (
	// pulse is how often messages become due: as many as the rate asks for. They are
	// spread evenly over the time between.
	pulse = time.Millisecond

	// maxRate bounds what falls due in one pulse.
	maxRate = 10_000_000
)

// pace says to one peer after the other that a message is due, until the context is
// done.
func (l *load) pace(ctx context.Context) {
	ticker := time.NewTicker(pulse)
	defer ticker.Stop()
	began := l.now()
	first, senders := 0, len(l.peers)
	switch l.config.Workload {
	case FanIn:
		first, senders = 1, senders-1
	case FanOut:
		senders = 1
	case stalling:
		senders = l.senders
	}
	for n := uint64(0); ; {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for now := l.now(); ; n++ {
			due := began + time.Duration(float64(n)/float64(l.config.Rate)*float64(time.Second))
			if due > now {
				break
			}
			if !l.peers[first+int(n%uint64(senders))].owe(due) {
				l.skipped.Add(1)
			}
		}
	}
}

// settle waits until every message has been answered and what was confirmed has been
// seen, as long as it may.
func (l *load) settle(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, l.config.Settle)
	defer cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for limit.Err() == nil && !l.settled() {
			select {
			case <-ticker.C:
			case <-limit.Done():
			}
		}
	}()
	l.watch(limit, over, func() Progress {
		return Progress{Phase: "settling", Done: fmt.Sprintf("%d confirmed and not seen yet", l.ledger.Missing())}
	})
	<-over
}

// halt ends the sending. When it returns, sent is what was sent.
func (l *load) halt() {
	l.over.Store(true)
	for _, p := range l.peers {
		p.mu.Lock() // who was about to send has done so
		p.credits, p.due = 0, nil
		p.mu.Unlock()
	}
}

// settled is whether nothing is on its way any more.
func (l *load) settled() bool { return l.unanswered() == 0 && l.ledger.Missing() == 0 }

// unanswered is how many messages were sent and neither confirmed nor refused.
func (l *load) unanswered() uint64 {
	if !l.v1 {
		return 0
	}
	return l.sent.Load() - l.confirmed.Load() - l.refused.Load()
}

// verdict is what the check has found.
func (l *load) verdict() Check {
	found := l.ledger.Verdict()
	found.Unanswered = l.unanswered()
	if found.Unanswered > 0 {
		found.Examples = append(found.Examples, fmt.Sprintf("%d messages were neither confirmed nor refused within %s", found.Unanswered, l.config.Settle))
	}
	return found
}

// result is what happened between two marks.
func (l *load) result(before, from, to mark, connecting time.Duration) *Result {
	wall := to.at.Sub(from.at)
	r := &Result{
		Workload: l.config.Workload, Protocol: l.config.Protocol, URL: l.config.URL,
		Users: l.config.Users, Window: l.config.Window, Size: l.config.Size, Rate: l.config.Rate,
		Seconds: wall.Seconds(), Connections: len(l.peers), ConnectionsPerSecond: float64(len(l.peers)) / connecting.Seconds(),
		Messages: to.received - from.received, Confirmed: to.confirmed - from.confirmed,
		MessagesPerSecond:  float64(to.received-from.received) / wall.Seconds(),
		ConfirmedPerSecond: float64(to.confirmed-from.confirmed) / wall.Seconds(),
		SendToSent:         l.toSent.Latency(), SendToReceive: l.toReceive.Latency(),
		BytesSent: to.out - from.out, BytesReceived: to.in - from.in,
		OwnCores: (to.own - from.own).Seconds() / wall.Seconds(),
		Skipped:  l.skipped.Load(),
	}
	if l.config.PID != 0 {
		r.Service = serviceUse(before, from, to, len(l.peers))
	}
	r.note(saturation(to.own-from.own, wall))
	if idle, ok := idleTime(); ok && r.Workload != Idle && (to.idle-from.idle) < wall/50 && idle > 0 {
		r.note("this machine's processors had nothing left: what is measured is the machine, load generator and all")
	}
	if r.Skipped > 0 {
		r.note(fmt.Sprintf("the service did not keep up with --rate %d: %d messages were too late to be sent at all", l.config.Rate, r.Skipped))
	}
	return r
}

// perMessage is the service's processor time for each message since from, in microseconds; 0 if none
// came.
func (m *mark) perMessage(from *mark) float64 {
	n := m.received - from.received
	if n == 0 {
		return 0
	}
	return float64((m.service.processor - from.service.processor).Microseconds()) / float64(n)
}

// serviceUse is what the run cost the service's process.
func serviceUse(before, from, to mark, connections int) *ServiceUse {
	use := &ServiceUse{
		ResidentBytes: to.service.resident,
		Cores:         (to.service.processor - from.service.processor).Seconds() / to.at.Sub(from.at).Seconds(),
	}
	use.BytesPerConnection = float64(to.service.resident-before.service.resident) / float64(connections)
	use.MicrosecondsPerMessage = to.perMessage(&from)
	return use
}
