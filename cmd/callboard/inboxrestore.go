package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"callboard/actors/inbox/pebble"
)

func newInboxRestore() *cobra.Command {
	var o inboxOptions
	var from string
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Put a copy of the inboxes back",
		Long: `Put a copy that 'callboard inbox backup' has made into the directory --data, before
the service starts. The directory must not be there, or hold no files but the admin
token. The copy is verified there, and gets a new epoch as by 'callboard inbox renew', so
that clients notice and miss nothing; the backup stays as it is.

If this is cut off, no service starts in the directory: empty it, and restore again.`,
		Example: "  callboard inbox restore --from /mnt/backups/2026-01-01 --data ./callboard-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return restore(cmd.Context(), &o, from, cmd.OutOrStdout())
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&from, "from", "", "directory of the backup")
	return cmd
}

func restore(ctx context.Context, o *inboxOptions, from string, out io.Writer) error {
	if from == "" {
		return misused("--from is missing: name the directory of a backup")
	}
	made, err := pebble.Restore(ctx, from, o.data, pebble.Config{}, adminTokenName)
	switch {
	case errors.Is(err, pebble.ErrLocked):
		return exits(exitRefused, fmt.Errorf("%s is in use: it is no backup; 'callboard inbox backup' makes one of a service that runs", from))
	case errors.Is(err, pebble.ErrExists):
		return exits(exitRefused, fmt.Errorf("%s is not empty: move away what is there, or name another directory with --data", o.data))
	case errors.Is(err, fs.ErrNotExist):
		return exits(exitNotFound, fmt.Errorf("there is no backup in %s: give the directory that 'callboard inbox backup' has named", from))
	case err != nil:
		return fmt.Errorf("%w; %s cannot be used: empty it, and restore again", err, o.data)
	}
	return o.report(out, foundCopy{o.data, made.Epoch, made.Files, made.Bytes}, func(t *table) {
		fillBackup(t, o.data, made.Epoch, made.Files, made.Bytes)
	})
}
