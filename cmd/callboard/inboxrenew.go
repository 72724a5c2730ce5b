package main

import (
	"io"

	"github.com/spf13/cobra"

	"callboard/actors/inbox/pebble"
)

func newInboxRenew() *cobra.Command {
	var o inboxOptions
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Say that an older copy was put back",
		Long: `Give the inboxes a new epoch. Do this after you have put back an older copy of the
directory, before the service starts.

Messages that come from then on get numbers that others have had, which came after the
copy was made. A client that has those would take the new ones for them and never ask for
them. The epoch tells it that the numbers are others: a device goes on where the copy says
that it was, so that it misses nothing, and may get again what it had since. A client
that keeps the epoch of its cursor sees the change in the CONNECT of the service.

Once too often does no harm but that.`,
		Example: "  callboard inbox renew --data ./callboard-data",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.with(func(*pebble.Store) error { return nil }); err != nil { // it makes none where there is none
				return err
			}
			return o.changing(func(s *pebble.Store) error { return renewInboxes(&o, s, cmd.OutOrStdout()) })
		},
	}
	o.flags(cmd)
	return cmd
}

// foundEpochs is what renew has done.
type foundEpochs struct {
	Before uint32 `json:"before"`
	Epoch  uint32 `json:"epoch"`
}

func renewInboxes(o *inboxOptions, store *pebble.Store, out io.Writer) error {
	found := foundEpochs{Before: store.Epoch()}
	var err error
	if found.Epoch, err = store.Renew(); err != nil {
		return err
	}
	return o.report(out, found, func(t *table) { t.row("before\t%d\nepoch\t%d", found.Before, found.Epoch) })
}
