package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// terminal is a run of the binary in a real terminal, tmux's.
type terminal struct {
	t      *testing.T
	socket string
	status string // the file that gets the exit status
}

// inTerminal starts the binary in a terminal of 80 columns and 24 lines.
func inTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux: apt-get install tmux")
	}
	folder := t.TempDir()
	config := filepath.Join(folder, "config")
	if err := os.WriteFile(config, []byte("set -g remain-on-exit on\nset -g status off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t, filepath.Join(folder, "s"), filepath.Join(folder, "status")}
	// The shell keeps the exit status, which tmux now and then does not learn.
	keeping := `trap : INT; file=$0; "$@"; echo $? >"$file.new"; mv "$file.new" "$file"`
	term.tmux(append([]string{"-f", config, "new-session", "-d", "-x", "80", "-y", "24", "--", "sh", "-c", keeping, term.status, binary}, args...)...)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the screen of callboard %s:\n%s", strings.Join(args, " "), term.screen())
		}
		term.tmux("kill-server")
	})
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	if err != nil {
		term.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (term *terminal) screen() string { return term.tmux("capture-pane", "-p") }

// colours is the screen with the codes of its colours.
func (term *terminal) colours() string { return term.tmux("capture-pane", "-p", "-e") }

// press presses keys, as tmux names them.
func (term *terminal) press(keys ...string) {
	term.t.Helper()
	for _, key := range keys {
		term.tmux("send-keys", key)
	}
}

// waitFor waits until the screen is as it should be.
func (term *terminal) waitFor(is func(screen string) bool, what string) string {
	term.t.Helper()
	limit := time.Now().Add(patience)
	for {
		screen := term.screen()
		if is(screen) {
			return screen
		}
		if time.Now().After(limit) {
			term.t.Fatalf("the screen never showed %s:\n%s", what, screen)
		}
		time.Sleep(50 * time.Millisecond) // another process: nothing tells when it has drawn
	}
}

// shows waits until the screen matches.
func (term *terminal) shows(pattern string) string {
	term.t.Helper()
	return term.waitFor(regexp.MustCompile("(?m)"+pattern).MatchString, pattern)
}

// hides waits until it does not.
func (term *terminal) hides(pattern string) {
	term.t.Helper()
	expression := regexp.MustCompile("(?m)" + pattern)
	term.waitFor(func(screen string) bool { return !expression.MatchString(screen) }, "the end of "+pattern)
}

// ends waits for the end of the program and checks its exit status.
func (term *terminal) ends(status string) {
	term.t.Helper()
	var got []byte
	term.waitFor(func(string) bool {
		var err error
		got, err = os.ReadFile(term.status)
		return err == nil
	}, "the end of the program")
	if strings.TrimSpace(string(got)) != status {
		term.t.Errorf("exit status %s, want %s", got, status)
	}
}
