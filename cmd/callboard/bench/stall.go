package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// StallConfig says what Stall does.
type StallConfig struct {
	Program   string   // The callboard binary that is started; empty: URL and PID are a service that runs.
	Args      []string // Further flags of serve.
	URL       string
	PID       int
	Users     int           // Devices that stall.
	Senders   int           // Connections that send to them.
	Rate      int           // Messages each second to each device.
	Size      int           // Of a content, in bytes.
	Warmup    time.Duration // How long the same load runs with devices that keep up.
	Duration  time.Duration // How long they stall.
	Settle    time.Duration // How long they may take to catch up.
	Tolerance int           // Percent by which the service's memory may grow.
	Protocol  Protocol

	Progress func(Progress)
}

func (c *StallConfig) validate() error {
	switch {
	case c.Program == "" && c.PID == 0:
		return fmt.Errorf("--server-pid is missing: it is the service's memory that is watched")
	case c.Users < 1 || c.Users > 100_000:
		return fmt.Errorf("--users is %d: give 1 to 100000", c.Users)
	case c.Senders < 1 || c.Senders > 1000:
		return fmt.Errorf("--senders is %d: give 1 to 1000", c.Senders)
	case c.Rate < 1 || c.Rate > 1000:
		return fmt.Errorf("--rate is %d: give 1 to 1000 messages each second for each device", c.Rate)
	case c.Size < MinSize || c.Size > MaxSize:
		return fmt.Errorf("--size is %d: give %d to %d bytes", c.Size, MinSize, MaxSize)
	case c.Warmup < time.Second:
		return fmt.Errorf("--warmup is %s: give at least 1s, or there is nothing to compare with", c.Warmup)
	case c.Duration < time.Second || c.Settle < time.Second:
		return fmt.Errorf("--duration is %s and --settle %s: give at least 1s", c.Duration, c.Settle)
	case c.Tolerance < 0:
		return fmt.Errorf("--tolerance is %d: give 0 or more percent", c.Tolerance)
	case c.Protocol != JSON && c.Protocol != Proto:
		return fmt.Errorf("--protocol %q: give json or proto", c.Protocol)
	}
	return nil
}

// A StallResult is what Stall saw.
type StallResult struct {
	Users   int     `json:"users"`
	Rate    int     `json:"rate"`
	Size    int     `json:"size"`
	Seconds float64 `json:"seconds"` // of the stall

	Sent             uint64  `json:"sent"`            // while they stalled
	CatchUpSeconds   float64 `json:"catch_up_s"`      // until all had all
	CatchUpPerSecond float64 `json:"catch_up_per_s"`  // messages
	ResidentBefore   int64   `json:"resident_before"` // while the devices kept up, in bytes
	ResidentDuring   int64   `json:"resident_during"` // while they stalled
	MostBefore       int64   `json:"most_before"`     // the most at any time
	MostDuring       int64   `json:"most_during"`
	MostCatching     int64   `json:"most_catch_up"`
	Resident         []int64 `json:"resident_by_second"` // all of it
	GrowthPercent    float64 `json:"growth_percent"`     // during against before
	Tolerance        int     `json:"tolerance_percent"`

	SendToSent *Latency          `json:"send_to_sent_us,omitempty"` // while they stalled
	Errors     map[string]uint64 `json:"errors,omitempty"`
	Check      Check             `json:"check"`
	Notes      []string          `json:"notes,omitempty"`
}

// stalling is the workload of Stall: the first users send, each in turn to all the
// others.
const stalling Workload = "stall"

// A staller is a run of Stall: a load whose first users send to all the others.
type staller struct {
	*load
	config  StallConfig
	stalled atomic.Bool

	mu       sync.Mutex // it guards what follows
	resident []int64
}

// Stall lets devices keep up for a while and then stall, which means that their
// programs acknowledge nothing, while as many messages go to them as before. Then it
// lets them catch up. The service's memory must not follow their backlog, and in the
// end they must have everything, in order.
func Stall(ctx context.Context, config StallConfig) (*StallResult, error) {
	if err := config.validate(); err != nil {
		return nil, &ConfigError{err}
	}
	if err := needFiles(config.Users + config.Senders); err != nil {
		return nil, err
	}
	if config.Program == "" {
		return stall(ctx, config)
	}
	service, err := newService(config.Program, config.Args...)
	if err != nil {
		return nil, err
	}
	defer service.end()
	if err := service.start(); err != nil {
		return nil, err
	}
	if err := service.ready(ctx); err != nil {
		return nil, err
	}
	config.URL, config.PID = service.url(), service.pid()
	result, err := stall(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w; the service's data and log are in %s", err, service.folder)
	}
	if err := service.stop(); err != nil {
		return nil, err
	}
	return result, service.remove()
}

// stall is Stall on a service that runs.
func stall(ctx context.Context, config StallConfig) (*StallResult, error) {
	source, err := newSource(config.URL, config.Users+config.Senders)
	if err != nil {
		return nil, err
	}
	l := newLoad(Config{
		Workload: stalling, URL: config.URL, Users: config.Users + config.Senders, Window: MaxWindow, Size: config.Size,
		Rate: config.Rate * config.Users, Settle: config.Settle, Protocol: config.Protocol, Check: true, Progress: config.Progress,
	}, source)
	l.senders = config.Senders
	s := &staller{load: l, config: config}
	l.stalled = &s.stalled
	defer l.hangUp()
	return s.all(ctx)
}

func (s *staller) all(ctx context.Context) (*StallResult, error) {
	stop := make(chan struct{})
	defer close(stop) // the writers end; hangUp waits for them
	if _, err := s.connect(ctx, stop); err != nil {
		return nil, err
	}
	watching, over := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); s.watchMemory(watching) }()
	defer func() { over(); <-ended }()
	pacing := s.start(ctx)
	defer pacing()

	if err := s.pass(ctx, "keeping up", s.config.Warmup); err != nil {
		return nil, err
	}
	r := &StallResult{Users: s.config.Users, Rate: s.config.Rate, Size: s.config.Size, Tolerance: s.config.Tolerance}
	before, sent, began, own := s.samples(), s.sent.Load(), time.Now(), processorTime()
	s.stalled.Store(true)
	s.measuring.Store(true)
	if err := s.pass(ctx, "stalling", s.config.Duration); err != nil {
		return nil, err
	}
	s.measuring.Store(false)
	pacing()
	s.halt()
	r.Seconds, r.Sent = time.Since(began).Seconds(), s.sent.Load()-sent
	during := s.samples()
	if note := saturation(processorTime()-own, time.Since(began)); note != "" {
		r.Notes = append(r.Notes, note)
	}
	if n := s.skipped.Load(); n > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("the service did not keep up with --rate: %d messages were too late to be sent at all", n))
	}
	s.catchUp(ctx, r)
	after := s.samples()
	during = during[len(before)-1:]
	r.ResidentBefore, r.ResidentDuring, r.Resident = plateau(before), plateau(during), after
	r.MostBefore, r.MostDuring, r.MostCatching = slices.Max(before), slices.Max(during), slices.Max(after[len(before)+len(during)-2:])
	r.GrowthPercent = 100 * (float64(r.ResidentDuring)/float64(r.ResidentBefore) - 1)
	r.SendToSent, r.Check, r.Errors = s.toSent.Latency(), s.verdict(), s.errors
	return r, ctx.Err()
}

// catchUp lets the devices go on, and waits until they have all.
func (s *staller) catchUp(ctx context.Context, r *StallResult) {
	before, began := s.received.Load(), time.Now()
	s.stalled.Store(false)
	for _, p := range s.peers {
		p.look()
	}
	s.settle(ctx)
	r.CatchUpSeconds = time.Since(began).Seconds()
	r.CatchUpPerSecond = float64(s.received.Load()-before) / r.CatchUpSeconds
}

// watchMemory looks at the service's memory each second, until the context is done.
func (s *staller) watchMemory(ctx context.Context) {
	for {
		if use, ok := readUsage(s.config.PID); ok {
			s.mu.Lock()
			s.resident = append(s.resident, use.resident)
			s.mu.Unlock()
		}
		if sleep(ctx, time.Second) != nil {
			return
		}
	}
}

// samples is the memory so far; there always is some.
func (s *staller) samples() []int64 {
	use, _ := readUsage(s.config.PID)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resident = append(s.resident, use.resident)
	return slices.Clone(s.resident)
}

// plateau is where the memory was in the second half of a time: the median, because
// the collector and the store's memtables make it go up and down all the time.
func plateau(samples []int64) int64 {
	half := slices.Sorted(slices.Values(samples[len(samples)/2:]))
	return half[len(half)/2]
}

// Failure is the error that the run ends with because of what it found; nil if all
// is well.
func (r *StallResult) Failure() error {
	switch {
	case !r.Check.OK():
		return fmt.Errorf("the check failed: %d lost, %d doubled, %d reordered, %d altered, %d unanswered; for instance: %s",
			r.Check.Lost, r.Check.Doubled, r.Check.Reordered, r.Check.Altered, r.Check.Unanswered, r.Check.Examples[0])
	case r.ResidentBefore == 0:
		return fmt.Errorf("the service's memory cannot be seen: that needs Linux, and a process of this machine")
	case r.GrowthPercent > float64(r.Tolerance):
		return fmt.Errorf("the service's memory grew by %.1f %% while the devices stalled, from %s to %s; %d %% is the limit",
			r.GrowthPercent, mebibytes(r.ResidentBefore), mebibytes(r.ResidentDuring), r.Tolerance)
	}
	return nil
}

// WriteTable writes the result for people.
func (r *StallResult) WriteTable(out io.Writer) error {
	t := newTable(out)
	t.row("devices", "%d, stalled for %.0f s with %d messages/s each", r.Users, r.Seconds, r.Rate)
	t.row("messages", "%d sent meanwhile, %.0f/s", r.Sent, float64(r.Sent)/r.Seconds)
	t.latency("send to SENT", r.SendToSent)
	t.row("catching up", "%.1f s, %.0f messages/s", r.CatchUpSeconds, r.CatchUpPerSecond)
	t.row("resident memory", "%s keeping up, %s stalled: %+.1f %%", mebibytes(r.ResidentBefore), mebibytes(r.ResidentDuring), r.GrowthPercent)
	t.row("at most", "%s keeping up, %s stalled, %s catching up", mebibytes(r.MostBefore), mebibytes(r.MostDuring), mebibytes(r.MostCatching))
	t.row("by second", "%s", bySecond(r.Resident))
	for code, n := range r.Errors {
		t.row("error "+code, "%d", n)
	}
	t.check(&r.Check)
	for _, note := range r.Notes {
		t.row("note", "%s", note)
	}
	return t.flush()
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// bySecond is the memory over time, in MiB.
func bySecond(samples []int64) string {
	var b strings.Builder
	for _, n := range samples {
		fmt.Fprintf(&b, "%d ", n>>20)
	}
	return strings.TrimSpace(b.String())
}
