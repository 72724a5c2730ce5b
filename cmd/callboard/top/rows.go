package top

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"callboard/transport/admin/adminv1"
)

// row is a line of a table.
type row struct {
	key     string // names it, whatever its place
	cells   []cell
	user    string // who is opened by enter, and closed by x
	session uint64 // what x closes; 0: all of the user's
}

// cell is a text, and the number that it is sorted by; texts are sorted by themselves.
type cell struct {
	text   string
	number float64
	mood   mood
}

// mood is whether somebody should look at it.
type mood uint8

const (
	calm mood = iota
	odd
	bad
)

// columns of the tables. The first that sorts is the one to begin with.
var columns = [tabs][]string{
	tabUsers:  {"USER", "MSG/S", "SESSIONS", "STATE", "SHARD", "RESTARTS", "HELD"},
	tabSlow:   {"SESSION", "USER", "DEVICE", "STATE", "LAG", "UNACKED", "WAITING", "REMOTE"},
	tabTree:   {"ACTOR", "MSG/S", "QUEUED", "BELOW", "PARKED", "FAILURES", "STATE"},
	tabLimits: {"CODE", "HITS/S", "HITS", "REFUSED/S", "REFUSED", "CLOSED/S", "CLOSED"},
}

// firstSort is the column that a table is sorted by before anybody says otherwise.
var firstSort = [tabs]int{tabUsers: 1, tabSlow: 4, tabTree: -1, tabLimits: 2}

// rows are those of the tab, filtered and sorted.
func (m *model) rows() (rows []row) {
	if !m.seen {
		return nil
	}
	switch m.tab {
	case tabUsers:
		rows = m.userRows()
	case tabSlow:
		rows = m.slowRows()
	case tabTree:
		rows = m.treeRows()
	case tabLimits:
		rows = m.limitRows()
	}
	if filter := m.filter.Value(); filter != "" {
		rows = slices.DeleteFunc(rows, func(r row) bool { return !r.has(filter) })
	}
	if by := m.sortedBy(); by >= 0 {
		slices.SortStableFunc(rows, func(a, b row) int { return compare(a.cells[by], b.cells[by]) })
	}
	return rows
}

// sortedBy is the column, or -1: the order is that of the table itself.
func (m *model) sortedBy() int {
	n := len(columns[m.tab]) + 1
	return (firstSort[m.tab]+1+m.sorts[m.tab])%n - 1
}

func (r *row) has(filter string) bool {
	return slices.ContainsFunc(r.cells, func(c cell) bool { return strings.Contains(c.text, filter) })
}

// compare puts the larger number first, and the smaller text.
func compare(a, b cell) int {
	return cmp.Or(cmp.Compare(b.number, a.number), cmp.Compare(a.text, b.text))
}

func text(s string) cell {
	if s == "" {
		s = "-"
	}
	return cell{text: s}
}

func number[N uint32 | uint64](n N) cell {
	return cell{text: humanize.Comma(int64(min(uint64(n), 1<<62))), number: float64(n)}
}

// fault is the number of what there should be none of.
func fault[N uint32 | uint64](n N) cell {
	c := number(n)
	if n > 0 {
		c.mood = odd
	}
	return c
}

func bytes(n uint64) cell { return cell{text: humanize.IBytes(n), number: float64(n)} }

func rate(perSecond float64) cell {
	c := cell{number: perSecond}
	switch {
	case perSecond >= 100:
		c.text = humanize.Comma(int64(perSecond + 0.5))
	case perSecond > 0:
		c.text = fmt.Sprintf("%.1f", perSecond)
	default:
		c.text = "0"
	}
	return c
}

func state(s string) cell {
	c := text(s)
	switch s {
	case "", "active", "delivering", "open", "works":
	case "parked", "silent", "stalled":
		c.mood = bad
	default:
		c.mood = odd
	}
	return c
}

// userRows are the busiest, and those of the list who are not among them.
func (m *model) userRows() (rows []row) {
	listed := map[string]*adminv1.User{}
	for _, u := range m.now.users {
		listed[u.User] = u
	}
	add := func(u *adminv1.User, perSecond float64) {
		rows = append(rows, row{key: u.User, user: u.User, cells: []cell{
			text(u.User), rate(perSecond), number(u.Sessions), state(u.State), number(u.Shard), fault(u.Restarts), fault(u.Held),
		}})
	}
	for _, b := range m.now.load.Busiest {
		u := listed[b.User]
		delete(listed, b.User)
		if u == nil {
			u = &adminv1.User{User: b.User, State: b.State, Shard: b.Shard, Sessions: b.Sessions}
		}
		add(u, float64(b.Messages)*1000/float64(max(1, b.OverMs)))
	}
	for _, u := range m.now.users {
		if listed[u.User] != nil {
			add(u, 0)
		}
	}
	return rows
}

func (m *model) slowRows() (rows []row) {
	for _, s := range m.slow.worst() {
		name, lag := s.Device, cell{text: "?"}
		if name == "" {
			name = "(nameless)"
		}
		if s.known {
			lag = number(s.lag)
		}
		how := s.State
		if s.Stalled {
			how = "stalled"
		}
		rows = append(rows, row{key: decimal(s.Session.Session), user: s.User, session: s.Session.Session, cells: []cell{
			{text: decimal(s.Session.Session), number: -float64(s.Session.Session)}, text(s.User), text(name), state(how), lag,
			number(s.Unacknowledged), bytes(s.WaitingBytes), text(s.Remote),
		}})
	}
	return rows
}

func (m *model) treeRows() (rows []row) {
	tree, r, none := m.now.tree, m.rates(), cell{}
	rows = append(rows, row{key: "registry", cells: []cell{
		text("registry"), rate(r.in), none, text(fmt.Sprintf("%d shards", len(tree.Shards))), none, none, none,
	}})
	for _, s := range tree.Shards {
		name := fmt.Sprintf("  shard %d", s.Number)
		rows = append(rows, row{key: name, cells: []cell{
			text(name), rate(r.shards[s.Number]), number(s.Queued), text(fmt.Sprintf("%d users", s.Users)), fault(s.Parked), fault(s.Failures), none,
		}})
	}
	how := "open"
	if tree.Gateway.Draining {
		how = "draining"
	}
	rows = append(rows, row{key: "gateway", cells: []cell{
		text("gateway"), rate(r.out), none, text(fmt.Sprintf("%d sessions", tree.Gateway.Sessions)), none, none, state(how),
	}})
	if tree.Journal.Present {
		rows = append(rows, row{key: "journal", cells: []cell{
			text("journal"), rate(r.kept), number(tree.Journal.Queued), none, none, none, state(cmp.Or(tree.Journal.Trouble, "works")),
		}})
	}
	return rows
}

// limitRows are the limits that have acted, and the codes that something was refused or
// closed with. Many a limit has such a code; others only slow down, or turn away before
// there is a session.
func (m *model) limitRows() (rows []row) {
	r := m.rates()
	type counts struct{ hits, refused, closed uint64 }
	by := map[string]*counts{}
	at := func(code string) *counts {
		if by[code] == nil {
			by[code] = new(counts)
		}
		return by[code]
	}
	for _, c := range m.now.load.Limits {
		at(c.Code).hits = c.Count
	}
	for _, c := range m.now.load.Refused {
		at(c.Code).refused = c.Count
	}
	for _, c := range m.now.load.Closed {
		at(c.Code).closed = c.Count
	}
	for code, n := range by {
		rows = append(rows, row{key: code, cells: []cell{
			text(code), rate(r.hits[code]), number(n.hits), rate(r.refused[code]), number(n.refused), rate(r.closed[code]), number(n.closed),
		}})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.key, b.key) })
	return rows
}
