package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"callboard/actors"
	"callboard/cmd/callboard/config"
	"callboard/transport"
	"callboard/transport/identity"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the service",
		Long: `Run the service until SIGINT or SIGTERM: then it accepts nobody any more,
closes all sessions evenly over the drain time, and exits. A second signal ends
it at once.

Users connect at ws://ADDRESS/ws/{id}, with --tls-cert and --tls-key at wss://. /healthz and /readyz answer whoever
watches over the service.

Where --identity-issuer or --identity-development is given, everybody who connects
shows a JSON Web Token whose sub is the user. Without either nobody has to prove who
they are, and only loopback is served, or what --insecure allows.

Settings come from the YAML file that --config or CALLBOARD_CONFIG names, from the
environment (CALLBOARD_DRAIN for --drain), and from flags; the later goes over the
earlier. SIGHUP reads them again. 'callboard config docs' prints them all.

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
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), sources(cmd.Flags())) },
	}
	configFlag(cmd.Flags())
	config.Flags(cmd.Flags())
	return cmd
}

// serve runs the service until the context is done.
func serve(ctx context.Context, from config.Sources) error {
	hangups := catchHangups() // from here on none ends the process
	defer hangups.stop()
	loaded, err := config.Load(from)
	if err != nil {
		return misconfigured(err)
	}
	c := &loaded.Config
	r := newReloader(from, loaded)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("%w; is another program there? --listen gives another address", err)
	}
	defer listener.Close()
	if err := c.BoundUsers(listener.Addr()); err != nil {
		return misconfigured(err)
	}
	admins, err := openAdmin(ctx, c)
	if err != nil {
		return err
	}
	if admins != nil {
		defer admins.Close()
	}
	certificates, err := loadCertificates(ctx, r)
	if err != nil {
		return err
	}
	defer certificates.end()
	verifier, err := openIdentity(c, r.log)
	if err != nil {
		return err
	}
	inboxes, err := openStore(c, r.log)
	if err != nil {
		return err
	}
	o := &opened{listener: listener, admins: admins, certificates: certificates, verifier: verifier, inboxes: inboxes}
	return errors.Join(o.serve(ctx, r, hangups), closeStore(inboxes))
}

// opened is what a service has opened to serve with; verifier and admins may be nil.
type opened struct {
	listener, admins net.Listener
	certificates     *certificates
	verifier         *identity.Verifier
	inboxes          store
	traces           *traces
}

// serve serves what comes to the listeners, with the traces of messages recorded or not.
func (o *opened) serve(ctx context.Context, r *reloader, hangups *hangups) error {
	traces, err := startTraces(ctx, r)
	if err != nil {
		return err
	}
	o.traces = traces
	return errors.Join(o.serveUsers(ctx, r, hangups), traces.end())
}

func (o *opened) serveUsers(ctx context.Context, r *reloader, hangups *hangups) error {
	c, logger := &r.loaded.Load().Config, r.log
	shards, auto, err := shardsOf(c)
	if err != nil {
		return err
	}
	own := actorsOf(c)
	own.Store, own.Shards, own.AutoScale, own.KeepShards = o.inboxes, shards, auto, keepShards(c)
	own.Tracer, own.Log = o.traces.forActors(), logger
	system, err := actors.New(own)
	if err != nil {
		return err
	}
	live := liveOf(c)
	server, err := transport.New(system, transport.Config{
		MaxConnections: c.MaxConnections, AllowOrigins: c.AllowOrigins, TLS: o.certificates.users, Log: logger,
		Identity: o.verifier, TokenGrace: c.Identity.Grace, TokenInQuery: c.Identity.QueryToken,
		MaxPending: live.MaxPending, Attempts: live.Attempts, Exempt: live.Exempt, Proxies: live.Proxies,
	})
	if err != nil {
		return errors.Join(err, stopSystem(system))
	}
	r.reloads(system, server, o.inboxes)
	endAdmin, err := serveAdmin(ctx, r, system, server, o)
	if err != nil {
		return errors.Join(err, stopSystem(system))
	}
	for _, warning := range r.loaded.Load().Warnings {
		logger.Warn("environment", slog.String("problem", warning))
	}
	sayIdentity(c, logger)
	endIdentity := runIdentity(ctx, r, o.verifier, server)
	endReload := hangups.each(r.reload)
	logger.Info("serving", slog.String("address", o.listener.Addr().String()), slog.String("store", c.Store.Kind), slog.Bool("tls", c.TLS.Cert != ""), slog.Bool("tokens", o.verifier != nil),
		slog.String("version", buildVersion().String()))
	go paceCollector(ctx) // ends with the context
	err = server.Serve(ctx, o.listener, c.Drain)
	endReload()
	endIdentity()
	endAdmin() // it has shown the drain
	err = errors.Join(err, stopSystem(system))
	logger.Info("stopped")
	return err
}

func intensityOf(c *config.Config) actors.Intensity {
	s := &c.Supervision
	return actors.Intensity{Failures: s.Failures, Window: s.Window, Park: s.Park, MaxPark: s.MaxPark}
}

// supervisionOf is what the levels above and beside the users are given.
func supervisionOf(c *config.Config) actors.Supervision {
	s := &c.Supervision
	return actors.Supervision{
		Registry: actors.Intensity(s.Registry), Shard: actors.Intensity(s.Shard), Gateway: actors.Intensity(s.Gateway),
		Doorkeeper: actors.Intensity(s.Doorkeeper), Coroner: actors.Intensity(s.Coroner), Journal: actors.Intensity(s.Journal),
		RetryAfter: s.RetryAfter, MaxRetryAfter: s.MaxRetryAfter,
	}
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

// newLogger writes to stderr.
func newLogger(level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}
