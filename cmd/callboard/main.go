// Command callboard is the messaging service and everything around it: serve
// runs it, listen and send are users of it, version says what was built.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run returns the exit status: 0, or 1 with one line on stderr.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends things in order; from then on the second is the
	// system's, and ends the process at once.
	context.AfterFunc(ctx, stop)

	if err := newCommand().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "callboard: "+err.Error())
		return 1
	}
	return 0
}

// newCommand is the whole command line.
func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "callboard",
		Short:         "User-to-user messaging that you run yourself",
		SilenceErrors: true, // run prints them, in one line
		SilenceUsage:  true,
	}
	root.AddCommand(newServe(), newVersion())
	return root
}
