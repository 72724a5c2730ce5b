package actors

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"callboard/actors/inbox"
	"callboard/actors/mailbox"
	"callboard/protocol"
)

// SessionInfo is what there is to know of one session.
type SessionInfo struct {
	Number       uint64
	User         protocol.UserID
	Device       string
	Remote       string // address of the client; empty if the Conn knows none
	Protocol     string // seed, or the subprotocol
	Since        time.Time
	State        string // greeting, attaching, delivering, closing or ended; silent: it did not answer
	InFlight     int    // sends of the peer without an answer
	WaitingBytes int    // upper bound of what the network has not taken
	Stalled      bool   // the network takes no more for now
	Written      uint64 // newest message that was written

	Unacknowledged int // messages that were written and not acknowledged; in the seed's dialect, not taken by the network

	Queued    int           // messages in its mailbox
	InMessage time.Duration // how long it has been in the one at hand; 0: less than a tick
}

// ConnInfo is what a Conn may say of itself.
type ConnInfo struct {
	Remote   string // address of the client
	Protocol string // the subprotocol that its codec belongs to
	Waiting  int    // upper bound of the bytes that the network has not taken
}

// Described is a Conn that can be looked at. Only its session asks.
type Described interface {
	Describe() ConnInfo
}

// Closing is the end of a session.
type Closing struct {
	Session uint64
	Device  string
	Remote  string
	Code    protocol.CloseCode // 1006: without a close frame
	Reason  string
	At      time.Time
	ByPeer  bool // the client ended it: Code and Reason are its own words
}

// UserLook is all that there is to know of one user.
type UserLook struct {
	UserSummary
	Sessions []SessionInfo
	Closes   []Closing // newest first, 10 at most
	Queued   int       // messages in the actor's mailbox

	InMessage time.Duration // how long the actor has been in the one at hand; 0: less than a tick

	Inbox    inbox.State // without Sum and Epoch
	InboxErr error       // why there is no Inbox, if there is none
}

type (
	// describeSession, to a session, asks for a SessionInfo.
	describeSession struct{}
	// lookUser, to a shard, asks for a shardLook.
	lookUser struct{ user protocol.UserID }
	// shardLook answers lookUser.
	shardLook struct {
		UserSummary
		sessions []SessionInfo
		pids     []*actor.PID
		closes   []Closing
	}
	// sessionClosed, to a shard, says how a session of a user has ended.
	sessionClosed struct {
		user protocol.UserID
		Closing
	}
)

var msgDescribeSession = &describeSession{}

// silent is the state of a session that does not say how it is.
const silent = "silent"

func (s sessionState) String() string {
	return [...]string{"greeting", "attaching", "delivering", "closing", "ended"}[s]
}

// maxLooks bounds the inboxes that are looked at in the store at once: a look waits as
// long as the disk does.
const maxLooks = 8

// looks counts them.
type looks struct{ n atomic.Int32 }

// LookUser looks at one user: it asks the shard, the user's actor and the sessions, and
// the store if the user has no actor that would answer. It starts none.
func (s *System) LookUser(ctx context.Context, user protocol.UserID) (*UserLook, error) {
	found, err := askUser[*shardLook](ctx, s, user, &lookUser{user})
	if err != nil {
		return nil, err
	}
	look := &UserLook{UserSummary: found.UserSummary, Closes: found.closes}
	look.Sessions = s.askSessions(ctx, found.sessions, found.pids)
	s.lookAtWork(look)

	if found.State != active.String() { // to ask one who is leaving would start the next
		look.Inbox, look.InboxErr = s.lookIntoStore(user)
		return look, nil
	}
	patient, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	info, err := askUser[*UserInfo](patient, s, user, &describeUser{user})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		look.InboxErr = err
		return look, nil
	case info.State == "": // it has left in between
		look.State = ""
		look.Inbox, look.InboxErr = s.lookIntoStore(user)
		return look, nil
	case info.Broken:
		look.InboxErr = ErrUnavailableStore
	}
	look.Queued = max(0, info.Waiting-1) // but for the question
	look.Inbox = inbox.State{Head: info.Head, Floor: info.Floor, Devices: info.Devices}
	for i := range look.Sessions {
		if at := slices.Index(info.Sessions, look.Sessions[i].Number); at >= 0 && at < len(info.Unacknowledged) {
			look.Sessions[i].Unacknowledged = info.Unacknowledged[at]
		}
	}
	return look, nil
}

// lookAtWork fills in what the workers know of the user's actor and sessions, which they do
// though these hang.
func (s *System) lookAtWork(look *UserLook) {
	now := time.Now()
	s.workers.Working(func(one mailbox.Working) {
		switch owner := one.Owner.(type) {
		case *user:
			if owner.id == look.User {
				look.Queued, look.InMessage = one.Queued, inMessage(&one, now)
			}
		case *session:
			if owner.link.user != look.User {
				return
			}
			at := slices.IndexFunc(look.Sessions, func(i SessionInfo) bool { return i.Number == owner.number })
			if at >= 0 {
				look.Sessions[at].Queued, look.Sessions[at].InMessage = one.Queued, inMessage(&one, now)
			}
		}
	})
}

// lookIntoStore reads how an inbox is, for a user whose actor cannot say it.
func (s *System) lookIntoStore(user protocol.UserID) (inbox.State, error) {
	if s.storage.Load() != nil {
		return inbox.State{}, ErrUnavailableStore
	}
	defer s.looks.n.Add(-1)
	if s.looks.n.Add(1) > maxLooks {
		return inbox.State{}, ErrUnavailableStore
	}
	state, err := s.config.Store.Open(user)
	if err != nil {
		return inbox.State{}, storageError(err)
	}
	return state, nil
}

// look answers lookUser.
func (s *shard) look(ctx actor.Context, msg *lookUser) {
	e := s.users[msg.user] // one who is on the way to here can be looked at
	if e == nil {
		if _, here := s.find(ctx, msg.user); !here {
			return
		}
	}
	found := &shardLook{closes: s.history.of(msg.user)}
	if e != nil {
		found.UserSummary = s.summary(e)
		found.pids = slices.Clone(e.sessions)
		for _, pid := range e.sessions {
			found.sessions = append(found.sessions, SessionInfo{Number: sessionNumber(pid), User: e.id, State: silent})
		}
	}
	found.User, found.Shard = msg.user, s.number
	answer(ctx, found)
}

// describe answers describeSession.
func (s *session) describe(ctx actor.Context) {
	link := &s.link
	info := &SessionInfo{
		Number: s.number, User: link.user, Device: s.device(), Protocol: "seed", State: s.state.String(),
		Since: link.system.started.Add(time.Duration(s.since) * time.Second), Stalled: s.stalled, Written: s.last,
		InFlight: link.inFlight(),
	}
	if c, ok := s.conn.(Described); ok {
		conn := c.Describe()
		info.Remote, info.WaitingBytes = conn.Remote, conn.Waiting
		if link.dialect == V1 {
			info.Protocol = conn.Protocol
		}
	}
	info.Unacknowledged = int(s.last - min(s.last, s.arrived()))
	info.Queued = max(0, s.box.UserMessageCount()-1) // but for the question
	answer(ctx, info)
}

func (s *session) device() string {
	if !s.named {
		return ""
	}
	return s.link.device
}

// remote is the address of the client.
func (s *session) remote() string {
	if c, ok := s.conn.(Described); ok {
		return c.Describe().Remote
	}
	return ""
}

// tellEnd has the shard remember how the session ended.
func (s *session) tellEnd() {
	end := &sessionClosed{s.link.user, Closing{
		Session: s.number, Device: s.device(), Remote: s.remote(), Code: s.code, Reason: s.reason, At: time.Now(), ByPeer: s.byPeer,
	}}
	s.link.system.post(s.link.user, end)
	if s.link.system.watched() {
		e := s.about(SessionClosed)
		e.Code, e.Close, e.Reason = s.code.Word(), s.code, s.reason
		s.link.system.publish(e)
	}
}

// StartDrain takes the node out of service, as Drain does, and does not wait for the
// end. It returns how many sessions there were.
func (s *System) StartDrain(ctx context.Context, over time.Duration) (sessions int, err error) {
	info, err := ask[*GatewayInfo](ctx, s, s.gateway, &describeGateway{})
	if err != nil {
		return 0, err
	}
	s.draining.Store(true)
	s.root.Send(s.gateway, &drain{over})
	return info.Sessions, nil
}
