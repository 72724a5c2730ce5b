package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"callboard/protocol"
)

// ChaosConfig says what Chaos does.
type ChaosConfig struct {
	Program string   // The callboard binary that is started and killed.
	Args    []string // Further flags of serve.
	Rounds  int      // How often it is killed under load.
	Users   int      // Each sends, and each is sent to.
	Devices int      // Of each user, besides the one that sends.
	Window  int      // Messages of a sender that are not confirmed yet.
	Rate    int      // Messages each second, of all users together.
	Seed    uint64   // Of all that is decided by chance; 0: another each time. The same seed does not give the same run: the processes have their own time.
	Settle  time.Duration

	Progress func(Progress)
}

// maxChaosDevices leaves room for the sending one, and for the service's limit.
const maxChaosDevices = protocol.MaxDevices - 1

func (c *ChaosConfig) validate() error {
	switch {
	case c.Rounds < 1 || c.Rounds > 100_000:
		return fmt.Errorf("--rounds is %d: give 1 to 100000", c.Rounds)
	case c.Users < 2 || c.Users > 1000:
		return fmt.Errorf("--users is %d: give 2 to 1000", c.Users)
	case c.Devices < 1 || c.Devices > maxChaosDevices:
		return fmt.Errorf("--devices is %d: give 1 to %d", c.Devices, maxChaosDevices)
	case c.Window < 1 || c.Window > MaxWindow:
		return fmt.Errorf("--window is %d: give 1 to %d", c.Window, MaxWindow)
	case c.Rate < 1 || c.Rate > 100_000:
		return fmt.Errorf("--rate is %d: give 1 to 100000 messages each second", c.Rate)
	case c.Settle <= 0:
		return fmt.Errorf("--settle is %s: give a time above zero, like 60s", c.Settle)
	}
	return nil
}

const (
	// leastOfARound is how many messages are confirmed at least between two kills, so
	// that each kill comes under load.
	leastOfARound = 20

	// roundTimeout is how long that may take.
	roundTimeout = 20 * time.Second

	// longestRound is how long the service runs under load at most, behind that.
	longestRound = 1200 * time.Millisecond
)

// A chaos is one run.
type chaos struct {
	config    ChaosConfig
	service   *service
	chronicle *Chronicle
	users     []protocol.UserID
	index     map[protocol.UserID]int
	run       string
	ropes     []*rope

	kills  atomic.Uint64 // how many have begun, and how many are over
	quiet  atomic.Bool   // nobody writes anything new, and no device restarts
	tally  tally
	mu     sync.Mutex // it guards what follows
	errors map[string]uint64
}

// tally is how often something was done.
type tally struct {
	restarts  atomic.Uint64 // of clients
	resent    atomic.Uint64 // messages, under the same id
	cuts      atomic.Uint64
	stalls    atomic.Uint64
	abandoned atomic.Uint64 // sends whose context ended
	conflicts atomic.Uint64 // refused, as they should be
	unsure    atomic.Uint64 // restarts of devices whose last ACKs may not have been kept
}

// Chaos starts a service and kills it under load, again and again, and compares what
// was confirmed with what every device has seen. The error says that there is no
// result; whether it is as it should be is Failure's to say.
//
// What each device is held to follows actors/DESIGN.md: one that tells the service
// its cursor, and one that lives through the kills with the SDK, sees every message
// just once. One that starts again with nothing but the service's record of its cursor
// may see messages again if the service was killed since it said so, for cursors are
// not synced; otherwise not.
func Chaos(ctx context.Context, config ChaosConfig) (*ChaosResult, error) {
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	if config.Seed == 0 {
		config.Seed = rand.Uint64()
	}
	if err := needFiles(config.Users * (config.Devices + 1)); err != nil {
		return nil, err
	}
	service, err := newService(config.Program, append([]string{"--drain", "2s"}, config.Args...)...)
	if err != nil {
		return nil, err
	}
	defer service.end()
	c := &chaos{
		config: config, service: service, chronicle: NewChronicle(config.Users), run: newRun(),
		index: map[protocol.UserID]int{}, errors: map[string]uint64{},
	}
	first := firstUser()
	for i := range config.Users {
		id := protocol.UserID(strconv.FormatUint(first+uint64(i), 10))
		c.users = append(c.users, id)
		c.index[id] = i
	}
	result, err := c.all(ctx)
	if err == nil && result.Failure() == nil {
		return result, service.remove()
	}
	if err != nil {
		return nil, fmt.Errorf("seed %d: %w; its data and log are in %s", config.Seed, err, service.folder)
	}
	result.Folder = service.folder
	return result, nil
}

// random is a source of chance for one goroutine, by its number.
func (c *chaos) random(number int) *rand.Rand {
	return rand.New(rand.NewPCG(c.config.Seed, uint64(number)))
}

// all is the run from the first start of the service to its end in order.
func (c *chaos) all(ctx context.Context) (*ChaosResult, error) {
	began := time.Now()
	result := &ChaosResult{Seed: c.config.Seed, Users: c.config.Users, Devices: c.config.Devices}
	if err := c.start(ctx, result); err != nil {
		return nil, err
	}
	clients, stop := context.WithCancel(ctx)
	defer stop()
	var authors, others sync.WaitGroup
	defer others.Wait()
	defer authors.Wait()
	defer stop()
	for i := range c.users {
		a := newAuthor(c, i)
		authors.Go(func() { a.write(clients) })
		for n := range c.config.Devices {
			r := newReader(c, i, n)
			others.Go(func() { r.read(clients) })
		}
	}
	others.Go(func() { c.disturb(clients) })

	if err := c.rounds(ctx, result); err != nil {
		return nil, err
	}
	c.quiet.Store(true)
	c.settle(ctx)
	devices, unconfirmed := c.chronicle.Lagging()
	stop()
	authors.Wait()
	others.Wait()
	if err := c.service.stop(); err != nil {
		return nil, err
	}
	result.Seconds = time.Since(began).Seconds()
	result.Lagging, result.Unconfirmed = devices, unconfirmed
	c.sum(result)
	return result, ctx.Err()
}

// start starts the service and waits until it is ready.
func (c *chaos) start(ctx context.Context, result *ChaosResult) error {
	began := time.Now()
	if err := c.service.start(); err != nil {
		return err
	}
	if err := c.service.ready(ctx); err != nil {
		return err
	}
	result.SlowestStart = max(result.SlowestStart, time.Since(began).Seconds())
	return nil
}

// rounds kills the service and starts it again, as often as it should.
func (c *chaos) rounds(ctx context.Context, result *ChaosResult) error {
	random := c.random(-1)
	for result.Rounds < c.config.Rounds {
		if err := c.load(ctx, random); err != nil {
			return fmt.Errorf("round %d: %w", result.Rounds+1, err)
		}
		if err := c.kill(); err != nil {
			return err
		}
		result.Rounds++
		c.progress(result.Rounds)
		if random.IntN(5) == 0 { // killed again while it recovers
			if err := c.service.start(); err != nil {
				return err
			}
			if err := sleep(ctx, rand.N(150*time.Millisecond)); err != nil {
				return err
			}
			if err := c.kill(); err != nil {
				return err
			}
			result.KilledStarting++
		}
		if err := c.start(ctx, result); err != nil {
			return fmt.Errorf("behind kill %d: %w", result.Rounds, err)
		}
	}
	return nil
}

// load lets the service work until some messages were confirmed, and for a while.
func (c *chaos) load(ctx context.Context, random *rand.Rand) error {
	before, limit := c.chronicle.Confirmed(), time.Now().Add(roundTimeout)
	for c.chronicle.Confirmed() < before+leastOfARound {
		if c.service.gone() {
			return c.service.unasked()
		}
		if time.Now().After(limit) {
			return fmt.Errorf("only %d messages were confirmed in %s, though the service is ready; clients met %v",
				c.chronicle.Confirmed()-before, roundTimeout, c.errorCounts())
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return sleep(ctx, time.Duration(random.Int64N(int64(longestRound))))
}

func (c *chaos) kill() error {
	c.kills.Add(1) // and once more: whoever finds it unchanged was not hit
	defer c.kills.Add(1)
	return c.service.kill()
}

// disturb cuts and freezes one client's network after the other.
func (c *chaos) disturb(ctx context.Context) {
	random := c.random(-2)
	for sleep(ctx, time.Duration(random.Int64N(int64(60*time.Millisecond)))) == nil {
		if c.quiet.Load() {
			continue
		}
		r := c.ropes[random.IntN(len(c.ropes))]
		if random.IntN(2) == 0 {
			r.cut()
			c.tally.cuts.Add(1)
		} else {
			r.freeze(time.Duration(random.Int64N(int64(500 * time.Millisecond))))
			c.tally.stalls.Add(1)
		}
	}
}

// settle waits until every message has its receipt and every device has seen all.
func (c *chaos) settle(ctx context.Context) {
	limit, cancel := context.WithTimeout(ctx, c.config.Settle)
	defer cancel()
	for sleep(limit, 20*time.Millisecond) == nil {
		if devices, unconfirmed := c.chronicle.Lagging(); devices == 0 && unconfirmed == 0 {
			return
		}
	}
}

func (c *chaos) progress(round int) {
	if c.config.Progress != nil {
		c.config.Progress(Progress{
			Phase: "killing", Share: float64(round) / float64(c.config.Rounds),
			Done: fmt.Sprintf("%d of %d rounds, %d confirmed", round, c.config.Rounds, c.chronicle.Confirmed()),
		})
	}
}

// count counts what a client was told.
func (c *chaos) count(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors[errorWord(err)]++
}

// sleep waits, or returns why not.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// content is a message's text, which its author and number say all about, so that it
// can be sent again without being remembered.
func (c *chaos) content(author int, number uint64) string {
	s := stamp{run: c.run, sender: author, number: number}
	return string(s.append(nil, c.size(author, number)))
}

// size is between a few bytes and a few hundred, and sometimes a lot.
func (c *chaos) size(author int, number uint64) int {
	chance := mix(c.config.Seed ^ uint64(author)<<40 ^ number)
	if chance%100 == 0 {
		return MinSize + int(chance>>8%20_000)
	}
	return MinSize + int(chance>>8%400)
}

var errOver = errors.New("the run is over")
