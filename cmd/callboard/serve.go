package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport"
	"callboard/transport/admin"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	listen         string
	insecure       bool
	allowOrigins   []string
	drain          time.Duration
	maxConnections int
	shards         shardOptions
	logLevel       string
	logFormat      string
	inboxEntries   int
	inboxBytes     int
	store          storeOptions
	admin          adminOptions
	settings       func() []admin.Setting // for GetConfig
}

func newServe() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service until SIGINT or SIGTERM: then it accepts nobody any more,
closes all sessions evenly over the drain time, and exits. A second signal ends
it at once.

Users connect at ws://ADDRESS/ws/{id}. /healthz and /readyz answer whoever
watches over the service.

Messages are kept in the directory that --data names, for --retention-age, and of an
inbox that a device has fetched the newest --retention-entries. One service at a time
uses it.

Operators call the admin API at --admin, with the token that the first start writes
into the file admin-token of that directory (with --store memory: of callboard in the
user's cache directory). The commands user, session, tree, stats, broadcast, config and
drain, and send without --as, find it there.`,
		Example: `  callboard serve
  callboard serve --listen 127.0.0.1:9000 --allow-origin https://app.example.org
  callboard serve --data /var/lib/callboard --retention-age 168h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.settings = settingsOf(cmd.Flags())
			o.shards.given = cmd.Flags().Changed("shards")
			return serve(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "address to listen on, host:port")
	f.BoolVar(&o.insecure, "insecure", false, "listen on other addresses than loopback, though nobody has to prove who they are")
	f.StringSliceVar(&o.allowOrigins, "allow-origin", nil, "origin whose pages may connect, like https://app.example.org; may be repeated")
	f.DurationVar(&o.drain, "drain", 10*time.Second, "time over which the sessions are closed at the end")
	f.IntVar(&o.maxConnections, "max-connections", 100_000, "connections at once; one more gets 503")
	o.shards.flags(f)
	f.IntVar(&o.inboxEntries, "inbox-entries", protocol.MaxInboxEntries, "messages that may wait in one inbox for a user whom no device has fetched them for; one more is refused")
	f.IntVar(&o.inboxBytes, "inbox-bytes", protocol.MaxInboxBytes, "bytes of them")
	o.store.flags(f)
	o.admin.flags(f)
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	return cmd
}

// serve runs the service until the context is done.
func serve(ctx context.Context, o *serveOptions) error {
	logger, err := newLogger(o.logLevel, o.logFormat)
	if err != nil {
		return err
	}
	if o.drain <= 0 {
		return misused("--drain is %s: give a time above zero, like 10s", o.drain)
	}
	if err := errors.Join(checkListen(o.listen, o.insecure), o.admin.check(o.insecure)); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return fmt.Errorf("%w; is another program there? --listen gives another address", err)
	}
	defer listener.Close()
	admins, err := o.admin.open(ctx)
	if err != nil {
		return err
	}
	if admins != nil {
		defer admins.Close()
	}
	inboxes, err := o.store.open(logger)
	if err != nil {
		return err
	}
	err = o.run(ctx, listener, admins, inboxes, logger)
	return errors.Join(err, closeStore(inboxes))
}

// run serves what comes to the listeners; admins may be nil.
func (o *serveOptions) run(ctx context.Context, listener, admins net.Listener, inboxes store, logger *slog.Logger) error {
	shards, auto, err := o.shards.start(&o.store)
	if err != nil {
		return err
	}
	system, err := actors.New(actors.Config{
		Store: inboxes, Shards: shards, AutoScale: auto, KeepShards: o.store.keepShards, MaxInboxEntries: o.inboxEntries, MaxInboxBytes: o.inboxBytes,
		ForgetDevicesAfter: o.store.retentionAge, Log: logger,
	})
	if err != nil {
		return err
	}
	server, err := transport.New(system, transport.Config{
		MaxConnections: o.maxConnections, AllowOrigins: o.allowOrigins, Log: logger,
	})
	if err != nil {
		return errors.Join(err, stopSystem(system))
	}
	endAdmin, err := o.serveAdmin(ctx, system, admins, logger)
	if err != nil {
		return errors.Join(err, stopSystem(system))
	}
	logger.Info("serving", slog.String("address", listener.Addr().String()), slog.String("store", o.store.kind),
		slog.String("version", buildVersion().String()))
	go paceCollector(ctx) // ends with the context
	err = server.Serve(ctx, listener, o.drain)
	endAdmin() // it has shown the drain
	err = errors.Join(err, stopSystem(system))
	logger.Info("stopped")
	return err
}

// stopTimeout is how long the actors may take to end: what they have taken on is
// committed by then.
const stopTimeout = 5 * time.Second

func stopSystem(system *actors.System) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return system.Stop(ctx)
}

// closeStore does not wait for ever for a disk that hangs: what was confirmed is on it.
func closeStore(inboxes store) error {
	closed := make(chan error, 1)
	go func() { closed <- inboxes.Close() }() // ends with the process if the disk hangs
	select {
	case err := <-closed:
		return err
	case <-time.After(stopTimeout):
		return fmt.Errorf("closing the store took more than %s: the disk hangs", stopTimeout)
	}
}

// checkListen keeps a service without sign-in away from other machines.
func checkListen(address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return misused("--listen %q: %w; give host:port, like 127.0.0.1:8080", address, err)
	}
	if insecure || host == "localhost" {
		return nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return misused("--listen %s would let other machines in, and anyone there could speak as any user, "+
		"for there is no sign-in yet; listen on 127.0.0.1 behind a proxy that knows your users, or give --insecure", address)
}

// newLogger writes to stderr.
func newLogger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, misused("--log-level %q: give debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options)), nil
	}
	return nil, misused("--log-format %q: give text or json", format)
}
