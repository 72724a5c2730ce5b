package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"callboard/protocol"
)

// StaticToken is a Config.Token that is always the same.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

// token gets a token for a connection, or none if there is to be none.
func (c *Client) token(ctx context.Context) (string, error) {
	if c.config.Token == nil {
		return "", nil
	}
	token, err := c.config.Token(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("getting a token: %w", err)
	case token == "" || len(token) > protocol.MaxTokenBytes:
		return "", fmt.Errorf("getting a token: it has %d bytes, and a token has 1 to %d", len(token), protocol.MaxTokenBytes)
	case strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", errors.New("getting a token: it has a character that no token has, perhaps the end of a line")
	}
	return token, nil
}

// connWith is the configuration of a connection that shows a token.
func (c Config) connWith(token string) ConnConfig {
	config := c.conn()
	if token != "" && !c.TokenInConnect {
		config.Header = c.Header.Clone()
		if config.Header == nil {
			config.Header = make(http.Header)
		}
		config.Header.Set("Authorization", "Bearer "+token)
	}
	return config
}

// expiry is when a token says that it expires; the zero Time if it does not say, or not
// in a way that we can read. Nothing is verified: that is the service's part.
func expiry(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	var claims struct {
		Expires float64 `json:"exp"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires < 1 || claims.Expires > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(claims.Expires), 0)
}

// A renewal gets a new token before that of a connection expires. It is the writer's,
// but for the goroutine that asks for one.
type renewal struct {
	client  *Client
	life    context.Context
	stop    context.CancelFunc
	timer   *time.Timer
	got     chan newToken // holds one
	asking  bool
	expires time.Time // of the token that counts
}

type newToken struct {
	token string
	err   error
}

const (
	renewEarly = time.Minute // before the end, or a fifth of what is left if that is less
	renewRetry = time.Second // at least, after a failure
)

func newRenewal(life context.Context, c *Client, token string) *renewal {
	r := &renewal{client: c, timer: stoppedTimer(), got: make(chan newToken, 1)}
	r.life, r.stop = context.WithCancel(life)
	r.schedule(token)
	return r
}

// schedule has the timer run out in time for the next token.
func (r *renewal) schedule(token string) {
	r.expires = expiry(token)
	if left := time.Until(r.expires); !r.expires.IsZero() && left > 0 {
		r.timer.Reset(left - min(left/5, renewEarly))
	}
}

// begin asks for a token, without holding up the writer.
func (r *renewal) begin() {
	r.asking = true
	go func() { // take or end waits for it
		limit, cancel := context.WithTimeout(r.life, openTimeout)
		defer cancel()
		token, err := r.client.token(limit)
		r.got <- newToken{token, err}
	}()
}

// take is what to do with the answer: the token to be shown, or none. Without one the
// next attempt is halfway to the end; then the service closes, and the client comes back.
func (r *renewal) take(got newToken) string {
	r.asking = false
	if got.err == nil && expiry(got.token).After(r.expires) {
		r.client.mu.Lock()
		r.client.renewing++
		r.client.mu.Unlock()
		r.schedule(got.token)
		return got.token
	}
	if got.err == nil {
		got.err = errors.New("it is no newer than the last one")
	}
	r.client.config.Log.Warn("no new token", slog.Any("error", got.err))
	if left := time.Until(r.expires); left > 0 {
		r.timer.Reset(max(left/2, renewRetry))
	}
	return ""
}

// end waits for whoever asks for a token.
func (r *renewal) end() {
	r.stop()
	r.timer.Stop()
	if r.asking {
		<-r.got
	}
}
