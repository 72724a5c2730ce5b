package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"callboard/protocol"
)

// Config says how a Client works. The zero value is the nameless device,
// acknowledging by itself.
type Config struct {
	// Device is the name under which the service remembers what was received here,
	// up to protocol.MaxDeviceBytes. All clients of a user without a name share one.
	// While one connection has a name, another with the same name replaces it.
	Device string

	// Token gets the token that says who the user is, where the service wants one. It is
	// called before each connection is made, and while connected before the token expires,
	// if it is a JSON Web Token that says when: then the session is renewed in place. An
	// error is one of the attempt to connect. It must return when the context is done.
	// Default: there is no token. [StaticToken] is for one that lasts.
	Token func(ctx context.Context) (string, error)

	// TokenInConnect sends the token in CONNECT and not in the Authorization header, for
	// proxies that take that for themselves.
	TokenInConnect bool

	// Cursor is the place of the last message that the program has; delivery goes
	// on behind it. Default: what the service remembers of the device. A program
	// that keeps what it receives in a database keeps the message's Epoch and Seq
	// with it, in the same transaction, and gives the last ones here.
	Cursor *Cursor

	// Window is how many messages may wait here without being acknowledged, up to
	// protocol.MaxWindow. Default: the service's choice, protocol.DefaultWindow.
	Window int

	// ManualAck leaves it to the program to acknowledge, with Message.Ack. Default:
	// a message is acknowledged when the program asks for the next.
	ManualAck bool

	// AckDelay is how long an acknowledgement may wait for others. Default 50 ms.
	AckDelay time.Duration

	// Outbox is how many messages may be unconfirmed; Send waits for room. Default
	// 1024.
	Outbox int

	// MinBackoff and MaxBackoff bound the pause before a connection is made again:
	// a random time up to MinBackoff at first, a bound that doubles with each attempt
	// and ends at MaxBackoff. Defaults 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration

	// Silence is how long the server may say nothing at all, not even a ping, before
	// the connection is given up. Default: 2.5 times the time between two pings that
	// the server names.
	Silence time.Duration

	// Codec is the form of the messages on the wire. Default protocol.JSON.
	Codec protocol.Codec

	// NetDial, TLS and Header are those of ConnConfig.
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS     *tls.Config
	Header  http.Header

	// Log takes what happens to the connection. Default: nothing is logged.
	Log *slog.Logger
}

// withDefaults fills in what was left zero and checks the rest.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.AckDelay, 50*time.Millisecond)
	setDefault(&c.Outbox, 1024)
	setDefault(&c.MinBackoff, 100*time.Millisecond)
	setDefault(&c.MaxBackoff, max(30*time.Second, c.MinBackoff))
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if _, err := protocol.ParseDevice(c.Device); err != nil {
		errs = append(errs, fmt.Errorf("field Device: %w", err))
	}
	if c.Window < 0 || c.Window > protocol.MaxWindow {
		errs = append(errs, fmt.Errorf("field Window is %d: give 1 to %d, or 0 for the service's choice", c.Window, protocol.MaxWindow))
	}
	if c.Outbox < 1 {
		errs = append(errs, fmt.Errorf("field Outbox is %d: give at least 1", c.Outbox))
	}
	if c.MinBackoff < 0 || c.MaxBackoff < c.MinBackoff {
		errs = append(errs, fmt.Errorf("field MinBackoff is %v and MaxBackoff %v: give positive ones, the first the smaller", c.MinBackoff, c.MaxBackoff))
	}
	if c.AckDelay < 0 || c.Silence < 0 {
		errs = append(errs, errors.New("field AckDelay or Silence is negative: give positive ones"))
	}
	return c, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// conn is the configuration of each connection.
func (c Config) conn() ConnConfig {
	return ConnConfig{Subprotocol: c.Codec.String(), NetDial: c.NetDial, TLS: c.TLS, Header: c.Header}
}
