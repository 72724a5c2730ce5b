package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"callboard/actors"
	"callboard/actors/inbox/pebble"
	"callboard/cmd/callboard/config"
	"callboard/transport"
)

// reloader has the configuration that is in force, and puts another in its place.
type reloader struct {
	from   config.Sources
	loaded atomic.Pointer[config.Loaded]
	level  *slog.LevelVar
	log    *slog.Logger
	audit  *slog.Logger // of operators' calls, whatever the level is

	// Of parts that are given before the first reload, and in the order in which they take it.
	prepares []func(*config.Config) (commit func(), err error)
	parts    []func(*config.Config) error
}

func newReloader(from config.Sources, loaded *config.Loaded) *reloader {
	r := &reloader{from: from, level: new(slog.LevelVar)}
	r.loaded.Store(loaded)
	r.level.Set(levelOf(loaded))
	r.log = newLogger(r.level, loaded.Config.Log.Format)
	r.audit = newLogger(slog.LevelInfo, loaded.Config.Log.Format)
	return r
}

// part is told of every configuration to come. What the bounds of the settings allow it takes.
func (r *reloader) part(take func(*config.Config) error) { r.parts = append(r.parts, take) }

// prepared is a part that can refuse: nothing changes anywhere unless all that prepare can commit.
func (r *reloader) prepared(prepare func(*config.Config) (commit func(), err error)) {
	r.prepares = append(r.prepares, prepare)
}

// reloads tells the parts that every service has.
func (r *reloader) reloads(system *actors.System, server *transport.Server, inboxes store) {
	r.part(func(c *config.Config) error {
		return server.Reload(liveOf(c))
	})
	r.part(func(c *config.Config) error {
		return system.Reload(limitsOf(c))
	})
	r.part(func(c *config.Config) error { return system.Tune(intensityOf(c)) })
	r.part(func(c *config.Config) error { return system.Supervise(supervisionOf(c)) })
	if keeping, ok := inboxes.(*pebble.Store); ok {
		r.part(func(c *config.Config) error {
			return keeping.Retain(pebble.Retention{Age: c.Retention.Age, Entries: c.Retention.Entries})
		})
	}
}

// reload reads the configuration again, and says key by key what became of it. One with a fault
// changes nothing. One goroutine calls it.
func (r *reloader) reload() {
	changes, err := r.replace()
	if err != nil {
		faults, ok := errors.AsType[config.FaultError](err)
		for _, fault := range faults {
			r.log.Error("configuration not reloaded", slog.String("fault", fault.String()))
		}
		if !ok {
			r.log.Error("configuration not reloaded", slog.Any("error", err))
		}
		return
	}
	// What became of it is said at the old level or at the new one, whichever says more.
	level := levelOf(r.loaded.Load())
	r.level.Set(min(r.level.Level(), level))
	defer r.level.Set(level)
	restarts := 0
	for _, change := range changes {
		if change.Taken {
			r.log.Info("configuration changed", slog.String("key", change.Key),
				slog.String("old", change.Old), slog.String("new", change.New))
			continue
		}
		restarts++
		r.log.Warn("configuration needs a restart", slog.String("key", change.Key),
			slog.String("running", change.Old), slog.String("configured", change.New))
	}
	r.log.Info("configuration reloaded", slog.String("file", r.from.File),
		slog.Int("changed", len(changes)-restarts), slog.Int("need_restart", restarts))
}

func (r *reloader) replace() ([]config.Change, error) {
	next, err := config.Load(r.from)
	if err != nil {
		return nil, err
	}
	effective, changes, err := r.loaded.Load().Changed(next)
	if err != nil {
		return nil, err
	}
	commits := make([]func(), 0, len(r.prepares))
	for _, prepare := range r.prepares {
		commit, err := prepare(&effective.Config)
		if err != nil {
			return nil, err
		}
		commits = append(commits, commit)
	}
	for _, commit := range commits {
		commit()
	}
	for _, take := range r.parts {
		err = errors.Join(err, take(&effective.Config))
	}
	r.loaded.Store(effective)
	if err != nil { // the settings allow more than a part does: a fault of the program
		return nil, fmt.Errorf("only in part: %w", err)
	}
	return changes, nil
}

func levelOf(loaded *config.Loaded) (level slog.Level) {
	_ = level.UnmarshalText([]byte(loaded.Config.Log.Level)) // the configuration has checked it
	return level
}

// hangups are the SIGHUPs that the process gets.
type hangups struct{ signals chan os.Signal }

// catchHangups keeps SIGHUP from ending the process.
func catchHangups() *hangups {
	h := &hangups{make(chan os.Signal, 1)} // one that waits stands for many
	signal.Notify(h.signals, syscall.SIGHUP)
	return h
}

// each calls do for each, one call at a time, until the function is called that it returns.
func (h *hangups) each(do func()) (end func()) {
	var done sync.WaitGroup
	quit := make(chan struct{})
	done.Go(func() {
		for {
			select {
			case <-quit:
				return
			case <-h.signals:
				do()
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

func (h *hangups) stop() { signal.Stop(h.signals) }
