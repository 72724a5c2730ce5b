package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"callboard/cmd/callboard/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "See what is and can be configured, and check a file",
		Long: `See how a service is configured, what it can be configured with, and check a file before it is used. The
service reads a YAML file that --config or CALLBOARD_CONFIG names; the environment goes over
the file, and flags go over both. SIGHUP reads them again.`,
		Example: "  callboard config show\n  callboard config docs\n  callboard config check callboard.yaml",

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	cmd.AddCommand(newConfigShow(), newConfigDocs(), newConfigCheck())
	return cmd
}

func newConfigDocs() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "docs",
		Short: "Print every setting",
		Long: `Print every setting with its key, flag, default, bounds and what a reload does with it:
as a table in Markdown, or as a YAML file to begin with, in which everything is commented out.`,
		Example: "  callboard config docs\n  callboard config docs -o yaml > callboard.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			switch output {
			case "markdown":
				err = config.WriteMarkdown(cmd.OutOrStdout())
			case "yaml":
				err = config.WriteYAML(cmd.OutOrStdout())
			default:
				return misused("--output %q: give markdown or yaml", output)
			}
			if err != nil {
				return fmt.Errorf("printing: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "markdown", "markdown or yaml")
	return cmd
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE [flags of serve]",
		Short: "Check a configuration file",
		Long: `Check a configuration file as 'callboard serve' with the same environment and flags would
read it. Each fault is a line, with the line of the file, the key, what is wrong and what to
do about it; then the exit status is 1. Files that the configuration names are not opened.`,
		Example: "  callboard config check callboard.yaml\n  callboard config check /etc/callboard/callboard.yaml --insecure",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := config.Load(config.Sources{File: args[0], Environ: os.Environ(), Flags: cmd.Flags()})
			faults, ok := errors.AsType[config.FaultError](err)
			if err != nil && !ok {
				return misconfigured(err)
			}
			lines := make([]string, 0, len(faults)+1)
			for _, fault := range faults {
				lines = append(lines, fault.String())
			}
			if err == nil {
				lines = append(lines, loaded.Warnings...)
				lines = append(lines, args[0]+" is right")
			}
			for _, line := range lines {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), printable(line)); err != nil {
					return fmt.Errorf("printing: %w", err)
				}
			}
			switch len(faults) {
			case 0:
				return nil
			case 1:
				return fmt.Errorf("there is a fault in the configuration; the line above says which")
			}
			return fmt.Errorf("there are %d faults in the configuration; the lines above say which", len(faults))
		},
	}
	config.Flags(cmd.Flags())
	return cmd
}

// misconfigured gives an error of the configuration its exit status.
func misconfigured(err error) error {
	if _, ok := errors.AsType[config.FaultError](err); ok {
		return exits(exitUsage, err)
	}
	if errors.Is(err, config.ErrNoFile) {
		return exits(exitNotFound, err)
	}
	return err
}

// configFlag names the file of the configuration.
func configFlag(f *pflag.FlagSet) {
	f.String("config", "", "YAML file of settings, which the environment and flags go over; or else "+config.FileVariable+" names it")
}

// sources are where the configuration of a command with these flags comes from.
func sources(f *pflag.FlagSet) config.Sources {
	from := config.Sources{File: os.Getenv(config.FileVariable), Environ: os.Environ(), Flags: f}
	if f.Changed("config") {
		from.File, _ = f.GetString("config") // configFlag has made it a string
	}
	return from
}
