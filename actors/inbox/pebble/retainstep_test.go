package pebble

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors/inbox"
	"callboard/protocol"
)

// Commits wait while retention takes a step, so a step is bounded by what it costs: by
// entries where they are small, and by bytes where they are large.
func TestRetentionTakesLittleAtATime(t *testing.T) {
	for name, c := range map[string]struct{ entries, size, most int }{
		"small ones":       {2500, 10, retainStep},
		"large ones":       {100, 60_000, retainBytes / 60_000},
		"larger than both": {3, retainBytes + 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open("data", Config{FS: vfs.NewMem(), RetentionAge: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			content, sum := strings.Repeat("x", c.size), uint64(0)
			var batch inbox.Batch
			for seq := range uint64(c.entries) {
				m := &protocol.Receive{Seq: seq + 1, Sender: "alice", Receiver: "bob", Content: content}
				sum += inbox.Size(m)
				batch.Appends = append(batch.Appends, inbox.Append{User: "bob", Entry: inbox.Entry{Message: m, Sum: sum}})
			}
			if err := s.Commit(&batch); err != nil {
				t.Fatal(err)
			}
			var took taken
			for more := true; more; {
				before := took.entries
				s.background(func() (err error) {
					more, err = s.retainSome("bob", 1, &took)
					return err
				})
				if step := took.entries - before; step == 0 || step > uint64(c.most) {
					t.Fatalf("a step took %d entries, and may take %d", step, c.most)
				}
			}
			if state, err := s.Open("bob"); err != nil || took.entries != uint64(c.entries) || state.Floor != state.Head {
				t.Errorf("%d were taken of %+v, %v", took.entries, state, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
