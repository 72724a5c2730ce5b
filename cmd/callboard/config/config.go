package config

import "time"

// Config is all that the service can be told. The tags of a field are its description:
//
//	koanf    the last part of its key; a struct is a section
//	default  the value when nobody gives one, as it is written in a file
//	flag     the name of the flag, if it is not the key with - between its parts
//	unit     what a number counts
//	min, max the bounds of a number or a time, and of the length of a list
//	one      the words that may be given
//	check    the name of a further check, in checks
//	reload   what SIGHUP does with a new value: yes takes it; set takes it, but switching
//	         between given and empty needs a restart; no needs a restart, as without the tag
//	secret   yes: the value is never shown
//	rare     yes: the flag is not in the help of serve
//	help     what it means, without a full stop
//
// The variable of the environment is the key in capitals behind CALLBOARD_, with _ between its
// parts. What several settings have to do with each other is in check.go.
type Config struct {
	Listen         string        `koanf:"listen" default:"127.0.0.1:8080" check:"address" help:"address to listen on, host:port"`
	Insecure       bool          `koanf:"insecure" default:"false" help:"listen on other addresses than loopback, though nobody has to prove who they are"`
	AllowOrigins   []string      `koanf:"allow-origins" flag:"allow-origin" default:"[]" max:"1000" check:"origin" reload:"yes" help:"origins whose pages may connect, each like https://app.example.org"`
	Drain          time.Duration `koanf:"drain" default:"10s" min:"1ms" max:"24h" reload:"yes" help:"time over which the sessions are closed at the end"`
	MaxConnections int           `koanf:"max-connections" default:"100000" unit:"connections" min:"1" reload:"yes" help:"connections at once; one more gets 503"`
	Shards         string        `koanf:"shards" default:"kept" check:"shards" help:"slices that the users are spread over: 1 to 4096; auto to follow the processors and the load, until 'tree scale' is given a number; or kept for the number that 'tree scale' came to, 16 at first"`
	Data           string        `koanf:"data" default:"./callboard-data" help:"directory of the pebble store and the admin token"`
	BackupDir      string        `koanf:"backup-dir" default:"" help:"directory for backups and nothing else, whose leftovers the service removes; empty for backups in the data directory"`

	Supervision Supervision `koanf:"supervision"`

	TLS       TLS       `koanf:"tls"`
	Identity  Identity  `koanf:"identity"`
	Limits    Limits    `koanf:"limits"`
	Inbox     Inbox     `koanf:"inbox"`
	Store     Store     `koanf:"store"`
	Retention Retention `koanf:"retention"`
	Admin     Admin     `koanf:"admin"`
	Log       Log       `koanf:"log"`
	Tracing   Tracing   `koanf:"tracing"`
}

// What Config.Shards may be besides a number.
const (
	AutoShards = "auto"
	KeptShards = "kept"
)

// Supervision says how often actors may fail, and what comes then. What is not in a section of its own is of users.
type Supervision struct {
	Failures int           `koanf:"failures" default:"3" unit:"failures" min:"1" max:"10000" reload:"yes" help:"failures of a user's actor within the window that are answered with a new one at once"`
	Window   time.Duration `koanf:"window" default:"10s" min:"1ms" reload:"yes" help:"how long a failure counts"`
	Park     time.Duration `koanf:"park" default:"100ms" min:"1ms" reload:"yes" help:"how long a user rests who fails more often; each further rest is twice as long"`
	MaxPark  time.Duration `koanf:"max-park" default:"30s" min:"1ms" reload:"yes" help:"the longest rest"`

	StuckAfter  time.Duration `koanf:"stuck-after" default:"5s" min:"100ms" reload:"yes" help:"how long an actor may be in one message before it is reported as stuck, with its stack"`
	Deadletters Deadletters   `koanf:"deadletters"`

	RetryAfter    time.Duration `koanf:"retry-after" default:"100ms" min:"1ms" max:"1h" reload:"yes" rare:"yes" help:"how long a registry, shard, gateway, doorkeeper or coroner waits until it tries once more what it has failed on three times and nobody else would repeat; twice as long each time after that"`
	MaxRetryAfter time.Duration `koanf:"max-retry-after" default:"10s" min:"1ms" max:"1h" reload:"yes" rare:"yes" help:"the longest that it waits"`

	Registry   Survivor `koanf:"registry"`
	Shard      Survivor `koanf:"shard"`
	Gateway    Survivor `koanf:"gateway"`
	Doorkeeper Survivor `koanf:"doorkeeper"`
	Coroner    Survivor `koanf:"coroner"`
	Journal    Journal  `koanf:"journal"`
}

// Survivor says how often an actor that goes on after its failures may fail before it is called sick.
type Survivor struct {
	Failures int           `koanf:"failures" default:"10" unit:"failures" min:"1" max:"10000" reload:"yes" rare:"yes" help:"failures of such an actor that change nothing but the counts"`
	Window   time.Duration `koanf:"window" default:"10s" min:"1ms" reload:"yes" rare:"yes" help:"how long it must not fail to begin anew"`
	Park     time.Duration `koanf:"park" default:"5s" min:"1ms" reload:"yes" rare:"yes" help:"how long it is called sick when it fails more often, in the log and by 'tree show', and by /readyz if it is the registry or the gateway; each further time twice as long"`
	MaxPark  time.Duration `koanf:"max-park" default:"1m" min:"1ms" reload:"yes" rare:"yes" help:"the longest that it is"`
}

// Journal says how often the journal may fail before it rests.
type Journal struct {
	Failures int           `koanf:"failures" default:"3" unit:"failures" min:"1" max:"10000" reload:"yes" rare:"yes" help:"failures of the journal, without a commit in between, after which it goes on at once"`
	Window   time.Duration `koanf:"window" default:"10s" min:"1ms" reload:"yes" rare:"yes" help:"how long it must not fail to begin anew"`
	Park     time.Duration `koanf:"park" default:"100ms" min:"1ms" reload:"yes" rare:"yes" help:"how long messages are refused when it fails more often; each further time twice as long"`
	MaxPark  time.Duration `koanf:"max-park" default:"30s" min:"1ms" reload:"yes" rare:"yes" help:"the longest that they are"`
}

// Deadletters bounds the messages that are set aside because their receivers' actors fail on them.
type Deadletters struct {
	Messages int `koanf:"messages" default:"1000" unit:"messages" min:"1" max:"100000" reload:"yes" help:"messages that are kept aside because their receivers' actors fail on them; with so many the oldest goes"`
	Bytes    int `koanf:"bytes" default:"16777216" unit:"bytes" min:"131072" max:"1073741824" reload:"yes" help:"bytes of them"`
}

// TLS is the certificate of a listener.
type TLS struct {
	Cert string `koanf:"cert" default:"" reload:"set" help:"PEM file of the certificate and those that it was signed with; empty for no TLS. Read again when it changes"`
	Key  string `koanf:"key" default:"" reload:"set" help:"PEM file of the certificate's key. Read again when it changes"`
}

// Identity says whose tokens say who connects. Without an issuer, or development, nobody has to
// prove who they are.
type Identity struct {
	Issuer      string        `koanf:"issuer" default:"" help:"issuer whose tokens say who connects: what they have as iss; empty for none"`
	Audiences   []string      `koanf:"audiences" flag:"identity-audience" default:"[]" max:"64" check:"name" help:"what tokens for this service have as aud"`
	JWKS        string        `koanf:"jwks" default:"" check:"keys" reload:"set" help:"URL of the issuer's keys, a JWK Set. SIGHUP fetches it anew. A query is not shown"`
	Keys        string        `koanf:"keys" default:"" reload:"set" help:"file of the issuer's keys, PEM or a JWK Set, instead of a URL. Read again when it changes"`
	Development bool          `koanf:"development" default:"false" help:"take tokens of 'callboard token new', signed with the key in the file identity-key of the data directory, which is made if it is not there"`
	Revoked     []string      `koanf:"revoked" default:"[]" max:"100000" check:"name" reload:"yes" help:"ids (jti) of tokens that are not taken any more"`
	RevokedFile string        `koanf:"revoked-file" default:"" reload:"yes" help:"file with one more on each line. Read again when it changes"`
	Leeway      time.Duration `koanf:"leeway" default:"10s" min:"1ms" max:"5m" help:"by how much the clocks of the issuer and of this machine may differ"`
	Grace       time.Duration `koanf:"grace" default:"30s" min:"1ms" help:"how long a session goes on after its token has expired, so that it can be renewed; it is closed at the next heartbeat, up to 25 s later"`
	QueryToken  bool          `koanf:"query-token" default:"false" help:"take tokens from the parameter token of the URL, too, where proxies and browsers keep them"`
}

// Wanted is whether anybody has to prove who they are.
func (i *Identity) Wanted() bool { return i.Development || i.issued() }

// issued is whether something is said of an issuer.
func (i *Identity) issued() bool {
	return i.Issuer != "" || len(i.Audiences) > 0 || i.JWKS != "" || i.Keys != ""
}

// Limits are for those who connect and send. What is behind each, deploy/README.md says.
type Limits struct {
	SessionsPerUser int      `koanf:"sessions-per-user" default:"32" unit:"sessions" min:"1" max:"10000" reload:"yes" help:"sessions that one user may have at once; one more is closed with too_many_sessions"`
	FrameBytes      int      `koanf:"frame-bytes" default:"65536" unit:"bytes" min:"8192" max:"65536" reload:"yes" help:"longest frame that a client may send; a longer one closes its session with too_large. Sessions that there are keep theirs"`
	Pending         int      `koanf:"pending" default:"4096" unit:"connections" min:"1" max:"1000000" reload:"yes" help:"connections that are no WebSocket yet, and as many again that have shown no token yet; with one more the oldest of them is cut"`
	Sends           Sends    `koanf:"sends"`
	Attempts        Attempts `koanf:"attempts"`
}

// Sends bound what clients send in a time: those who send more are slowed down, then refused, then
// closed.
type Sends struct {
	SessionRate  int           `koanf:"session-rate" default:"0" unit:"messages/s" min:"0" max:"1000000" reload:"yes" help:"messages that one session may send each second; 0 for no bound"`
	SessionBurst int           `koanf:"session-burst" default:"0" unit:"messages" min:"0" max:"1000000" reload:"yes" help:"how many of them at once, after a pause; 0 for as many as in a second"`
	UserRate     int           `koanf:"user-rate" default:"0" unit:"messages/s" min:"0" max:"1000000" reload:"yes" help:"messages that all sessions of one user may send each second together; 0 for no bound"`
	UserBurst    int           `koanf:"user-burst" default:"0" unit:"messages" min:"0" max:"1000000" reload:"yes" help:"how many of them at once, after a pause; 0 for as many as in a second"`
	SlowFor      time.Duration `koanf:"slow-for" default:"10s" min:"0s" max:"1h" reload:"yes" help:"for how long a client that presses on is slowed down before it gets rate_limited"`
	Refusals     int           `koanf:"refusals" default:"1000" unit:"refusals" min:"256" max:"1000000" reload:"yes" help:"how often a client is refused that does not pause, before it is closed with rate_limited"`
}

// Attempts bound how often an address may connect.
type Attempts struct {
	Rate    int      `koanf:"rate" default:"50" unit:"connections/s" min:"0" max:"1000000" reload:"yes" help:"connections that one address, or one /64 of IPv6, may ask for each second; more get 429, and those who go on are cut without a word; 0 for no bound"`
	Burst   int      `koanf:"burst" default:"1000" unit:"connections" min:"0" max:"1000000" reload:"yes" help:"how many of them at once, after a pause; 0 for as many as in a second"`
	Exempt  []string `koanf:"exempt" flag:"limits-attempts-exempt" default:"[127.0.0.0/8,'::1']" max:"1000" check:"network" reload:"yes" help:"addresses and networks that may ask as often as they like"`
	Proxies []string `koanf:"proxies" flag:"limits-attempts-proxy" default:"[]" max:"1000" check:"network" reload:"yes" help:"addresses and networks of proxies: of what they pass on the last address in X-Forwarded-For counts that is none of theirs, which is also what operators are shown"`
}

// Inbox bounds each user's inbox.
type Inbox struct {
	Entries int `koanf:"entries" default:"100000" unit:"messages" min:"1" reload:"yes" help:"messages that may wait in one inbox for a user whom no device has fetched them for; one more is refused"`
	Bytes   int `koanf:"bytes" default:"268435456" unit:"bytes" min:"65536" reload:"yes" help:"bytes of them"`
}

// Store says where inboxes are kept.
type Store struct {
	Kind     string `koanf:"kind" flag:"store" default:"pebble" one:"pebble memory" help:"where inboxes are kept: pebble (on disk) or memory (a pure relay: nothing survives the process)"`
	Cache    int    `koanf:"cache" default:"64" unit:"MiB" min:"1" max:"1048576" help:"memory for what is read from the store (pebble), in MiB; a quarter as much again, or two for a while, says which ids are known"`
	MemTable int    `koanf:"memtable" default:"32" unit:"MiB" min:"1" max:"1024" help:"memory for what is new before it becomes a file, in MiB; up to four times as much while the disk is behind, and what of that is free is cache (pebble)"`
	Memory   int    `koanf:"memory" default:"256" unit:"MiB" min:"1" max:"1048576" help:"memory that all inboxes may take, in MiB; what goes beyond it is refused as storage_full (memory)"`
}

// Retention says how long messages are kept.
type Retention struct {
	Age     time.Duration `koanf:"age" default:"720h" min:"1m" reload:"yes" help:"how long a message is kept (pebble)"`
	Entries int           `koanf:"entries" default:"100000" unit:"messages" min:"1" reload:"yes" help:"how many messages of one inbox are kept that some device has fetched (pebble)"`
}

// Admin is the API for operators.
type Admin struct {
	Listen      string   `koanf:"listen" flag:"admin" default:"127.0.0.1:8081" check:"address or none" help:"address of the admin API, host:port; empty for none"`
	TokenFile   string   `koanf:"token-file" default:"" help:"file of the admin token, made if it is not there; empty for admin-token in the data directory"`
	MetricsOpen bool     `koanf:"metrics-open" flag:"metrics-open" default:"false" help:"answer /metrics without a token"`
	Tokens      []Token  `koanf:"tokens" default:"[]" max:"1000" reload:"yes" secret:"yes" help:"further tokens, made by 'callboard admin token new'"`
	TLS         AdminTLS `koanf:"tls"`
}

// Token lets its bearer call the admin API.
type Token struct {
	Name   string `koanf:"name" check:"name" help:"who, in the audit log"`
	Role   string `koanf:"role" one:"viewer operator admin" help:"what it may do"`
	SHA256 string `koanf:"sha256" check:"sha256" help:"SHA-256 of the token, 64 hexadecimal digits"`
}

// AdminTLS is the certificate of the admin API, and those of its callers.
type AdminTLS struct {
	TLS      `koanf:",squash"`
	ClientCA string `koanf:"client-ca" default:"" reload:"yes" help:"PEM file of the authorities that sign clients' certificates; if it is given, every client needs one. Read again when it changes"`
	Roles    []Role `koanf:"roles" default:"[]" max:"1000" reload:"yes" help:"what the bearers of client certificates may do without a token"`
}

// Role is what the bearer of a certificate may do.
type Role struct {
	Name string `koanf:"name" check:"name" help:"the certificate's common name or one of its alternative names; who, in the audit log"`
	Role string `koanf:"role" one:"viewer operator admin" help:"what it may do"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `koanf:"level" default:"info" one:"debug info warn error" reload:"yes" help:"least level that is logged"`
	Format string `koanf:"format" default:"text" one:"text json" help:"form of the log"`
}

// Tracing is what is recorded of the traces that messages belong to, and where it goes.
type Tracing struct {
	Endpoint string        `koanf:"endpoint" default:"" check:"collector" help:"URL of a collector that takes OTLP over HTTP, like http://127.0.0.1:4318; without a path it is that of OTLP, /v1/traces. Empty for no traces"`
	Sample   float64       `koanf:"sample" default:"0.01" min:"0" max:"1" reload:"yes" help:"share of the messages without a traceparent that a trace is begun with; one that comes with a sampled traceparent is recorded in any case"`
	Rate     int           `koanf:"rate" default:"100" unit:"messages a second" min:"1" max:"1000000" reload:"yes" help:"how many messages are recorded at most, whoever has begun their traces"`
	Users    bool          `koanf:"users" default:"false" reload:"yes" help:"put the ids of sender and receiver into the spans, the device's name, and the words of refusals, which may name users"`
	Headers  []string      `koanf:"headers" default:"[]" max:"32" check:"header" secret:"yes" help:"headers of each request to the collector, each like name=value"`
	CA       string        `koanf:"ca" default:"" help:"PEM file of the authorities that the collector's certificate is checked against; empty for those of the system"`
	Service  string        `koanf:"service" default:"callboard" check:"name" help:"name of this service in the traces"`
	Timeout  time.Duration `koanf:"timeout" default:"5s" min:"10ms" max:"1m" help:"how long one export may take with its repetitions, and how long the end of the service waits for the last ones"`
}
