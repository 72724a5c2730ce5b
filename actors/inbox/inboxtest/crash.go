package inboxtest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"callboard/actors/inbox"
)

// Disk is where a Store keeps its inboxes, with trouble to order. One goroutine uses it.
type Disk interface {
	Faults
	Power

	// Open opens a Store with what the disk has. The one before was closed.
	Open() (Store, error)
}

// Faults are the failures of a Disk.
type Faults interface {
	// Fail makes the disk fail from some moment soon on, now and then or for good. Work
	// ends that.
	Fail(rng *rand.Rand)
	Work()
}

// Power is the power of a Disk.
type Power interface {
	// Crash has the power go off at some moment soon. Crashed reports whether it did;
	// Restart brings up a disk with all that was synced, and some of what was not.
	Crash(rng *rand.Rand)
	Crashed() bool
	Restart(rng *rand.Rand)
}

// Store is one that can be closed, and checked.
type Store interface {
	inbox.Store
	Close() error

	// Check says what is wrong inside, or nothing.
	Check() error
}

var (
	oneSeed = flag.Int64("inboxtest.seed", -1, "run Crashes with this seed alone")
	seeds   = flag.Int("inboxtest.seeds", defaultSeeds(), "how many seeds Crashes runs; INBOXTEST_SEEDS is the default, or 1000")
)

func defaultSeeds() int {
	if n, err := strconv.Atoi(os.Getenv("INBOXTEST_SEEDS")); err == nil {
		return n
	}
	return 1000
}

// Crashes runs a Store on disks that crash and fail, one run for each seed. After each crash
// and each failure everything confirmed must be there, nothing else but the batch that was
// under way, that one as a whole or not at all, and it must stay so.
func Crashes(t *testing.T, disk func(t testing.TB) Disk) {
	t.Helper()
	if *oneSeed >= 0 {
		runSeed(t, disk(t), uint64(*oneSeed), true)
		return
	}
	const parts = 8 // to use all cores, and to be looked at one by one
	for part := range parts {
		t.Run(fmt.Sprint("part ", part), func(t *testing.T) {
			t.Parallel()
			for seed := part; seed < *seeds && !t.Failed(); seed += parts {
				runSeed(t, disk(t), uint64(seed), false)
			}
		})
	}
}

func runSeed(t *testing.T, disk Disk, seed uint64, loud bool) {
	t.Helper()
	r := &run{disk: disk, rng: rand.New(rand.NewPCG(seed, 0)), certain: model{}}
	if loud {
		r.log = t.Logf
	}
	if err := r.run(); err != nil {
		t.Errorf("seed %d: %v\nreplay it with -run '^%s$' -inboxtest.seed %d -v", seed, err, root(t.Name()), seed)
	}
}

// root is the name of the test without those of its parts.
func root(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}

// run is one seed's.
type run struct {
	disk  Disk
	store Store
	rng   *rand.Rand
	log   func(format string, args ...any)

	certain model  // what was confirmed
	epoch   uint32 // what the store had when it was new
}

// commitsPerRun is short, since what goes wrong goes wrong early or needs a full disk.
const commitsPerRun = 20

func (r *run) run() (err error) {
	if r.store, err = r.disk.Open(); err != nil {
		return fmt.Errorf("opening a new store: %w", err)
	}
	state, err := r.store.Open(users[0])
	if err != nil || state.Epoch == 0 {
		return fmt.Errorf("a new store has the epoch %d: %w", state.Epoch, err)
	}
	r.epoch = state.Epoch
	defer func() {
		r.disk.Work()
		if r.store != nil {
			_ = r.store.Close() // after a failure it may say so
		}
	}()
	for range commitsPerRun {
		switch r.rng.IntN(10) {
		case 0:
			r.note("the power will go off")
			r.disk.Crash(r.rng)
		case 1:
			r.note("the disk will fail")
			r.disk.Fail(r.rng)
		}
		longest := 40
		if r.rng.IntN(4) == 0 {
			longest = 20_000 // so that logs end and tables are written
		}
		if err := r.commit(randomBatch(seeded{r.rng}, r.certain, longest)); err != nil {
			return err
		}
		if r.rng.IntN(3) == 0 {
			if err := r.block(); err != nil {
				return err
			}
		}
		if r.rng.IntN(3) == 0 {
			if err := r.setAside(); err != nil {
				return err
			}
		}
	}
	return r.reopen()
}

func (r *run) note(format string, args ...any) {
	if r.log != nil {
		r.log(format, args...)
	}
}

// commit commits a batch and finds out what became of it.
func (r *run) commit(batch *inbox.Batch) error {
	after := r.certain.clone()
	after.apply(batch)
	err := r.store.Commit(batch)
	r.note("commit of %d appends, %d moves, %d trims: %v", len(batch.Appends), len(batch.Moves), len(batch.Trims), err)
	return r.became(after, err)
}

// block blocks a user, or unblocks two, if the Store is a Blocklist.
func (r *run) block() error {
	list, ok := r.store.(inbox.Blocklist)
	if !ok {
		return nil
	}
	after := r.certain.clone()
	user, other := users[r.rng.IntN(len(users))], users[r.rng.IntN(len(users))]
	var err error
	if r.rng.IntN(3) == 0 {
		after.box(user).block, after.box(other).block = nil, nil
		err = list.Unblock(user, other)
	} else {
		block := &inbox.Block{User: user, Reason: "because", By: "otto", At: r.rng.Int64N(1000), Until: r.rng.Int64N(2000)}
		after.box(user).block = block
		err = list.Block(block)
	}
	r.note("change of blocks: %v", err)
	return r.became(after, err)
}

// setAside keeps a letter and drops another, or drops two, if the Store is Deadletters.
func (r *run) setAside() error {
	dead, ok := r.store.(inbox.Deadletters)
	if !ok {
		return nil
	}
	after := r.certain.clone()
	one, other := uint64(1+r.rng.IntN(5)), uint64(1+r.rng.IntN(5))
	after.letters(func(letters map[uint64]inbox.Deadletter) {
		delete(letters, one)
		delete(letters, other)
	})
	var err error
	if r.rng.IntN(3) == 0 {
		err = dead.Drop(one, other)
	} else if one != other {
		letter := inbox.Deadletter{
			Number: one, At: r.rng.Int64N(1000), Sender: users[0], Receiver: users[1], ID: "id", Crashes: 2,
			Content: strings.Repeat("x", r.rng.IntN(3000)), Reason: "because", Stack: "there",
		}
		after.letters(func(letters map[uint64]inbox.Deadletter) { letters[one] = letter })
		err = dead.SetAside(&letter, other)
	} else {
		return nil
	}
	r.note("change of what is set aside: %v", err)
	return r.became(after, err)
}

// became finds out what became of a change that returned an error or not.
func (r *run) became(after model, err error) error {
	switch {
	case r.disk.Crashed():
		return r.restart(after)
	case err != nil:
		return r.mend(after)
	}
	r.certain = after
	return nil
}

// restart goes on after a power loss, in the middle of a commit.
func (r *run) restart(after model) error {
	_ = r.store.Close() // it writes to a disk that nobody will read
	r.store = nil
	r.disk.Restart(r.rng)
	store, err := r.disk.Open()
	if err != nil {
		return fmt.Errorf("opening the store after a power loss: %w", err)
	}
	r.store = store
	if err := r.settle([]model{r.certain, after}); err != nil {
		return fmt.Errorf("after a power loss: %w", err)
	}
	return r.reopen()
}

// mend goes on after a commit that failed: the disk works again after a while.
func (r *run) mend(after model) error {
	if r.rng.IntN(2) == 0 {
		// What was not in the batch can be read, or says that it cannot; what was in it
		// must not be told one way and turn out another.
		if text, err := textOf(r.store, users); err == nil {
			if err := r.either(text, []model{r.certain, after}); err != nil {
				return fmt.Errorf("while the disk fails: %w", err)
			}
			after = r.certain
		}
		if err := r.store.Commit(&inbox.Batch{}); err == nil {
			r.note("the disk works again by itself")
			return r.mended(after)
		}
	}
	r.disk.Work()
	if err := r.store.Commit(&inbox.Batch{}); err != nil && !r.disk.Crashed() {
		return fmt.Errorf("the disk works again, and the store does not: %w", err)
	}
	return r.mended(after)
}

func (r *run) mended(after model) error {
	if r.disk.Crashed() {
		return r.restart(after)
	}
	if err := r.settle([]model{r.certain, after}); err != nil {
		return fmt.Errorf("after a failure of the disk: %w", err)
	}
	return nil
}

// reopen checks that what is there stays there.
func (r *run) reopen() error {
	r.disk.Work()
	err := r.store.Close()
	r.note("closed: %v", err)
	r.store = nil
	states := []model{r.certain}
	if r.disk.Crashed() {
		r.disk.Restart(r.rng)
	}
	store, err := r.disk.Open()
	if err != nil {
		return fmt.Errorf("opening the store again: %w", err)
	}
	r.store = store
	if err := r.settle(states); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	return nil
}

// settle finds out which of some states the Store is in.
func (r *run) settle(states []model) error {
	text, err := textOf(r.store, users)
	if err == nil {
		err = r.either(text, states)
	}
	if err == nil {
		err = r.sameEpoch()
	}
	if err == nil {
		err = r.store.Check()
	}
	return err
}

// sameEpoch checks that numbers mean what they have always meant.
func (r *run) sameEpoch() error {
	state, err := r.store.Open(users[0])
	if err == nil && state.Epoch != r.epoch {
		err = fmt.Errorf("the epoch is %d, and was %d", state.Epoch, r.epoch)
	}
	return err
}

func (r *run) either(text string, states []model) error {
	var wanted []string
	for i, s := range slices.Backward(states) {
		want := s.text(users)
		if want == text {
			r.note("state %d of %d", i+1, len(states))
			r.certain = s
			return nil
		}
		wanted = append(wanted, want)
	}
	return fmt.Errorf("the store has\n%swant\n%s", text, strings.Join(wanted, "or\n"))
}
