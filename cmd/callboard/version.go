package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say what was built, from which commit",
		Example: `  callboard version`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "callboard "+buildVersion().String())
			return err
		},
	}
}

// version is what the Go toolchain wrote into the binary.
type version struct {
	module, commit, time string
	modified             bool
}

func buildVersion() version {
	v := version{module: "(devel)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.module = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.commit = setting.Value
		case "vcs.time":
			v.time = setting.Value
		case "vcs.modified":
			v.modified = setting.Value == "true"
		}
	}
	return v
}

// String is one line: version, commit, its time, Go and platform.
func (v version) String() string {
	s := v.module
	if v.commit != "" {
		s += " commit " + v.commit[:min(12, len(v.commit))]
		if v.modified {
			s += " (modified)"
		}
		s += " of " + v.time
	}
	return s + " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
}
