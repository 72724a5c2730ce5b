package bench

import (
	"context"
	"fmt"
	"slices"
)

// HandshakesConfig says what Handshakes does: the load is that of Relay.
type HandshakesConfig struct {
	Config            // Workload is not used; Duration is that of each calm and each stormy time.
	Attempts int      // Handshakes that come to nothing, of all stormy times together.
	Rounds   int      // Times that are calm and then stormy.
	Kinds    []Attack // What they are like, in turns.
}

// Bounds of a HandshakesConfig.
const (
	MaxAttempts = 1_000_000
	MaxStorms   = 100
)

func (c *HandshakesConfig) validate() error {
	if err := c.Config.validate(); err != nil {
		return err
	}
	switch {
	case c.Attempts < 1 || c.Attempts > MaxAttempts:
		return fmt.Errorf("--attempts is %d: give 1 to %d", c.Attempts, MaxAttempts)
	case c.Rounds < 1 || c.Rounds > MaxStorms:
		return fmt.Errorf("--rounds is %d: give 1 to %d", c.Rounds, MaxStorms)
	case len(c.Kinds) == 0:
		return fmt.Errorf("--kinds is empty: give some of %v", Attacks)
	}
	for _, kind := range c.Kinds {
		if !slices.Contains(Attacks, kind) {
			return fmt.Errorf("--kinds has %q: give some of %v", kind, Attacks)
		}
	}
	return nil
}

// Handshakes drives the relay of a running service, calm and under a storm of handshakes that come to nothing by
// turns, and says what the relay notices of it.
func Handshakes(ctx context.Context, config HandshakesConfig) (*HandshakesResult, error) {
	config.Workload = Relay
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	if err := needFiles(config.Users + maxOpen); err != nil {
		return nil, err
	}
	load, err := openLoad(config.Config)
	if err != nil {
		return nil, err
	}
	defer load.hangUp()
	stop := make(chan struct{})
	defer close(stop) // the writers end; hangUp waits for them
	if _, err := load.connect(ctx, stop); err != nil {
		return nil, err
	}
	defer load.start(ctx)()
	if err := load.pass(ctx, "warming up", config.Warmup); err != nil {
		return nil, err
	}
	r := &HandshakesResult{Protocol: config.Protocol, Users: config.Users, Window: config.Window, Size: config.Size, Rate: config.Rate}
	s, err := newStorm(config.URL, config.Kinds)
	if err != nil {
		return nil, err
	}
	for round := range config.Rounds {
		calm, err := load.spell(ctx, "calm")
		if err != nil {
			return nil, err
		}
		from, own := s.fatesNow(), processorTime()
		end := s.rage(ctx, config.Attempts*(round+1)/config.Rounds-config.Attempts*round/config.Rounds, config.Duration)
		stormy, err := load.spell(ctx, "storm")
		end()
		if err != nil {
			return nil, err
		}
		r.add(calm, stormy, from, s.fatesNow(), processorTime()-own)
	}
	load.halt()
	if load.ledger != nil {
		load.settle(ctx)
	}
	r.conclude()
	r.Check, r.Errors = load.outcome()
	return r, load.cutOff()
}

// spell measures for a while.
func (l *load) spell(ctx context.Context, name string) (Spell, error) {
	h, before := l.enter(), l.mark()
	if err := l.pass(ctx, name, l.config.Duration); err != nil {
		return Spell{}, err
	}
	after := l.mark()
	l.enter()
	s := Spell{Seconds: after.at.Sub(before.at).Seconds(), Messages: after.received - before.received, SendToReceive: h.toReceive.Latency()}
	s.MessagesPerSecond = float64(s.Messages) / s.Seconds
	s.ServiceCores = (after.service.processor - before.service.processor).Seconds() / s.Seconds
	return s, nil
}
