package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"

	"callboard/transport/admin/adminv1"
)

var (
	boldStyle   = lipgloss.NewStyle().Bold(true)
	faintStyle  = lipgloss.NewStyle().Faint(true)
	cursorStyle = lipgloss.NewStyle().Reverse(true)
	moodStyles  = [...]lipgloss.Style{
		calm: lipgloss.NewStyle(),
		odd:  lipgloss.NewStyle().Foreground(lipgloss.Yellow),
		bad:  lipgloss.NewStyle().Foreground(lipgloss.Red),
	}
)

// The lines that are not the table's: five above it with its titles, and one below.
const (
	headLines = 6
	footLines = 1
)

// View implements tea.Model.
func (m *model) View() tea.View {
	lines := m.head()
	switch {
	case m.help:
		lines = append(lines, strings.Split(helpText, "\n")...)
	case m.open != "":
		lines = append(lines, m.detailLines()...)
	default:
		lines = append(lines, m.table()...)
	}
	room := max(1, m.height-footLines)
	lines = lines[:min(len(lines), room)]
	for len(lines) < room {
		lines = append(lines, "")
	}
	lines = append(lines, m.foot())
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	view := tea.NewView(strings.Join(lines, "\n"))
	view.AltScreen = true
	view.WindowTitle = "callboard top"
	return view
}

// head is what is always there.
func (m *model) head() []string {
	title := boldStyle.Render("callboard top") + "  " + m.config.Address
	if !m.seen {
		return []string{title, "", m.connection("connecting"), "", "", m.tabBar()}
	}
	s, l, r := m.now.stats, m.now.load, m.rates()
	how := moodStyles[calm].Render("store works")
	if s.Trouble != "" {
		how = moodStyles[bad].Render("store: " + s.Trouble)
	}
	if s.Draining {
		how += moodStyles[odd].Render("  draining")
	}
	title += "  up " + Span(time.Duration(l.AtMs-s.StartedMs)*time.Millisecond) + "  " + how
	return []string{
		title,
		m.connection(""),
		fmt.Sprintf("messages   in %s/s  kept %s/s  out %s/s  refused %s/s", rate(r.in).text, rate(r.kept).text, rate(r.out).text, rate(sum(r.refused)).text),
		fmt.Sprintf("sessions   %s  +%s/s -%s/s  stalled %s  slow %s", humanize.Comma(int64(s.Sessions)), rate(r.opened).text, rate(r.ended).text,
			styled(fault(l.Stalled)), styled(fault(uint32(len(m.slow.worst()))))),
		fmt.Sprintf("users      %s  parked %s  failures %s  queued %s  heap %s", humanize.Comma(int64(s.Users)), styled(fault(s.Parked)),
			styled(fault(s.Failures)), humanize.Comma(int64(queued(m.now.tree))), humanize.IBytes(s.HeapBytes)),
		m.tabBar(),
	}
}

// connection says that the service does not answer, or does not let anybody look.
func (m *model) connection(otherwise string) string {
	switch {
	case m.trouble == "":
		return otherwise
	case m.away:
		return moodStyles[bad].Render("reconnecting: " + m.trouble)
	}
	return moodStyles[bad].Render(m.trouble)
}

// queued is how many messages wait in the mailboxes of the tree.
func queued(tree *adminv1.GetTreeResponse) (sum uint64) {
	for _, s := range tree.Shards {
		sum += uint64(s.Queued)
	}
	return sum + uint64(tree.Journal.Queued)
}

func (m *model) tabBar() string {
	var names []string
	for i, name := range tabNames {
		name = fmt.Sprintf("%d %s", i+1, name)
		if tab(i) == m.tab {
			name = boldStyle.Underline(true).Render(name)
		}
		names = append(names, name)
	}
	bar := strings.Join(names, "   ")
	switch {
	case m.typing:
		bar += "   " + m.filter.View()
	case m.filter.Value() != "":
		bar += "   " + moodStyles[odd].Render("/"+m.filter.Value())
	}
	return bar
}

// tableHeight is how many rows there is room for.
func (m *model) tableHeight() int { return max(1, m.height-headLines-1-footLines) }

// table is the titles and the rows around the cursor.
func (m *model) table() []string {
	rows := m.rows()
	titles := slices.Clone(columns[m.tab])
	if by := m.sortedBy(); by >= 0 {
		titles[by] += "▼"
	}
	from := max(0, min(m.cursor-m.tableHeight()/2, len(rows)-m.tableHeight()))
	rows = rows[from:min(len(rows), from+m.tableHeight())]

	widths := make([]int, len(titles))
	for i, title := range titles {
		widths[i] = ansi.StringWidth(title)
		for _, r := range rows {
			widths[i] = max(widths[i], min(maxCell, ansi.StringWidth(r.cells[i].text)))
		}
	}
	var head strings.Builder
	for i, title := range titles {
		head.WriteString(fit(title, widths[i]))
	}
	lines := []string{boldStyle.Render(head.String())}
	for at, r := range rows {
		var line strings.Builder
		for i, c := range r.cells {
			cut := fit(c.text, widths[i])
			if from+at != m.cursor {
				cut = moodStyles[c.mood].Render(cut)
			}
			line.WriteString(cut)
		}
		if from+at == m.cursor {
			lines = append(lines, cursorStyle.Render(line.String()))
		} else {
			lines = append(lines, line.String())
		}
	}
	if len(rows) == 0 && m.seen {
		lines = append(lines, faintStyle.Render("nothing here"))
	}
	return lines
}

// maxCell is how much of a long id is shown beside other columns.
const maxCell = 24

// fit makes a text as wide as its column, and the gap behind it.
func fit(s string, width int) string {
	s = ansi.Truncate(s, width, "…")
	return s + strings.Repeat(" ", width-ansi.StringWidth(s)+2)
}

func styled(c cell) string { return moodStyles[c.mood].Render(c.text) }

// detailLines is the user that is open.
func (m *model) detailLines() []string {
	lines := []string{""}
	if m.detail == nil {
		return append(lines, m.open+": nobody knows this user any more, or the answer is on its way")
	}
	lines = append(lines, strings.Split(strings.TrimRight(m.config.Detail(m.detail), "\n"), "\n")...)
	return lines[max(0, min(m.scroll, len(lines)-1)):]
}

// foot is a question, what became of the answer, or the keys.
func (m *model) foot() string {
	switch {
	case m.asking != nil && m.asking.session != 0:
		return cursorStyle.Render(fmt.Sprintf("close session %d of %s? y/n", m.asking.session, m.asking.user))
	case m.asking != nil:
		return cursorStyle.Render("close all sessions of " + m.asking.user + "? y/n")
	case m.help:
		return faintStyle.Render("any key goes back")
	case m.note != "":
		return m.note
	case m.typing:
		return faintStyle.Render("a part of an id, or the first letters of anybody's; enter keeps it, esc ends it")
	case m.open != "":
		return faintStyle.Render("esc back  ↑↓ scroll  x close  ? help  q quit")
	}
	return faintStyle.Render("1-4 tab  ↑↓ move  s sort  / filter  enter open  x close  ? help  q quit")
}

// helpText is what ? shows.
const helpText = `
1 2 3 4, tab    users, slow devices, the tree, limits hit and codes
up down j k     move; pgup, pgdown, home, end too
s S             sort by the next column, or the one before
/               filter: rows that have the text, and users whose id begins so; esc ends it
enter           open the user of the row; esc goes back
x               close the user, or the session among the slow devices; asks before
q, ctrl+c       quit

MSG/S is what comes for a user. A device is slow whose network takes no more, that
has much outstanding, or that has acknowledged nothing since the walk over all
sessions came by, which takes 15 looks for 15,000. UNACKED is what was written and
not acknowledged, LAG what of the inbox the device does not have. HITS is how often a limit has acted;
some refuse or close with their own code, others only slow down or turn away.`
