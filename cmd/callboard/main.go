// Command callboard is the messaging service and everything around it: serve
// runs it, listen and send are users of it, user, session, tree, stats, top, watch,
// broadcast, config and drain are its operators' tools, health asks whether it is
// ready, version says what was built. DESIGN.md says
// why they are as they are.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run returns the exit status: 0, or another with one line on stderr.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends things in order; from then on the second is the
	// system's, and ends the process at once.
	context.AfterFunc(ctx, stop)

	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "callboard: "+err.Error())
		return int(statusOf(err))
	}
	return 0
}

// newCommand is the whole command line.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "callboard",
		Short: "User-to-user messaging that you run yourself",
		Long: `User-to-user messaging that you run yourself.

serve runs the service; listen and send are users of it. The other commands are its
operators': they look into a running service and act on it through its admin API, with
the token that the service has written into its data directory. -o json and the exit
status ('callboard help exit-codes') are for scripts, and stay as they are.`,
		Example: `  callboard serve
  callboard listen --as 2
  callboard send --as 1 --to 2 "hello"`,
		SilenceErrors: true, // run prints them, in one line
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,

		Args: unknownCommand,
		RunE: help,
	}
	root.AddCommand(newServe(), newListen(), newSend(), newUser(), newSession(), newTree(), newDeadletter(), newStats(), newWatch(), newBroadcast(), newConfig(), newAdmin(), newToken(), newDrain(), newInbox(), newHealth(), newBench(), newVersion(), newTop(), newExitCodes())
	addExamples(root)
	adviseHelp(root)
	return root
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// unknownCommand refuses what is no command, in one line. What stands in front of it says more
// than the flags behind it, which are another command's.
func unknownCommand(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "--help" || args[0] == "-h":
		return nil
	case strings.HasPrefix(args[0], "-"):
		return fmt.Errorf("unknown flag: %s", args[0])
	}
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		return fmt.Errorf("there is no command %q; did you mean %s", args[0], strings.Join(similar, " or "))
	}
	return fmt.Errorf("there is no command %q", args[0])
}

// addExamples completes the help of the commands that cobra brings.
func addExamples(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	examples := map[string]string{
		"help":       "  callboard help serve",
		"completion": "  source <(callboard completion bash)",
		"bash":       "  callboard completion bash > /etc/bash_completion.d/callboard",
		"zsh":        "  callboard completion zsh > \"${fpath[1]}/_callboard\"",
		"fish":       "  callboard completion fish > ~/.config/fish/completions/callboard.fish",
		"powershell": "  callboard completion powershell | Out-String | Invoke-Expression",
	}
	walk(root, func(cmd *cobra.Command) {
		if cmd.Example == "" {
			cmd.Example = examples[cmd.Name()]
		}
		if cmd.Name() == "help" {
			cmd.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return unknownCommand(found, rest)
				}
				return nil
			}
		}
	})
}

// adviseHelp makes every complaint about a command line end with where to look.
func adviseHelp(root *cobra.Command) {
	advise := func(cmd *cobra.Command, err error) error {
		return misused("%w; see '%s --help'", err, cmd.CommandPath())
	}
	root.SetFlagErrorFunc(advise)
	walk(root, func(cmd *cobra.Command) {
		if !cmd.Runnable() { // cobra would print help whatever the arguments, and exit with 0
			cmd.RunE = help
		}
		if cmd.HasSubCommands() { // it has arguments and flags only by mistake
			cmd.DisableFlagParsing, cmd.Args = true, unknownCommand
		}
		check := cmd.Args
		if check == nil {
			return
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			switch {
			case err == nil:
				return nil
			case strings.HasPrefix(err.Error(), "accepts "): // cobra's ExactArgs
				err = fmt.Errorf("%w: it is '%s'", err, cmd.UseLine())
			case !cmd.HasSubCommands() && strings.HasPrefix(err.Error(), "unknown command "): // its NoArgs
				err = fmt.Errorf("%q is too much: it is '%s'", args[0], cmd.UseLine())
			}
			return advise(cmd, err)
		}
	})
}

// walk calls do for a command and all below it.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, below := range cmd.Commands() {
		walk(below, do)
	}
}
