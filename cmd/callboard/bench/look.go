package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// LookConfig says what Looking does.
type LookConfig struct {
	Config               // Of the load: pairs that send to and fro as fast as the window allows.
	Idle   int           // Further users, who are connected and do nothing.
	Rounds int           // How often it is the turn of each.
	Every  time.Duration // How often somebody looks.
	Looks  []Look        // What is done, by turns.
}

// MaxRounds is the most rounds of a LookConfig.
const MaxRounds = 1000

// A Look is something that an operator, or a machine of an operator, does every now and then.
type Look struct {
	Name string
	// Do does it once, and notes how long each call took, under its name. Users are some
	// of those who are connected.
	Do func(ctx context.Context, users []string, note func(call string, took time.Duration)) error
}

func (c *LookConfig) validate() error {
	if err := c.Config.validate(); err != nil {
		return err
	}
	switch {
	case c.Idle < 0 || c.Idle > MaxUsers:
		return fmt.Errorf("--idle is %d: give 0 to %d", c.Idle, MaxUsers)
	case c.Rounds < 1 || c.Rounds > MaxRounds:
		return fmt.Errorf("--rounds is %d: give 1 to %d", c.Rounds, MaxRounds)
	case c.Every < time.Millisecond:
		return fmt.Errorf("--every is %s: give a time above zero, like 1s", c.Every)
	}
	return nil
}

// Looking loads a running service and looks at it by turns, and says what the looks take and
// what they cost its users. Each turn is compared with the mean of the two beside it in which nobody
// looks, for a machine is not as fast in one minute as in the next.
func Looking(ctx context.Context, config LookConfig) (*LookResult, error) {
	config.Workload, config.Rate, config.Check = Relay, 0, false
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	if err := needFiles(config.Users + config.Idle); err != nil {
		return nil, err
	}
	resting := config.Config
	resting.Workload, resting.Users = Idle, config.Idle
	source, err := newSource(config.URL, config.Users+config.Idle)
	if err != nil {
		return nil, err
	}
	l := &looker{load: newLoad(config.Config, source), idle: newLoad(resting, source), config: config, calls: map[string]*Histogram{}}
	defer l.hangUp()
	defer l.idle.hangUp()
	result, err := l.all(ctx)
	if err != nil {
		return nil, err
	}
	return result, errors.Join(l.cutOff(), l.idle.cutOff())
}

// A looker is a run of Looking.
type looker struct {
	*load // of those who send
	idle  *load

	config LookConfig

	mu    sync.Mutex // it guards what follows
	calls map[string]*Histogram
	fails error // of the first look that failed
}

func (l *looker) all(ctx context.Context) (*LookResult, error) {
	stop := make(chan struct{})
	defer close(stop) // the writers end; hangUp waits for them
	if _, err := l.idle.connect(ctx, stop); err != nil {
		return nil, err
	}
	if _, err := l.connect(ctx, stop); err != nil {
		return nil, err
	}
	defer l.start(ctx)()
	if err := l.pass(ctx, "warming up", l.config.Warmup); err != nil {
		return nil, err
	}
	r := &LookResult{Protocol: l.config.Protocol, Users: l.config.Users, Idle: l.config.Idle, Window: l.config.Window, Size: l.config.Size, Every: l.config.Every.Seconds()}
	var turns []turn
	for range l.config.Rounds {
		for i := range l.config.Looks {
			for _, look := range []*Look{nil, &l.config.Looks[i]} {
				t, err := l.turn(ctx, look)
				if err != nil {
					return nil, err
				}
				turns = append(turns, t)
			}
		}
	}
	last, err := l.turn(ctx, nil)
	if err != nil {
		return nil, err
	}
	r.sum(append(turns, last), l.config.Looks)
	for call, h := range l.calls {
		r.Calls = append(r.Calls, Call{call, h.Latency()})
	}
	slices.SortFunc(r.Calls, func(a, b Call) int { return cmp.Compare(a.Name, b.Name) })
	l.halt()
	_, r.Errors = l.outcome()
	return r, nil
}

// A turn is what happened while somebody looked, or nobody.
type turn struct {
	look      *Look // nil: nobody
	rate      float64
	processor float64 // of the service for a message, in microseconds; 0: not known
}

// turn has somebody look for a while. A look that has begun by the end is finished before the next turn, and its calls
// count: a service that takes its time is not spared.
func (l *looker) turn(ctx context.Context, look *Look) (turn, error) {
	name := "nobody looks"
	if look != nil {
		name = look.Name
	}
	over := make(chan struct{})
	var looking sync.WaitGroup
	from := l.mark()
	if look != nil {
		looking.Go(func() { l.look(ctx, over, look) })
	}
	err := l.pass(ctx, name, l.config.Duration)
	to := l.mark()
	close(over)
	looking.Wait()
	if err := errors.Join(err, l.fails); err != nil {
		return turn{}, err
	}
	return turn{
		look: look, rate: float64(to.received-from.received) / to.at.Sub(from.at).Seconds(), processor: to.perMessage(&from),
	}, nil
}

// look looks again and again until it is over or the context is done.
func (l *looker) look(ctx context.Context, over <-chan struct{}, look *Look) {
	ticker := time.NewTicker(l.config.Every)
	defer ticker.Stop()
	users := slices.Concat(l.users, l.idle.users)
	for {
		if err := look.Do(ctx, users, l.note); err != nil && ctx.Err() == nil {
			l.fails = fmt.Errorf("%s: %w", look.Name, err)
			return
		}
		select {
		case <-over: // whatever the ticker says: looks may be slower than it
			return
		default:
		}
		select {
		case <-ticker.C:
		case <-over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// note notes how long a call took.
func (l *looker) note(call string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls[call] == nil {
		l.calls[call] = &Histogram{}
	}
	l.calls[call].Record(took)
}
