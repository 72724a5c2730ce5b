package client_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/client"
	"callboard/transport/identity"
)

// guarded is a service that wants tokens signed by the key in the file.
func guarded(t *testing.T, ping, grace time.Duration) (address, keyFile string) {
	t.Helper()
	keyFile = filepath.Join(t.TempDir(), "key")
	_, err := identity.MakeKey(keyFile)
	must(t, err)
	verifier, err := identity.New(identity.Config{Issuers: []identity.Issuer{identity.Development(keyFile)}})
	must(t, err)
	system, err := actors.New(actors.Config{Store: memory.New(memory.Config{}), PingInterval: ping})
	must(t, err)
	server, err := transport.New(system, transport.Config{Identity: verifier, TokenGrace: grace})
	must(t, err)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener, time.Second) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
		must(t, system.Stop(context.Background()))
		server.Wait()
	})
	return "ws://" + listener.Addr().String(), keyFile
}

func signed(t *testing.T, keyFile string, life time.Duration) string {
	t.Helper()
	token, err := identity.Sign(keyFile, "1", life)
	must(t, err)
	return token
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// granted waits until the client is connected.
func granted(t *testing.T, c *client.Client) *protocol.Connect {
	t.Helper()
	for s := range c.States(t.Context()) {
		if s.Phase == client.Connected {
			return s.Session
		}
	}
	t.Fatal("the client has ended")
	return nil
}

// ends waits until the client has ended and returns why.
func ends(t *testing.T, c *client.Client) (err error) {
	t.Helper()
	limit, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for s := range c.States(limit) {
		if s.Phase == client.Closed {
			return s.Err
		}
	}
	t.Fatal("the client goes on")
	return nil
}

func TestClientShowsItsToken(t *testing.T) {
	address, keyFile := guarded(t, protocol.PingInterval, time.Millisecond)
	for _, codec := range []protocol.Codec{protocol.JSON, protocol.Proto} {
		for _, inConnect := range []bool{false, true} {
			c, err := client.New(address, "1", client.Config{Codec: codec, TokenInConnect: inConnect, Token: client.StaticToken(signed(t, keyFile, time.Hour))})
			must(t, err)
			_, err = c.Send(t.Context(), "1", "hello")
			must(t, err)
			must(t, c.Close(t.Context()))

			for name, token := range map[string]string{"forged": "a.b.c", "of another key": signed(t, otherKey(t), time.Hour)} {
				c, err = client.New(address, "1", client.Config{Codec: codec, TokenInConnect: inConnect, Token: client.StaticToken(token)})
				must(t, err)
				err = ends(t, c)
				refused, atUpgrade := errors.AsType[*client.RefusedError](err)
				closed, afterwards := errors.AsType[*client.ClosedError](err)
				switch {
				case !inConnect && atUpgrade && refused.Code == protocol.CodeUnauthorized:
				case inConnect && afterwards && closed.Code == protocol.CloseUnauthorized:
				default:
					t.Errorf("%s, in CONNECT %v: %v", name, inConnect, err)
				}
			}
		}
	}
	c, err := client.New(address, "2", client.Config{Token: client.StaticToken(signed(t, keyFile, time.Hour))})
	must(t, err)
	if refused, ok := errors.AsType[*client.RefusedError](ends(t, c)); !ok || refused.Code != protocol.CodeUserMismatch {
		t.Errorf("somebody else's: %v", refused)
	}
}

func otherKey(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "other")
	_, err := identity.MakeKey(name)
	must(t, err)
	return name
}

func TestClientRenewsItsSessionInPlace(t *testing.T) {
	for name, inConnect := range map[string]bool{"header": false, "CONNECT": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A session that is not renewed ends after 18 s at the latest. A machine that is busy has 9 s for it,
			// and 7 for a pong.
			address, keyFile := guarded(t, 3*time.Second, 10*time.Second)
			var asked atomic.Int64
			c, err := client.Dial(t.Context(), address, "1", client.Config{TokenInConnect: inConnect, Token: func(context.Context) (string, error) {
				if asked.Add(1) == 2 {
					return "", errors.New("the issuer stutters")
				}
				return identity.Sign(keyFile, "1", 4*time.Second)
			}})
			must(t, err)
			first := granted(t, c).Session
			time.Sleep(20 * time.Second) // five lives of a token
			if s := c.State(); s.Phase != client.Connected || s.Session.Session != first {
				t.Errorf("it is %v, %v", s.Phase, s.Err)
			}
			if n := asked.Load(); n < 4 || n > 12 {
				t.Errorf("%d tokens were asked for", n)
			}
			_, err = c.Send(t.Context(), "1", "still the same session")
			must(t, err)
			must(t, c.Close(t.Context()))
		})
	}
}

func TestClientComesBackWithANewTokenWhenItsOwnHasExpired(t *testing.T) {
	t.Parallel()
	// A machine that is busy has 7 s to connect, and as long for a pong.
	address, keyFile := guarded(t, 3*time.Second, time.Millisecond)
	var asked atomic.Int64
	var gone, late atomic.Bool
	c, err := client.Dial(t.Context(), address, "1", client.Config{MaxBackoff: time.Second, Token: func(context.Context) (string, error) {
		switch {
		case asked.Add(1) == 1:
			return identity.Sign(keyFile, "1", 8*time.Second)
		case !gone.Load():
			return "", errors.New("the issuer is away")
		case late.CompareAndSwap(false, true):
			return identity.Sign(keyFile, "1", -time.Minute) // and then it is behind the times
		}
		return identity.Sign(keyFile, "1", time.Hour)
	}})
	must(t, err)
	limit, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var ends []error
	refused := 0
	for s := range c.States(limit) {
		if s.Phase == client.Disconnected {
			ends = append(ends, s.Err)
			if why, ok := errors.AsType[*client.RefusedError](s.Err); ok && why.Code == protocol.CodeTokenExpired {
				refused++
			}
			gone.Store(true)
		}
		if s.Phase == client.Connected && len(ends) > 0 {
			break
		}
	}
	if limit.Err() != nil || len(ends) == 0 || ends[0].Error() != "closed by the server: 4007 token_expired" || refused != 1 {
		t.Errorf("it was disconnected by %q, and refused %d times", ends, refused)
	}
	must(t, c.Close(t.Context()))
}
