package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"callboard/protocol"
)

// A Workload is who sends to whom.
type Workload string

// The workloads of Run.
const (
	Relay   Workload = "relay"   // pairs; every message that arrives is answered with one
	Durable Workload = "durable" // pairs; every confirmation makes room for the next message
	Idle    Workload = "idle"    // nobody sends
	FanIn   Workload = "fanin"   // all but one send to that one
	FanOut  Workload = "fanout"  // one sends to each of the others in turn
	Random  Workload = "random"  // each message is for somebody else
)

// A Protocol is a dialect that the service speaks.
type Protocol string

// The dialects.
const (
	Seed  Protocol = "seed"
	JSON  Protocol = "json"
	Proto Protocol = "proto"
)

// subprotocol is the dialect's name in the handshake.
func (p Protocol) subprotocol() string {
	switch p {
	case JSON:
		return protocol.SubprotocolJSON
	case Proto:
		return protocol.SubprotocolProto
	}
	return ""
}

// Config says what Run does.
type Config struct {
	Workload Workload
	URL      string // Of the service, ws://host:port.
	Users    int
	Window   int           // Messages of a pair, or of a sender, that may be on their way; 1 to MaxWindow.
	Size     int           // Of a content, in bytes; MinSize to MaxSize.
	Rate     int           // Messages each second, of all users together; 0: as many as the window allows.
	Duration time.Duration // How long is measured, or idle.
	Warmup   time.Duration // How long the load runs before.
	Settle   time.Duration // With Check: how long what is confirmed may take to be seen, behind the end.
	Protocol Protocol
	Check    bool
	TLS      *tls.Config                           // For addresses with wss; nil: Go's.
	Token    func(protocol.UserID) (string, error) // Of a user, shown in the handshake; nil: the service asks for none.
	PID      int                                   // The service's process, if it is on this machine: its memory and processor time are shown.

	Progress func(Progress) // Called each second or so; nil: nobody wants to know.
}

// Bounds of a Config.
const (
	// MaxUsers is the most users, each of whom has a connection.
	MaxUsers = 1_000_000

	// MaxWindow is what the service lets one session have unanswered.
	MaxWindow = protocol.MaxInFlight

	// MaxSize is the longest content, in bytes: the frame has more than that.
	MaxSize = 60_000
)

// ConfigError is why a run cannot begin: a field of its configuration.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return e.Err.Error() }

// Unwrap makes it as good as its cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// validate names the flag that sets the field, because that is where it comes from.
func (c *Config) validate() error {
	least := 2
	if c.Workload == Idle {
		least = 1
	}
	switch {
	case !slices.Contains([]Workload{Relay, Durable, Idle, FanIn, FanOut, Random}, c.Workload):
		return fmt.Errorf("there is no workload %q", c.Workload)
	case c.Workload == Durable && !slices.Contains([]Protocol{Seed, JSON, Proto}, c.Protocol):
		return fmt.Errorf("--protocol %q: give json or proto", c.Protocol)
	case !slices.Contains([]Protocol{Seed, JSON, Proto}, c.Protocol):
		return fmt.Errorf("--protocol %q: give seed, json or proto", c.Protocol)
	case c.Workload == Durable && c.Protocol == Seed:
		return errors.New("--protocol seed confirms no message: give json or proto, or run relay")
	case c.Users < least || c.Users > MaxUsers:
		return fmt.Errorf("--users is %d: give %d to %d", c.Users, least, MaxUsers)
	case c.Users%2 == 1 && (c.Workload == Relay || c.Workload == Durable):
		return fmt.Errorf("--users is %d and they come in pairs: give an even number, like %d", c.Users, c.Users+1)
	case c.Window < 1 || c.Window > MaxWindow:
		return fmt.Errorf("--window is %d: give 1 to %d", c.Window, MaxWindow)
	case c.Size < MinSize || c.Size > MaxSize:
		return fmt.Errorf("--size is %d: give %d to %d bytes", c.Size, MinSize, MaxSize)
	case c.Rate < 0 || c.Rate > maxRate:
		return fmt.Errorf("--rate is %d: give 1 to %d messages each second, or 0 for as many as the window allows", c.Rate, maxRate)
	case c.Duration < 10*time.Millisecond:
		return fmt.Errorf("--duration is %s: give at least 10ms, like 10s", c.Duration)
	case c.Warmup < 0:
		return fmt.Errorf("--warmup is %s: give 0 or more, like 1s", c.Warmup)
	case c.Settle < 0:
		return fmt.Errorf("--settle is %s: give 0 or more, like 10s", c.Settle)
	}
	return nil
}

// header is what a user's handshake has besides.
func (c *Config) header(user protocol.UserID) (http.Header, error) {
	if c.Token == nil {
		return nil, nil //nolint:nilnil // a nil header is an empty one
	}
	token, err := c.Token(user)
	if err != nil {
		return nil, err
	}
	return http.Header{"Authorization": {"Bearer " + token}}, nil
}

// A Progress is how far a run is.
type Progress struct {
	Phase   string // connecting, warming up, measuring, settling
	Share   float64
	Done    string // what has been done in this phase, for people
	Errors  uint64
	Message string // what else is worth a line; most often empty
}
