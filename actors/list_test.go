package actors

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/protocol"
)

// listed is all pages of the list of users.
func (w *world) listed(prefix string, limit int) (ids []string) {
	w.Helper()
	at, more := UserPlace{}, true
	for more {
		var page []UserSummary
		var err error
		page, at, more, err = w.system.ListUsers(w.Context(), prefix, at, limit)
		if err != nil || len(page) > limit {
			w.Fatalf("%d users on a page of %d: %v", len(page), limit, err)
		}
		for _, u := range page {
			ids = append(ids, string(u.User))
		}
	}
	return ids
}

// sessionsListed is all pages of the list of sessions.
func (w *world) sessionsListed(limit int) (sessions []SessionInfo) {
	w.Helper()
	after, more := uint64(0), true
	for more {
		var page []SessionInfo
		var err error
		if page, more, err = w.system.ListSessions(w.Context(), after, limit); err != nil || len(page) > limit {
			w.Fatalf("%d sessions on a page of %d: %v", len(page), limit, err)
		}
		if sessions = append(sessions, page...); more {
			after = page[len(page)-1].Number
		}
	}
	return sessions
}

func TestListsHaveEveryoneOnce(t *testing.T) {
	inBubble(t, Config{Shards: 3, PingInterval: time.Hour}, func(w *world) {
		var users []string
		var peers []*peer
		for i := range 100 {
			users = append(users, fmt.Sprintf("u%02d", i))
			peers = append(peers, w.connect(users[i]))
		}
		for _, limit := range []int{1, 7, 100, MaxPage} {
			got := w.listed("", limit)
			if slices.Sort(got); !slices.Equal(got, users) {
				t.Errorf("pages of %d: %v", limit, got)
			}
			if got := w.sessionsListed(limit); len(got) != 100 || got[99].State != "delivering" || got[0].Protocol != "seed" {
				t.Errorf("pages of %d: %d sessions, the last %+v", limit, len(got), got[len(got)-1])
			}
		}
		if got := w.listed("u1", 4); len(got) != 10 || !strings.HasPrefix(got[9], "u1") {
			t.Errorf("with a prefix: %v", got)
		}

		for _, p := range peers[:60] {
			p.link.Gone(0)
		}
		time.Sleep(time.Minute) // they are idle, and leave
		synctest.Wait()
		if got := w.listed("", 7); len(got) != 40 {
			t.Errorf("%d users are listed after 60 have left", len(got))
		}
		if got := w.sessionsListed(7); len(got) != 40 || got[0].Number != 61 {
			t.Errorf("%d sessions are listed after 60 have left", len(got))
		}
	})
}

func TestLookAtAUserDisturbsNobody(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		if _, err := w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "hello", Id: "1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // bob has left
		synctest.Wait()
		look, err := w.system.LookUser(w.Context(), "bob")
		if err != nil || look.State != "" || look.Inbox.Head != 1 || look.InboxErr != nil {
			t.Errorf("%+v, %v", look, err)
		}
		if n := w.users(); n != 0 {
			t.Errorf("%d users have an actor because of a look", n)
		}
		p := w.tryV1("bob", &protocol.Connect{Device: "phone"})
		synctest.Wait()
		look, err = w.system.LookUser(w.Context(), "bob")
		if err != nil || look.State != "active" || len(look.Sessions) != 1 || look.Sessions[0].Device != "phone" ||
			look.Sessions[0].Unacknowledged != 1 || look.Sessions[0].Written != 1 || len(look.Inbox.Devices) != 1 {
			t.Errorf("%+v, %v", look, err)
		}
		p.link.Gone(0)
	})
}

func TestRestartsAreSeen(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		w.connect("bob")
		w.crashOn("bob", "crash")
		_, _ = w.system.Send(w.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "crash", Id: "1"})
		synctest.Wait()
		look, err := w.system.LookUser(w.Context(), "bob")
		if err != nil || look.Restarts != 1 || look.State != "active" {
			t.Errorf("%+v, %v", look, err)
		}
	})
}

func TestLastTenClosesAreRemembered(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		for i := range 12 {
			p := w.connect("bob")
			if i == 11 {
				if _, err := w.system.CloseUser(w.Context(), "bob", protocol.CloseByOperator, "enough"); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				p.answerClose()
			} else {
				p.link.Gone(0)
			}
			synctest.Wait()
		}
		time.Sleep(time.Minute) // bob has left; his history has not
		synctest.Wait()
		look, err := w.system.LookUser(w.Context(), "bob")
		if err != nil || len(look.Closes) != maxClosings {
			t.Fatalf("%+v, %v", look, err)
		}
		if last := look.Closes[0]; last.Code != protocol.CloseByOperator || last.Reason != "enough" || last.Session != 12 {
			t.Errorf("%+v", last)
		}
		if first := look.Closes[9]; first.Code != closeAbnormal || first.Session != 3 {
			t.Errorf("%+v", first)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	h := newHistory(512)
	for i := range 1000 {
		h.add(protocol.UserID(fmt.Sprint(i%100)), Closing{Session: uint64(i)})
	}
	if len(h.byUser) != h.limit || h.recent.Len() != h.limit || h.limit != 16 {
		t.Errorf("%d and %d users, the limit is %d", len(h.byUser), h.recent.Len(), h.limit)
	}
	if got := h.of("99"); len(got) != 1 || got[0].Session != 999 || h.of("0") != nil {
		t.Errorf("%v", got)
	}
}

func TestDrainCanBeHurried(t *testing.T) {
	inBubble(t, Config{}, func(w *world) {
		var peers []*peer
		for i := range 200 {
			peers = append(peers, w.connect(fmt.Sprint(i)))
		}
		n, err := w.system.StartDrain(w.Context(), time.Hour)
		if err != nil || n != 200 || w.system.Ready() == nil {
			t.Errorf("%d, %v, ready %v", n, err, w.system.Ready())
		}
		time.Sleep(time.Second)
		begun := time.Now()
		go func() {
			time.Sleep(11 * time.Second)
			for _, p := range peers {
				if _, told := p.conn.closeFrame(); told && !p.conn.isClosed() {
					p.answerClose()
				}
			}
		}()
		if err := w.system.Drain(w.Context(), 10*time.Second); err != nil || time.Since(begun) > 12*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// BenchmarkListSessions is a page of 100 among 100,000 sessions, as its caller sees it;
// p50 and p99 are the time that the gateway is at one.
func BenchmarkListSessions(b *testing.B) {
	system := benchSystem(b)
	g := newGateway(system) // as the one that is running has it, for the time inside
	for i := range 100_000 {
		link := benchConnect(b, system, protocol.UserID(fmt.Sprint(i)), &fakeConn{keep: true})
		s := &session{number: sessionNumber(link.pid), link: Link{user: link.user}}
		g.beats.add(s, link.pid)
		g.order.ReplaceOrInsert(s)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var inside []time.Duration
	after := uint64(0)
	for b.Loop() {
		begun := time.Now()
		g.page(&listSessions{after, 100})
		inside = append(inside, time.Since(begun))
		page, more, err := system.ListSessions(b.Context(), after, 100)
		if err != nil {
			b.Fatal(err)
		}
		if after = page[len(page)-1].Number; !more {
			after = 0
		}
	}
	reportInside(b, inside)
}

// BenchmarkListUsers is the same for users, with one shard that has them all.
func BenchmarkListUsers(b *testing.B) {
	s := newShard(benchSystem(b), 0, 1)
	for i := range 100_000 {
		s.order.ReplaceOrInsert(&entry{id: protocol.UserID(fmt.Sprint(i))})
	}
	b.ReportAllocs()
	b.ResetTimer()
	var inside []time.Duration
	var after protocol.UserID
	for b.Loop() {
		begun := time.Now()
		page := s.page(&listUsers{"", after, 100})
		inside = append(inside, time.Since(begun))
		if after = page.users[len(page.users)-1].User; !page.more {
			after = ""
		}
	}
	reportInside(b, inside)
}

func reportInside(b *testing.B, inside []time.Duration) {
	b.Helper()
	slices.Sort(inside)
	b.ReportMetric(float64(inside[len(inside)/2]), "p50-actor-ns")
	b.ReportMetric(float64(inside[len(inside)*99/100]), "p99-actor-ns")
}

// BenchmarkLookUser is a look at one user among 15,000 who are connected.
func BenchmarkLookUser(b *testing.B) {
	system := benchSystem(b)
	for i := range 15_000 {
		benchConnect(b, system, protocol.UserID(fmt.Sprint(i)), &fakeConn{keep: true})
	}
	b.ReportAllocs()
	for b.Loop() {
		if look, err := system.LookUser(b.Context(), "7"); err != nil || len(look.Sessions) != 1 {
			b.Fatal(look, err)
		}
	}
}

// BenchmarkRelayBesideLists is BenchmarkRelay with a window of 64, alone and while 100
// pages a second are read out of 20,000 sessions.
func BenchmarkRelayBesideLists(b *testing.B) {
	for _, listing := range []bool{false, true} {
		b.Run(fmt.Sprintf("listing=%t", listing), func(b *testing.B) {
			system := benchSystem(b)
			for i := range 20_000 {
				benchConnect(b, system, protocol.UserID(fmt.Sprint(i)), &fakeConn{keep: true})
			}
			link := benchConnect(b, system, "alice", &fakeConn{keep: true})
			ended, stop := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(ended)
				every := time.NewTicker(10 * time.Millisecond)
				defer every.Stop()
				for after := uint64(0); ; {
					select {
					case <-stop:
						return
					case <-every.C:
					}
					if !listing {
						continue
					}
					page, more, err := system.ListSessions(context.Background(), after, 100)
					if err != nil {
						b.Error(err)
						return
					}
					if after = page[len(page)-1].Number; !more {
						after = 0
					}
				}
			}()
			b.ResetTimer()
			i := 0
			for b.Loop() {
				next := link.Next()
				next.Receiver, next.Content = "7", "hello"
				if i++; !link.Send() {
					b.Fatal("the session has ended")
				}
			}
			b.StopTimer()
			close(stop)
			<-ended
		})
	}
}

// BenchmarkOrder is what a user or session costs the ordered index: to come and to go,
// among 100,000.
func BenchmarkOrder(b *testing.B) {
	order := newUserOrder()
	entries := make([]*entry, 100_000)
	for i := range entries {
		entries[i] = &entry{id: protocol.UserID(fmt.Sprint("user-", i))}
		order.ReplaceOrInsert(entries[i])
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		e := entries[i%len(entries)]
		order.Delete(e)
		order.ReplaceOrInsert(e)
		i += 7919
	}
}
