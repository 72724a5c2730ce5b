package top

import (
	"strconv"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"callboard/transport/admin/adminv1"
)

// model is the state of the view. Update changes it, View shows it.
type model struct {
	config Config
	client adminv1.AdminServiceClient

	now, before looked // the last two looks that found something
	seen        bool   // now is one
	trouble     string // why the last one found nothing; empty if it did
	away        bool   // nobody answered then
	slow        slow

	width, height int
	tab           tab
	sorts         [tabs]int // column of each tab
	cursor        int
	chosen        string // key of the row under the cursor: it stays when rows move
	filter        textinput.Model
	typing        bool   // into the filter
	open          string // user whose details are shown
	detail        *adminv1.GetUserResponse
	scroll        int // of them
	help          bool
	asking        *closing // waits for y or n
	note          string   // what became of the last closing
}

// closing is what is to be closed, if the operator says so.
type closing struct {
	user    string
	session uint64 // 0: all of them
}

// tab is one of the tables.
type tab int

const (
	tabUsers tab = iota
	tabSlow
	tabTree
	tabLimits
	tabs // how many there are
)

var tabNames = [tabs]string{"users", "slow devices", "tree", "limits and closes"}

// maxFilter is the longest filter: that of a user id.
const maxFilter = 64

var _ tea.Model = (*model)(nil)

func newModel(config Config) *model {
	m := &model{config: config, width: 80, height: 24, filter: textinput.New()}
	m.filter.Prompt, m.filter.CharLimit = "/", maxFilter
	m.slow.reset()
	return m
}

// Init implements tea.Model: the first look is due at once.
func (m *model) Init() tea.Cmd { return func() tea.Msg { return due{} } }

// refresh is the next look; the view goes on with what is known until it has been.
func (m *model) refresh() tea.Cmd {
	if m.client == nil {
		client, err := m.config.Dial()
		if err != nil {
			return func() tea.Msg { return looked{err: err} }
		}
		m.client = client
	}
	return look(m.client, question{
		prefix: m.filter.Value(), after: m.slow.after, slow: m.slow.users(lagUsers), open: m.open,
	})
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// pageToken is where a page of sessions begins behind a number.
func pageToken(after uint64) string {
	if after == 0 {
		return ""
	}
	return decimal(after)
}
