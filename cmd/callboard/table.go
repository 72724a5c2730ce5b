package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// table is text in columns, filled row by row. What is in colour is so on a terminal
// alone, and not where NO_COLOR is set.
type table struct {
	lines [][]string
}

// columnGap is between two columns.
const columnGap = 2

// The colours: nothing that is as it should be has one.
var (
	headStyle = lipgloss.NewStyle().Bold(true)
	warnStyle = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	badStyle  = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

// head adds the titles of columns; tabs are between them.
func (t *table) head(titles string) {
	cells := strings.Split(titles, "\t")
	for i := range cells {
		cells[i] = headStyle.Render(cells[i])
	}
	t.lines = append(t.lines, cells)
}

// row adds a row; tabs are between its columns. An empty one stands between two tables,
// whose columns have nothing to do with each other.
func (t *table) row(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		t.lines = append(t.lines, strings.Split(line, "\t"))
	}
}

// write prints the table.
func (t *table) write(out io.Writer) error {
	_, err := io.WriteString(colorprofile.NewWriter(out, os.Environ()), t.String())
	return err
}

// String is the table with its colours.
func (t *table) String() string {
	var text strings.Builder
	for from := 0; from < len(t.lines); {
		to := from + 1
		for to < len(t.lines) && len(t.lines[from]) > 1 && len(t.lines[to]) > 1 {
			to++
		}
		alignRows(&text, t.lines[from:to])
		from = to
	}
	return text.String()
}

// alignRows writes rows that have their columns in common.
func alignRows(text *strings.Builder, rows [][]string) {
	var widths []int
	for _, cells := range rows {
		for i, cell := range cells[:len(cells)-1] { // the last one ends with the line
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	for _, cells := range rows {
		var line strings.Builder
		for i, cell := range cells {
			line.WriteString(cell)
			if i < len(cells)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(cell)+columnGap))
			}
		}
		text.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// stateWord is the state of an actor or a session, in colour if it is not the usual one.
func stateWord(state string) string {
	word := dash(state)
	switch state {
	case "", "active", "delivering":
		return word
	case "parked", "silent", "stalled":
		return badStyle.Render(word)
	}
	return warnStyle.Render(word)
}

// countWord is a number of what there should be none of.
func countWord[N int | uint32 | uint64](n N) string {
	if n == 0 {
		return "0"
	}
	return warnStyle.Render(fmt.Sprint(n))
}
