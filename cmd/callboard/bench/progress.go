package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// barWidth is how many characters the bar has.
const barWidth = 24

// A Line shows the progress on one line of a terminal, again and again.
type Line struct {
	out  io.Writer
	last int // width of what stands there
}

// NewLine shows on a terminal, and nil, which shows nothing, on anything else: a file
// has no use for it.
func NewLine(out io.Writer) *Line {
	file, ok := out.(*os.File)
	if !ok {
		return nil
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return nil
	}
	return &Line{out: out}
}

// Show replaces what stands there.
func (l *Line) Show(p Progress) {
	if l == nil {
		return
	}
	full := int(min(max(p.Share, 0), 1) * barWidth)
	text := fmt.Sprintf("%-12s [%s%s] %s", p.Phase, strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), p.Done)
	if p.Errors > 0 {
		text += fmt.Sprintf("  %d errors", p.Errors)
	}
	if p.Message != "" {
		l.Clear()
		_, _ = fmt.Fprintln(l.out, p.Message) // whether anybody can see it makes no difference
	}
	l.replace(text)
}

// Clear leaves the line as it was.
func (l *Line) Clear() {
	if l != nil {
		l.replace("")
		_, _ = io.WriteString(l.out, "\r") // as above
	}
}

func (l *Line) replace(text string) {
	width := utf8.RuneCountInString(text)
	_, _ = fmt.Fprintf(l.out, "\r%s%s", text, strings.Repeat(" ", max(0, l.last-width))) // whether anybody can see it makes no difference
	l.last = width
}
