package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"callboard/transport/admin"
	"callboard/transport/admin/adminv1"
)

func newConfigShow() *cobra.Command {
	var o callerOptions
	show := &cobra.Command{
		Use:     "show",
		Short:   "Show each setting of a running service, its value and where that is from; secrets are masked",
		Example: "  callboard config show\n  callboard config show -o json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return showConfig(cmd.Context(), &o, cmd.OutOrStdout()) },
	}
	o.report(show)
	return show
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

// settings are those in force, for GetConfig.
func (r *reloader) settings() (settings []admin.Setting) {
	for _, s := range r.loaded.Load().Effective() {
		settings = append(settings, admin.Setting{Key: s.Key, Value: s.Value, Source: s.Source})
	}
	return settings
}
