package top

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.press(msg)
	case due:
		return m, m.refresh()
	case looked:
		return m, m.take(msg)
	case opened:
		m.takeDetail(msg)
	case acted:
		m.note = msg.done
		if msg.err != nil {
			_, m.note = m.config.Explain(msg.err)
		}
	default:
		if m.typing { // the cursor blinks, a text is pasted
			var cmd tea.Cmd
			m.filter, cmd = m.filter.Update(msg)
			return m, cmd
		}
	}
	m.follow()
	return m, nil
}

// take takes in what a look has found, and says when the next is due. One that has found
// nothing leaves what was known.
func (m *model) take(found looked) tea.Cmd {
	if found.err != nil {
		var what Trouble
		what, m.trouble = m.config.Explain(found.err)
		m.away = what == Away
		m.client = nil // the next look has a fresh one
		return dueIn(m.pause(what))
	}
	m.trouble, m.away = "", false
	if m.seen && m.now.stats.StartedMs != found.stats.StartedMs {
		m.slow.reset() // another process has other sessions
	}
	m.before, m.now, m.seen = m.now, found, true
	m.slow.take(found.walk)
	m.slow.lags(found.lags)
	m.takeDetail(found.open)
	m.follow()
	return dueIn(m.config.Every)
}

// pause is the time until the next look after one that has failed.
func (m *model) pause(what Trouble) time.Duration {
	if what == NotAllowed {
		return max(m.config.Every, pauseNotAllowed)
	}
	return m.config.Every
}

// takeDetail takes in a user, if it is still the one that is open.
func (m *model) takeDetail(found opened) {
	if m.open != "" && found.id == m.open {
		m.detail = found.user
	}
}

// press does what a key says. What waits for an answer comes first.
func (m *model) press(key tea.KeyPressMsg) tea.Cmd {
	name := key.Keystroke()
	switch {
	case name == "ctrl+c":
		return tea.Quit
	case m.asking != nil:
		return m.answer(key.String())
	case m.typing:
		return m.filterKey(key, name)
	case m.help:
		m.help = false
		return nil
	case m.open != "":
		return m.pressDetail(key.String(), name)
	}
	return m.pressTable(key.String(), name)
}

func (m *model) pressTable(word, name string) tea.Cmd {
	rows := m.rows()
	m.note = ""
	switch word {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "1", "2", "3", "4":
		m.show(tab(word[0] - '1'))
	case "s":
		m.sorts[m.tab]++
	case "S":
		m.sorts[m.tab] += len(columns[m.tab]) // which is one back
	case "/":
		m.typing = true
		return m.filter.Focus()
	case "x":
		m.ask(rows)
		return nil
	}
	switch name {
	case "tab":
		m.show((m.tab + 1) % tabs)
	case "shift+tab":
		m.show((m.tab + tabs - 1) % tabs)
	case "esc":
		m.filter.Reset()
	case "up", "k":
		m.move(rows, -1)
	case "down", "j":
		m.move(rows, +1)
	case "pgup":
		m.move(rows, -m.tableHeight())
	case "pgdown":
		m.move(rows, m.tableHeight())
	case "home":
		m.move(rows, -len(rows))
	case "end":
		m.move(rows, len(rows))
	case "enter":
		if m.cursor < len(rows) && rows[m.cursor].user != "" {
			m.open, m.detail, m.scroll, m.note = rows[m.cursor].user, nil, 0, ""
			if m.client != nil { // or else the next look asks
				return lookAt(m.client, m.open)
			}
		}
	}
	m.follow()
	return nil
}

// pressDetail is for keys while a user is open.
func (m *model) pressDetail(word, name string) tea.Cmd {
	m.note = ""
	switch word {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "x":
		m.asking = &closing{user: m.open}
	}
	switch name {
	case "esc", "left", "backspace":
		m.open = ""
	case "up", "k":
		m.scroll = max(0, m.scroll-1)
	case "down", "j":
		m.scroll++
	}
	return nil
}

// filterKey is for keys that go into the filter.
func (m *model) filterKey(key tea.KeyPressMsg, name string) tea.Cmd {
	switch name {
	case "enter":
		m.typing = false
		m.filter.Blur()
	case "esc":
		m.typing = false
		m.filter.Reset()
		m.filter.Blur()
	default:
		var cmd tea.Cmd
		m.filter, cmd = m.filter.Update(key)
		m.follow()
		return cmd
	}
	m.follow()
	return nil
}

// ask has the operator confirm a closing.
func (m *model) ask(rows []row) {
	if m.cursor < len(rows) && rows[m.cursor].user != "" {
		m.asking = &closing{rows[m.cursor].user, rows[m.cursor].session}
	}
}

// answer is what the operator says to a closing: anything but y is no.
func (m *model) answer(word string) tea.Cmd {
	what := m.asking
	m.asking, m.note = nil, "nothing was closed"
	if word != "y" {
		return nil
	}
	if m.client == nil {
		m.note = "nothing was closed: the service does not answer"
		return nil
	}
	m.note = "closing ..."
	if what.session != 0 {
		return closeSession(m.client, what.session, what.user)
	}
	return closeUser(m.client, what.user)
}

// show changes to another table.
func (m *model) show(t tab) {
	m.tab, m.cursor, m.chosen = t, 0, ""
}

// move moves the cursor, within the rows.
func (m *model) move(rows []row, by int) {
	m.cursor = max(0, min(m.cursor+by, len(rows)-1))
	if m.cursor < len(rows) {
		m.chosen = rows[m.cursor].key
	}
}

// follow puts the cursor to the row that it was on, wherever that is now.
func (m *model) follow() {
	rows := m.rows()
	if m.chosen != "" {
		if i := slices.IndexFunc(rows, func(r row) bool { return r.key == m.chosen }); i >= 0 {
			m.cursor = i
			return
		}
	}
	m.cursor = max(0, min(m.cursor, len(rows)-1))
}
