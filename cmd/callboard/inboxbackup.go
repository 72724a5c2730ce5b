package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"callboard/actors/inbox/pebble"
	"callboard/transport/admin/adminv1"
)

// backupOptions are the flags of inbox backup.
type backupOptions struct {
	callerOptions
	to      string
	stopped bool
}

func newInboxBackup() *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the inboxes of a service that runs, or of one that is stopped",
		Long: `Have the service copy its inboxes, as they are at one moment, to a directory of its
own disk: NAME in its --backup-dir, or a name with the time. It goes on meanwhile. Every
message that was confirmed before is in the copy. On the disk of the inboxes the copy
takes next to no room at first, since files are linked: take it to another machine, and
remove it there. Without its caller the copy ends, and nothing is left of it.

With --stopped copy the directory --data of a service that does not run to the new
directory that --to names.

A copy has the messages and nothing else: no token, no configuration. 'callboard inbox
verify --data' checks it, 'callboard inbox restore' puts it back.`,
		Example: `  callboard inbox backup
  callboard inbox backup --to before-upgrade
  callboard inbox backup --stopped --data ./callboard-data --to /mnt/backups/2026-01-01`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.stopped {
				return copyStopped(cmd.Context(), &o, cmd.OutOrStdout())
			}
			return backup(cmd.Context(), &o, cmd.OutOrStdout())
		},
	}
	o.report(cmd)
	cmd.Flags().StringVar(&o.to, "to", "", "name of the copy; with --stopped, the directory")
	cmd.Flags().BoolVar(&o.stopped, "stopped", false, "copy --data of a service that does not run")
	return cmd
}

func backup(ctx context.Context, o *backupOptions, out io.Writer) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	stream, err := client.BackupInboxes(ctx, &adminv1.BackupInboxesRequest{Name: o.to})
	if err != nil {
		return o.explained(err)
	}
	defer func() { _ = stream.Close() }() // it has said what there is to say
	last := &adminv1.BackupInboxesResponse{}
	for stream.Receive() {
		last = stream.Msg()
	}
	if err := stream.Err(); err != nil {
		return o.explained(err)
	}
	if !last.Done {
		return errors.New("the service ended before the copy was whole, and nothing is left of it: start the service and do this again")
	}
	return o.print(out, last, func(t *table) { fillBackup(t, last.Path, last.Epoch, last.Files, last.Bytes) })
}

func fillBackup[N int64 | uint64](t *table, path string, epoch uint32, files, bytes N) {
	t.row("path\t%s\nepoch\t%d\nfiles\t%d\nbytes\t%d", printable(path), epoch, files, bytes)
}

// foundCopy is what a copy has become.
type foundCopy struct {
	Path  string `json:"path"`
	Epoch uint32 `json:"epoch"`
	Files int64  `json:"files"`
	Bytes int64  `json:"bytes"`
}

func copyStopped(ctx context.Context, o *backupOptions, out io.Writer) error {
	if o.to == "" {
		return misused("--to is missing: name the new directory for the copy, like --to /mnt/backups/%s", time.Now().UTC().Format("2006-01-02"))
	}
	look := inboxOptions{data: o.data, output: o.output}
	made, err := pebble.Copy(ctx, o.data, o.to, pebble.Config{})
	switch {
	case errors.Is(err, pebble.ErrLocked):
		return exits(exitRefused, fmt.Errorf("%s is in use: leave out --stopped to have the service copy it, or stop the service", o.data))
	case errors.Is(err, pebble.ErrExists):
		return exits(exitRefused, fmt.Errorf("there is a %s already: name a new directory with --to", o.to))
	case errors.Is(err, fs.ErrNotExist):
		return exits(exitNotFound, fmt.Errorf("there are no inboxes in %s: give the directory of the service with --data", o.data))
	case err != nil:
		return err
	}
	return look.report(out, foundCopy{o.to, made.Epoch, made.Files, made.Bytes}, func(t *table) {
		fillBackup(t, o.to, made.Epoch, made.Files, made.Bytes)
	})
}
