package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"callboard/transport/admin"
	"callboard/transport/admin/adminv1"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Look at the configuration of a running service",
		Example: "  callboard config show",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	var o callerOptions
	show := &cobra.Command{
		Use:     "show",
		Short:   "Show each setting, its value and where that is from; secrets are masked",
		Example: "  callboard config show\n  callboard config show -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return showConfig(cmd.Context(), &o, cmd.OutOrStdout()) },
	}
	o.report(show)
	cmd.AddCommand(show)
	return cmd
}

func showConfig(ctx context.Context, o *callerOptions, out io.Writer) error {
	client, err := o.dial()
	if err != nil {
		return err
	}
	found, err := client.GetConfig(ctx, &adminv1.GetConfigRequest{})
	if err != nil {
		return o.explained(err)
	}
	return o.print(out, found, func(t *table) {
		t.head("SETTING\tVALUE\tFROM")
		for _, s := range found.Settings {
			t.row("%s\t%s\t%s", printable(s.Key), dash(s.Value), printable(s.Source))
		}
	})
}

// settingsOf are the flags of serve as they are. None is a secret: tokens are in files.
func settingsOf(flags *pflag.FlagSet) func() []admin.Setting {
	return func() (settings []admin.Setting) {
		flags.VisitAll(func(f *pflag.Flag) {
			if f.Name == "help" {
				return
			}
			source := "default"
			if f.Changed {
				source = "flag"
			}
			settings = append(settings, admin.Setting{Key: f.Name, Value: f.Value.String(), Source: source})
		})
		return settings
	}
}
