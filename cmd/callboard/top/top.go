package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"

	"callboard/transport/admin/adminv1"
)

// Config says what is looked at, and how often. All of it must be given.
type Config struct {
	// Dial makes a client of the admin API. It is called again after a call has failed: the
	// token may be another by then.
	Dial func() (adminv1.AdminServiceClient, error)

	// Explain says what an error of a call means for the view, and what to do in one line.
	Explain func(error) (Trouble, string)

	// Detail shows all there is to know of a user, in lines.
	Detail func(*adminv1.GetUserResponse) string

	// Address is where the service is, for the title.
	Address string

	// Every is the time between two looks.
	Every time.Duration
}

// Trouble is why a look has failed.
type Trouble int

// What troubles there are.
const (
	Away       Trouble = iota // nobody answers: it may be restarted just now
	NotAllowed                // the token is not, or not any more, one that may look
	Refused                   // anything else
)

// Run shows the view on the terminal until the operator quits or the context is done.
func Run(ctx context.Context, in io.Reader, out io.Writer, config Config) error {
	program := tea.NewProgram(newModel(config),
		tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(os.Environ()),
		tea.WithoutSignalHandler(), // the context ends with them
		tea.WithFPS(20))
	_, err := program.Run()
	if err != nil && ctx.Err() == nil && !errors.Is(err, tea.ErrInterrupted) {
		return fmt.Errorf("showing the view: %w", err)
	}
	return nil
}
