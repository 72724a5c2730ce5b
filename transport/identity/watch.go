package identity

import (
	"context"
	"log/slog"
	"os"
	"time"
)

// stamp tells one state of a file from another.
type stamp struct {
	at   time.Time
	size int64
}

// stamps are those of the issuers' files, and of the revoked ids' file at the end.
type stamps [maxIssuers + 1]stamp

func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if name == "" || err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

func (c Config) stamps() (all stamps) {
	for n := range c.Issuers {
		all[n] = stampOf(c.Issuers[n].KeyFile)
	}
	all[maxIssuers] = stampOf(c.RevokedFile)
	return all
}

// changed is the configuration whose files are not what they were when they were last read. The
// next call takes them for read, whatever comes of that: a file with a fault is complained of once.
func (v *Verifier) changed() (source Config, yes bool) {
	v.files.Lock()
	defer v.files.Unlock()
	now := v.source.stamps()
	yes = now != v.seen
	v.seen = now
	return v.source, yes
}

// watch reads the files again when one has changed, and tells of each set of revoked ids,
// the first included.
func (v *Verifier) watch(ctx context.Context, tell func(*Revoked) error) {
	again := time.NewTicker(v.config.Poll)
	defer again.Stop()
	told := telling{tell: tell, log: v.config.Log}
	for {
		retry := told.of(ctx, v.revoked.Load())
		select {
		case <-v.renewed:
			continue
		case <-retry:
			continue
		case <-again.C:
		case <-ctx.Done():
			return
		}
		source, changed := v.changed()
		if !changed {
			continue
		}
		if commit, err := v.Prepare(source); err != nil {
			v.config.Log.Error("identity not read again: what was read before holds", slog.Any("error", err))
		} else {
			commit()
			v.config.Log.Info("identity read again")
		}
	}
}
