package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"callboard/actors/inbox/pebble"
	"callboard/protocol"
)

func newInboxShow() *cobra.Command {
	var o inboxOptions
	cmd := &cobra.Command{
		Use:   "show USER",
		Short: "Show how far an inbox and its devices are",
		Long: `Show the numbers of the newest message (head) and of the last one that is gone
(floor), what lies between, and for each device how far it is.`,
		Example: "  callboard inbox show 2 --data ./callboard-data",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			user, err := parseUser("USER", args[0])
			if err != nil {
				return err
			}
			return o.with(func(s *pebble.Store) error { return showInbox(&o, s, user, cmd.OutOrStdout()) })
		},
	}
	o.flags(cmd)
	return cmd
}

func showInbox(o *inboxOptions, store *pebble.Store, user protocol.UserID, out io.Writer) error {
	u, err := store.User(user)
	if err != nil {
		return err
	}
	if u.Head == 0 && len(u.Devices) == 0 {
		return exits(exitNotFound, fmt.Errorf("nobody ever wrote to %s, and it has no device; 'callboard inbox stats' names some who have", user))
	}
	found := newFoundInbox(u)
	return o.report(out, found, func(t *table) {
		t.row("user\t%s\nhead\t%d\nfloor\t%d\nentries\t%d\nbytes\t%s\noldest\t%s\n",
			found.User, found.Head, found.Floor, found.Entries, size(found.Bytes), moment(found.Oldest))
		t.head("DEVICE\tCURSOR\tLAG\tSEEN")
		for _, d := range found.Devices {
			t.row("%s\t%d\t%d\t%s", deviceName(d.Name), d.Cursor, d.Lag, moment(d.Seen))
		}
	})
}

func deviceName(name string) string {
	if name == "" {
		return "(nameless)"
	}
	return printable(name)
}

func newInboxStats() *cobra.Command {
	var o inboxOptions
	cmd := &cobra.Command{
		Use:     "stats",
		Short:   "Show how much there is, and whose inboxes are the largest",
		Long:    `Add up all inboxes, and name those with the most bytes and those with the slowest devices.`,
		Example: "  callboard inbox stats -o json | jq .totals",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.with(func(s *pebble.Store) error { return inboxStats(cmd.Context(), &o, s, cmd.OutOrStdout()) })
		},
	}
	o.flags(cmd)
	return cmd
}

// foundStats is what stats says.
type foundStats struct {
	Epoch   uint32       `json:"epoch"` // 0: no service has opened it since there are epochs
	Totals  foundTotals  `json:"totals"`
	Largest []foundInbox `json:"largest"`
	Slowest []foundInbox `json:"slowest"`
}

type foundTotals struct {
	Users     uint64 `json:"users"`
	Devices   uint64 `json:"devices"`
	Entries   uint64 `json:"entries"`
	Bytes     uint64 `json:"bytes"`
	DiskBytes uint64 `json:"disk_bytes"`
}

// topInboxes is how many inboxes stats names.
const topInboxes = 10

func inboxStats(ctx context.Context, o *inboxOptions, store *pebble.Store, out io.Writer) error {
	var total pebble.Stats
	found := foundStats{Epoch: store.Epoch(), Largest: []foundInbox{}, Slowest: []foundInbox{}}
	for u, err := range store.Users(ctx) {
		if err != nil {
			return fmt.Errorf("reading the inboxes: %w", err)
		}
		total.Add(u)
		one := newFoundInbox(u)
		found.Largest = rank(found.Largest, one, func(i foundInbox) uint64 { return i.Bytes })
		found.Slowest = rank(found.Slowest, one, func(i foundInbox) uint64 { return i.Lag })
	}
	store.Disk(&total)
	found.Totals = foundTotals{total.Users, total.Devices, total.Entries, total.Bytes, total.DiskBytes}
	return o.report(out, found, func(t *table) {
		sum := found.Totals
		t.row("epoch\t%d\nusers\t%d\ndevices\t%d\nentries\t%s\nbytes\t%s\nbytes on disk\t%s",
			found.Epoch, sum.Users, sum.Devices, count(sum.Entries), size(sum.Bytes), size(sum.DiskBytes))
		ranking(t, "LARGEST", found.Largest)
		ranking(t, "SLOWEST", found.Slowest)
	})
}

// rank inserts an inbox where it belongs among the first few, those with 0 left out.
func rank(first []foundInbox, one foundInbox, by func(foundInbox) uint64) []foundInbox {
	if by(one) == 0 {
		return first
	}
	at, _ := slices.BinarySearchFunc(first, by(one), func(i foundInbox, value uint64) int { return cmp.Compare(value, by(i)) })
	first = slices.Insert(first, at, one)
	return first[:min(len(first), topInboxes)]
}

func ranking(t *table, title string, inboxes []foundInbox) {
	if len(inboxes) == 0 {
		return
	}
	t.row("")
	t.head(title + "\tENTRIES\tBYTES\tDEVICES\tLAG")
	for _, i := range inboxes {
		t.row("%s\t%d\t%s\t%d\t%d", i.User, i.Entries, size(i.Bytes), len(i.Devices), i.Lag)
	}
}
