package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

// inboxOptions are the flags of the commands that look into a store.
type inboxOptions struct {
	data   string
	output format
}

func newInbox() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Look into the inboxes of a service that is stopped, back them up and restore them",
		Long: `Look into the directory that a service keeps its inboxes in, while the service is
stopped. Nothing in the directory is changed, but by renew and restore. backup copies the
inboxes of a service that runs, too.`,
		Example: "  callboard inbox stats --data ./callboard-data",
	}
	cmd.AddCommand(newInboxStats(), newInboxShow(), newInboxVerify(), newInboxRenew(), newInboxBackup(), newInboxRestore())
	return cmd
}

func (o *inboxOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.data, "data", "./callboard-data", "directory of the inboxes")
	o.output.flags(cmd)
}

// report writes what a command found.
func (o *inboxOptions) report(out io.Writer, found any, fill func(*table)) error {
	return o.output.write(out, false, plainJSON(found), fill)
}

// with opens the store for reading and calls look.
func (o *inboxOptions) with(look func(*pebble.Store) error) error {
	return o.open(pebble.Config{ReadOnly: true}, look)
}

// changing opens the store for writing and calls change.
func (o *inboxOptions) changing(change func(*pebble.Store) error) error {
	return o.open(pebble.Config{}, change)
}

func (o *inboxOptions) open(config pebble.Config, call func(*pebble.Store) error) error {
	store, err := pebble.Open(o.data, config)
	switch {
	case errors.Is(err, pebble.ErrLocked):
		return exits(exitRefused, fmt.Errorf("%s is in use: stop the service first, or give another directory with --data", o.data))
	case errors.Is(err, fs.ErrNotExist):
		return exits(exitNotFound, fmt.Errorf("there are no inboxes in %s: give the directory of the service with --data", o.data))
	case err != nil:
		return err
	}
	err = call(store)
	return errors.Join(err, store.Close())
}

// foundInbox is what is shown of one inbox.
type foundInbox struct {
	User    protocol.UserID `json:"user"`
	Head    uint64          `json:"head"`
	Floor   uint64          `json:"floor"`
	Entries uint64          `json:"entries"`
	Bytes   uint64          `json:"bytes"`
	Lag     uint64          `json:"lag"` // how many the slowest device does not have; all, if there is none
	Oldest  int64           `json:"oldest_ms,omitempty"`
	Devices []foundDevice   `json:"devices"`
}

type foundDevice struct {
	Name   string `json:"name"`
	Cursor uint64 `json:"cursor"`
	Lag    uint64 `json:"lag"`
	Seen   int64  `json:"seen_ms"`
}

func newFoundInbox(u pebble.User) foundInbox {
	found := foundInbox{
		User: u.ID, Head: u.Head, Floor: u.Floor, Entries: u.Head - u.Floor, Bytes: u.Bytes, Oldest: u.Oldest,
		Devices: []foundDevice{},
	}
	for _, d := range u.Devices {
		device := foundDevice{Name: d.Name, Cursor: d.Cursor, Seen: d.Seen}
		if d.Cursor < u.Head {
			device.Lag = u.Head - d.Cursor
		}
		found.Lag = max(found.Lag, device.Lag)
		found.Devices = append(found.Devices, device)
	}
	if len(u.Devices) == 0 {
		found.Lag = found.Entries
	}
	return found
}

func newInboxVerify() *cobra.Command {
	var o inboxOptions
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that the inboxes are whole",
		Long: `Read everything and check that messages follow each other without a gap, that the
index of their ids and the sums agree with them, and that no device is ahead of its
inbox. What is broken is printed, a line for each fault, and the exit status is 1.`,
		Example: "  callboard inbox verify --data ./callboard-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(func(s *pebble.Store) error { return verifyInboxes(cmd.Context(), &o, s, cmd.OutOrStdout()) })
		},
	}
	o.flags(cmd)
	return cmd
}

// foundFault is what is wrong with an inbox.
type foundFault struct {
	User  protocol.UserID `json:"user"`
	Fault string          `json:"fault"`
}

func verifyInboxes(ctx context.Context, o *inboxOptions, store *pebble.Store, out io.Writer) error {
	faults := []foundFault{}
	if err := store.Verify(ctx, func(p pebble.Problem) {
		faults = append(faults, foundFault{p.User, p.Text})
	}); err != nil {
		return err
	}
	if err := o.report(out, map[string]any{"faults": faults}, func(t *table) {
		for _, f := range faults {
			t.row("%s\t%s", printable(string(f.User)), printable(f.Fault))
		}
		if len(faults) == 0 {
			t.row("all inboxes are whole")
		}
	}); err != nil {
		return err
	}
	if len(faults) > 0 {
		return fmt.Errorf("%d faults found in %s: keep a copy of it, and restore the last backup or report this", len(faults), o.data)
	}
	return nil
}
