package admin

import (
	"log/slog"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/otlp"
)

// metricsPath is where Prometheus scrapes.
const metricsPath = "/metrics"

const (
	// maxScrapes bounds the scrapes under way at once.
	maxScrapes = 4

	// scrapeTimeout is how long one may take.
	scrapeTimeout = 5 * time.Second
)

// newMetrics makes what /metrics answers, and the counter of calls.
func (s *Server) newMetrics() http.Handler {
	s.calls = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callboard_admin_calls_total", Help: "Calls of the admin API, by call and result.",
	}, []string{"call", "result"})
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "callboard_build_info", Help: "Always 1; the labels say what was built.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(s.config.Version, runtime.Version()).Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{server: s}, s.calls, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(s.config.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
}

// collector turns what has been counted into metrics. Between two scrapes it does
// nothing, and a scrape asks no actor.
type collector struct{ server *Server }

var _ prometheus.Collector = (*collector)(nil)

// describe describes a metric of ours. deploy/README.md has a line for each.
func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("callboard_"+name, help, labels, nil)
}

var (
	descSessions   = describe("sessions", "Sessions there are.")
	descOpened     = describe("sessions_opened_total", "Sessions that were opened.")
	descClosed     = describe("sessions_closed_total", "Sessions that ended, by the word of the close code, or by that of the reason where the code stands for several.", "code")
	descUsers      = describe("users", "Users with an actor, or parked.")
	descParked     = describe("users_parked", "Users who rest, for their actor failed too often.")
	descRestarts   = describe("user_restarts_total", "Users' actors that were replaced, by cause: failure, or store.", "cause")
	descParkings   = describe("user_parkings_total", "How often a user was parked.")
	descSurvived   = describe("panics_survived_total", "Panics in the registry, the gateway and the shards, which went on.")
	descUnhandled  = describe("messages_unhandled_total", "Messages that no actor should have got.")
	descPoisoned   = describe("messages_poisoned_total", "Messages that were set aside, because their receiver's actor fails on them.")
	descLost       = describe("deadletters_lost_total", "Messages that were set aside and went to make room.")
	descStuck      = describe("actors_stuck_total", "Actors that were reported as stuck in one message.")
	descSends      = describe("sends_total", "Sends that reached their receiver's shard, by result: kept, repeated, or the code of the refusal.", "result")
	descFrames     = describe("frames_refused_total", "Frames, and sends of the admin API, that were refused before they reached a shard, by code.", "code")
	descKeptBytes  = describe("kept_bytes_total", "Bytes of messages that were kept, as an inbox counts them.")
	descDelivered  = describe("messages_delivered_total", "Messages written for sessions, a copy for each.")
	descConfirms   = describe("send_duration_seconds", "Time from a SEND's leaving its reader to its answer. A sample, of one in 64.")
	descAcks       = describe("ack_duration_seconds", "Time from a message's being kept and sent on to its ACK. A sample, of one in 64.")
	descCommits    = describe("commit_duration_seconds", "Time of the journal's commits.")
	descBatches    = describe("commit_messages", "Messages of a commit.")
	descBadCommits = describe("commit_failures_total", "Commits that failed.")
	descStore      = describe("store_bytes", "Bytes that the store takes, on the disk or in memory.")
	descShards     = describe("shards", "Shards there are.")
	descShardQueue = describe("shard_queue_messages", "Messages in the mailboxes of all shards.")
	descFullest    = describe("shard_queue_messages_max", "Messages in the fullest mailbox of a shard.")
	descJournal    = describe("journal_queue_messages", "Messages in the journal's mailbox.")
	descLimits     = describe("limits_hit_total", "How often a limit has acted, by limit.", "limit")
	descStalled    = describe("sessions_stalled", "Sessions whose network takes no more at the moment.")
	descReaders    = describe("onlookers", "Watches and traces under way, by kind: watch, or trace.", "kind")
	descMissed     = describe("onlookers_missed_total", "Events that watches, and hops that traces, were too slow to be told, by kind.", "kind")
	descDraining   = describe("draining", "1 when the node was taken out of service.")
	descReady      = describe("ready", "1 when the node takes messages.")

	descConnections = describe("connections", "WebSocket connections.")
	descPending     = describe("connections_pending", "TCP connections that are no WebSocket yet.")
	descHandshakes  = describe("handshakes_total", "WebSocket handshakes, by result: upgraded, or the code of the refusal.", "result")
	descSpans       = describe("trace_spans_total", "Spans, by result: exported, failed where the collector refused them or was not there, dropped where it was too slow.", "result")
	descHops        = describe("trace_hops_dropped_total", "Hops of messages that were not recorded, for there were more than tracing.rate has room for.")
	descReceived    = describe("received_bytes_total", "Bytes read from WebSocket connections.")
	descSent        = describe("sent_bytes_total", "Bytes written to WebSocket connections, their handshakes' answers included.")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	m := c.server.system.Metrics()
	out := output{to, c.server.begun}
	if front := c.server.config.Users; front != nil {
		t := front.Metrics()
		out.gauge(descConnections, float64(t.Connections))
		out.gauge(descPending, float64(t.Pending))
		out.counter(descHandshakes, t.Upgraded, "upgraded")
		out.words(descHandshakes, t.Refused)
		out.counter(descReceived, t.BytesIn)
		out.counter(descSent, t.BytesOut)
	}
	out.traces(c.server.config.Traces)
	out.words(descLimits, m.Limits)
	out.node(m)
	out.messages(m)
	if bytes, known := c.server.storeSize.read(); known {
		out.gauge(descStore, float64(bytes))
	}
}

// output makes metrics and passes them on.
type output struct {
	ch    chan<- prometheus.Metric
	since time.Time // counted from
}

// node is what has to do with sessions, users and the node.
func (o output) node(m *actors.Metrics) {
	o.gauge(descSessions, float64(m.Opened-m.Ended))
	o.gauge(descStalled, float64(m.Stalled))
	o.counter(descOpened, m.Opened)
	o.words(descClosed, m.Closes)
	o.gauge(descUsers, float64(m.Users))
	o.gauge(descParked, float64(m.Parked))
	o.counter(descRestarts, m.Failures, "failure")
	o.counter(descRestarts, m.Replaced, "store")
	o.counter(descParkings, m.Parkings)
	o.counter(descSurvived, m.Survived)
	o.counter(descUnhandled, m.Unhandled)
	o.counter(descPoisoned, m.Poisoned)
	o.counter(descLost, m.DeadlettersLost)
	o.counter(descStuck, m.Stuck)
	o.gauge(descShards, float64(m.Shards))
	o.gauge(descShardQueue, float64(m.ShardQueue))
	o.gauge(descFullest, float64(m.FullestShard))
	o.gauge(descJournal, float64(m.JournalQueue))
	o.gauge(descReaders, float64(m.Watches), "watch")
	o.gauge(descReaders, float64(m.Traces), "trace")
	o.counter(descMissed, m.MissedEvents, "watch")
	o.counter(descMissed, m.MissedHops, "trace")
	o.gauge(descDraining, number(m.Draining))
	o.gauge(descReady, number(m.Ready))
}

// messages is what has to do with messages.
func (o output) messages(m *actors.Metrics) {
	o.counter(descSends, m.Kept, "kept")
	o.counter(descSends, m.Repeated, "repeated")
	o.words(descSends, m.Refused)
	o.words(descFrames, m.Frames)
	o.counter(descKeptBytes, m.KeptBytes)
	o.counter(descDelivered, m.Delivered)
	o.counter(descBadCommits, m.FailedCommits)
	o.histogram(descConfirms, &m.Confirms, timeExponents)
	o.histogram(descAcks, &m.Acks, timeExponents)
	o.histogram(descCommits, &m.Commits, timeExponents)
	o.histogram(descBatches, &m.Batches, sizeExponents)
}

// traces is what has become of spans; read is nil if none are recorded.
func (o output) traces(read func() otlp.Metrics) {
	var t otlp.Metrics
	if read != nil {
		t = read()
	}
	o.counter(descSpans, t.Exported, "exported")
	o.counter(descSpans, t.Failed, "failed")
	o.counter(descSpans, t.Dropped, "dropped")
	o.counter(descHops, t.Hops)
}

func (o output) gauge(d *prometheus.Desc, value float64, labels ...string) {
	o.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (o output) counter(d *prometheus.Desc, value uint64, labels ...string) {
	o.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
}

// words makes a counter for each word of a list.
func (o output) words(d *prometheus.Desc, counts map[protocol.ErrorCode]uint64) {
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		o.counter(d, counts[word], string(word))
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// The bounds of classic buckets, as exponents of 2: 61 us to 32 s, and 1 to 16,384. They
// are bounds of the native buckets too, so both are exact.
var (
	timeExponents = exponents{-14, 5}
	sizeExponents = exponents{0, 14}
)

type exponents struct{ least, most int }

func (o output) histogram(d *prometheus.Desc, h *actors.Histogram, classic exponents) {
	o.ch <- &twofold{d, h, classic, o.since}
}

// twofold is a histogram with native buckets beside classic ones. The library has either.
type twofold struct {
	desc    *prometheus.Desc
	h       *actors.Histogram
	classic exponents
	since   time.Time
}

var _ prometheus.Metric = (*twofold)(nil)

// Desc implements prometheus.Metric.
func (t *twofold) Desc() *prometheus.Desc { return t.desc }

// Write implements prometheus.Metric.
func (t *twofold) Write(out *dto.Metric) error {
	buckets := make(map[float64]uint64)
	for e := t.classic.least; e <= t.classic.most; e++ {
		buckets[math.Ldexp(1, e)] = t.h.AtMost(e)
	}
	classic, err := prometheus.NewConstHistogram(t.desc, t.h.Count, t.h.Sum, buckets)
	if err != nil {
		return err
	}
	if err := classic.Write(out); err != nil {
		return err
	}
	positive := make(map[int]int64, len(t.h.Counts))
	for index, n := range t.h.Counts {
		positive[index] = int64(n)
	}
	native, err := prometheus.NewConstNativeHistogram(t.desc, t.h.Count, t.h.Sum, positive, nil, 0,
		actors.HistogramSchema, 0, t.since)
	if err != nil {
		return err
	}
	var both dto.Metric
	if err := native.Write(&both); err != nil {
		return err
	}
	both.Histogram.Bucket = out.Histogram.Bucket
	out.Histogram = both.Histogram
	return nil
}
