package bench

import "sync/atomic"

// A Fate is what became of handshakes that were to come to nothing. A handshake has one of the last five.
type Fate struct {
	Attempts int64 `json:"attempts"`
	Answered int64 `json:"answered"` // refused with an HTTP status
	LetIn    int64 `json:"let_in"`   // upgraded, though it should not have been
	Cut      int64 `json:"cut"`      // by the service, without an HTTP status
	Kept     int64 `json:"kept"`     // still open when the storm was over, or after 30 s
	Failed   int64 `json:"failed"`   // could not be made
}

// fate counts while the storm goes on.
type fate struct{ made, answered, letIn, cut, kept, failed atomic.Int64 }

func (f *fate) now() Fate {
	return Fate{f.made.Load(), f.answered.Load(), f.letIn.Load(), f.cut.Load(), f.kept.Load(), f.failed.Load()}
}

func (f Fate) plus(o Fate) Fate {
	return Fate{f.Attempts + o.Attempts, f.Answered + o.Answered, f.LetIn + o.LetIn, f.Cut + o.Cut, f.Kept + o.Kept, f.Failed + o.Failed}
}

func (f Fate) minus(o Fate) Fate {
	return Fate{f.Attempts - o.Attempts, f.Answered - o.Answered, f.LetIn - o.LetIn, f.Cut - o.Cut, f.Kept - o.Kept, f.Failed - o.Failed}
}

// fatesNow are those of each kind up to now.
func (s *storm) fatesNow() map[Attack]Fate {
	all := make(map[Attack]Fate, len(s.fates))
	for kind, f := range s.fates {
		all[kind] = f.now()
	}
	return all
}
