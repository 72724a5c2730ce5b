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

func (v *Verifier) stamps() (all stamps) {
	for n, issuer := range v.config.Issuers {
		all[n] = stampOf(issuer.KeyFile)
	}
	all[maxIssuers] = stampOf(v.config.RevokedFile)
	return all
}

// changed is whether a file is not what it was when it was last read.
func (v *Verifier) changed() bool {
	v.files.Lock()
	defer v.files.Unlock()
	return v.stamps() != v.seen
}

// watch reads the files again when one has changed, and tells of each set of revoked ids,
// the first included.
func (v *Verifier) watch(ctx context.Context, tell func(*Revoked)) {
	again := time.NewTicker(v.config.Poll)
	defer again.Stop()
	var told *Revoked
	for {
		if revoked := v.revoked.Load(); revoked != told {
			told = revoked
			tell(told)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		if !v.changed() {
			continue
		}
		if err := v.Reload(); err != nil {
			v.config.Log.Error("identity not read again: what was read before holds", slog.Any("error", err))
		} else {
			v.config.Log.Info("identity read again")
		}
	}
}
