package simulation

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"callboard/actors"
	"callboard/actors/inbox"
	"callboard/actors/inbox/pebble"
	"callboard/actors/inbox/pebble/disktest"
	"callboard/protocol"
)

// node is one life of the service: from its start to its stop, or to the end of the machine.
type node struct {
	run     *run
	mem     *vfs.MemFS
	files   *disktest.FS
	store   *pebble.Store
	brittle *brittle
	system  *actors.System

	dead    bool       // the machine has ended: nobody sees what the node does any more
	left    *vfs.MemFS // what is left of the disk then
	failing bool       // the disk was told to fail, and not yet to work
	failed  bool       // it was told to fail once
	ended   bool       // end was called
	drained time.Time  // when another life is to begin; zero: it is not being drained
}

// start begins a life on a disk, and compares what is there with what has to be.
func (r *run) start(mem *vfs.MemFS) {
	n := &node{run: r, mem: mem, files: disktest.New(mem)}
	config := pebble.Config{
		FS: n.files, MemTableBytes: 64 << 10, CacheBytes: 1 << 20, Log: r.slog,
		RetentionEntries: r.retention, RetentionInterval: 3011 * time.Millisecond,
	}
	var err error
	if n.store, err = pebble.Open("data", config); err != nil {
		r.mustNot("opening the store", err)
		return
	}
	r.mu.Lock()
	r.node = n
	r.mu.Unlock()
	r.audit()
	n.brittle = &brittle{Store: n.store, node: n}
	n.litter()
	c := r.config
	c.Store, c.Log = n.brittle, r.slog
	c.KeepShards = func(shards int) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !n.dead {
			r.config.Shards = shards // of the next life
		}
		return nil
	}
	n.system, err = actors.New(c.WithFaults(n.brittle.fault, func(actor string, message any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.breaks("%s does not handle %T", actor, message)
	}))
	r.mustNot("starting the actors", err)
}

// audit compares the inboxes on the disk with the ledger.
func (r *run) audit() {
	// The next commit finds out what became of a change that failed; there may have been none since.
	r.mustNot("committing nothing", r.node.store.Commit(&inbox.Batch{}))
	letters, err := r.node.store.Deadletters(0, 10_000)
	r.mustNot("reading what is set aside", err)
	r.auditBlocks()
	r.mu.Lock()
	r.ledger.auditAside(letters)
	r.mu.Unlock()
	for _, user := range r.users {
		state, err := r.node.store.Open(protocol.UserID(user))
		r.mustNot("opening an inbox", err)
		entries, err := r.node.store.Read(protocol.UserID(user), 0, 1<<20, 1<<30)
		r.mustNot("reading an inbox", err)
		r.mu.Lock()
		r.ledger.audit(user, state, entries)
		r.mu.Unlock()
	}
}

// powerLoss ends the machine: what was not synced stays with the given probability, block
// by block. With 100 it is the end of the process alone. Any goroutine may call it.
func (n *node) powerLoss(percent int) {
	r := n.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if n.dead {
		return
	}
	r.note("the machine ends, %d %% of what was not synced is left", percent)
	n.left = n.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(r.seed, uint64(percent)))})
	n.dead = true
}

// resurrect begins the next life if the machine has ended.
func (r *run) resurrect() {
	r.mu.Lock()
	n := r.node
	dead := n.dead && r.fault == ""
	r.mu.Unlock()
	if dead {
		n.end(false)
		r.troubled()
		r.start(n.left)
	}
}

// stopTimeout is how long an orderly stop may take, in virtual time.
const stopTimeout = time.Minute

// end stops what the node has. When all was well until then, it has to end well.
func (n *node) end(well bool) {
	r := n.run
	n.brittle.disarm()
	n.heal()
	r.mu.Lock()
	n.ended = true
	for _, c := range r.conns {
		if c.node == n && !well {
			c.gone(0)
		}
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := n.system.Stop(ctx)
	if err == nil {
		n.brittle.stopped.Store(true)
	}
	closing := n.store.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.breaks("the actors do not stop: %v", err)
	}
	if well && !n.dead && !n.failed { // a disk that has failed since the last commit is named in the end
		if closing != nil {
			r.breaks("the store does not close: %v", closing)
		}
		if open := n.files.OpenFiles(); open != 0 {
			r.breaks("%d files are left open", open)
		}
	}
	for _, c := range r.conns {
		if c.node == n && !c.closed && c.link != nil {
			r.breaks("%s: the socket is left open", c.name)
		}
	}
}

// restart stops the node in order and begins the next life on the same disk.
func (r *run) restart(drain time.Duration) {
	n := r.node
	quiet := r.quiet()
	note := func() {}
	if quiet {
		note = r.checkpoint()
	}
	if drain > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		_ = n.system.Drain(ctx, drain) // may take longer than that if the disk hangs; Stop has the last word
		cancel()
	}
	n.end(quiet)
	if n.dead {
		r.troubled()
		r.start(n.left)
		return
	}
	note()
	r.start(n.mem)
}

// fails has the disk fail.
func (n *node) fails(after, failures int, err error) {
	n.run.mu.Lock()
	n.failing, n.failed = true, true
	n.run.mu.Unlock()
	n.run.troubled()
	n.files.Fail(after, failures, err)
}

// heal ends all trouble with the disk.
func (n *node) heal() {
	n.files.Work()
	n.brittle.slow(0)
	n.run.mu.Lock()
	defer n.run.mu.Unlock()
	if n.failing {
		n.failing = false
		n.run.lastTrouble = time.Now()
	}
}
