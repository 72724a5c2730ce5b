package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ScaleConfig says what Scale does: the load is that of Relay, as fast as the window
// allows.
type ScaleConfig struct {
	Config       // Workload and Rate are not used; Duration is that of each steady time.
	Steps  []int // Numbers of shards, 2 to MaxSteps; the first one before anything is measured.
	Move   Mover // Changes the number.
}

// A Mover changes the number of shards of the service, and returns when that is done and
// how many users have moved.
type Mover func(ctx context.Context, shards int) (moved int, err error)

// MaxSteps is how many numbers of shards one run may have.
const MaxSteps = 32

func (c *ScaleConfig) validate() error {
	if err := c.Config.validate(); err != nil {
		return err
	}
	if len(c.Steps) < 2 || len(c.Steps) > MaxSteps {
		return fmt.Errorf("--steps has %d numbers: give 2 to %d, like 8,32,8,1", len(c.Steps), MaxSteps)
	}
	for i, n := range c.Steps {
		if i > 0 && n == c.Steps[i-1] {
			return fmt.Errorf("--steps has %d twice in a row: nobody would move", n)
		}
		if n < 1 {
			return fmt.Errorf("--steps has %d: give 1 or more", n)
		}
	}
	return nil
}

// A stage is a part of a run in which the service does one thing. A message counts for the
// latency of the stage in which it was due, whenever it arrives: what a move holds up is not
// hidden by its end.
type stage struct {
	from      time.Duration
	toReceive Histogram
}

// enter begins a stage, and with that ends the last one.
func (l *load) enter() *stage {
	var stages []*stage
	if before := l.stages.Load(); before != nil {
		stages = *before
	}
	next := &stage{from: l.now()}
	stages = append(slices.Clip(stages), next)
	l.stages.Store(&stages)
	return next
}

// took notes how long a message took that was due then.
func (l *load) took(due, now time.Duration) {
	if l.measuring.Load() {
		l.toReceive.Record(now - due)
	}
	stages := l.stages.Load()
	if stages == nil {
		return
	}
	for _, s := range slices.Backward(*stages) {
		if due >= s.from {
			s.toReceive.Record(now - due)
			return
		}
	}
}

// Scale changes the number of shards of a running service under load, and says what the
// users notice of it.
func Scale(ctx context.Context, config ScaleConfig) (*ScaleResult, error) {
	config.Workload, config.Rate = Relay, 0
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	load, err := openLoad(config.Config)
	if err != nil {
		return nil, err
	}
	s := &scaler{load, config}
	defer s.hangUp()
	result, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	return result, s.cutOff()
}

// A scaler is a run of Scale.
type scaler struct {
	*load
	config ScaleConfig
}

func (s *scaler) all(ctx context.Context) (*ScaleResult, error) {
	stop := make(chan struct{})
	defer close(stop) // the writers end; hangUp waits for them
	if _, err := s.config.Move(ctx, s.config.Steps[0]); err != nil {
		return nil, err
	}
	if _, err := s.connect(ctx, stop); err != nil {
		return nil, err
	}
	defer s.start(ctx)()
	if err := s.pass(ctx, "warming up", s.config.Warmup); err != nil {
		return nil, err
	}
	r := &ScaleResult{Protocol: s.config.Protocol, Users: s.config.Users, Window: s.config.Window, Size: s.config.Size}
	own, began := processorTime(), time.Now()
	histograms, err := s.stagesOf(ctx, r)
	if err != nil {
		return nil, err
	}
	r.note(saturation(processorTime()-own, time.Since(began)))
	s.halt()
	s.settleStages(ctx)
	for i, h := range histograms {
		r.Stages[i].SendToReceive = h.Latency()
	}
	r.compare()
	r.Check, r.Errors = s.outcome()
	return r, nil
}

// settleStages lets the messages arrive that are on their way, for their times count.
func (s *scaler) settleStages(ctx context.Context) {
	if s.ledger != nil {
		s.settle(ctx)
		return
	}
	_ = sleep(ctx, min(s.config.Settle, time.Second)) // the caller finds out
}

// stagesOf goes through all steps. What it returns is filled until everything has arrived.
func (s *scaler) stagesOf(ctx context.Context, r *ScaleResult) (histograms []*Histogram, err error) {
	measured := func(st Stage, do func() error) error {
		h, before := s.enter(), s.mark()
		if err := do(); err != nil {
			return err
		}
		after := s.mark()
		st.Seconds = after.at.Sub(before.at).Seconds()
		st.Messages = after.received - before.received
		st.MessagesPerSecond = float64(st.Messages) / st.Seconds
		r.Stages = append(r.Stages, st)
		histograms = append(histograms, &h.toReceive)
		return nil
	}
	for i, n := range s.config.Steps {
		if i > 0 {
			last := s.config.Steps[i-1]
			moved := 0
			if err := measured(Stage{From: last, To: n}, func() (err error) {
				moved, err = s.move(ctx, n)
				return err
			}); err != nil {
				return nil, err
			}
			r.Stages[len(r.Stages)-1].Moved = moved
		}
		if err := measured(Stage{From: n, To: n}, func() error {
			return s.pass(ctx, fmt.Sprintf("%d shards", n), s.config.Duration)
		}); err != nil {
			return nil, err
		}
	}
	s.enter() // what is due from here on counts for nothing
	return histograms, nil
}

// moveTimeout bounds how long one change of the number may take.
const moveTimeout = time.Minute

// move changes the number of shards.
func (s *scaler) move(ctx context.Context, shards int) (int, error) {
	limit, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	moved, err := s.config.Move(limit, shards)
	if err != nil && errors.Is(limit.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("there were not %d shards within %s: %w", shards, moveTimeout, err)
	}
	return moved, err
}
