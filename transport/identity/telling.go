package identity

import (
	"context"
	"log/slog"
	"time"
)

// tellAgain is the time up to the next attempt to tell of a set of revoked ids.
const tellAgain = time.Second

// telling is what watch has told of the revoked ids. Between two attempts watch goes on reading the
// files, so that the set that is told of at last is the newest.
type telling struct {
	tell   func(*Revoked) error
	log    *slog.Logger
	told   *Revoked
	tried  *Revoked // in the last attempt
	next   time.Time
	failed bool // the last attempt; only the first failure is said
}

// of tells of a set unless it has been told of. retry is when to come again; nil: there is no need to.
func (t *telling) of(ctx context.Context, revoked *Revoked) (retry <-chan time.Time) {
	if revoked == t.told {
		return nil
	}
	if wait := time.Until(t.next); revoked == t.tried && wait > 0 {
		return time.After(wait)
	}
	t.tried = revoked
	err := t.tell(revoked)
	if err == nil {
		t.told, t.failed = revoked, false
		return nil
	}
	if !t.failed && ctx.Err() == nil {
		t.log.Error("sessions of revoked tokens not closed yet: it is tried again each second", slog.Any("error", err))
	}
	t.failed, t.next = true, time.Now().Add(tellAgain)
	return time.After(tellAgain)
}
