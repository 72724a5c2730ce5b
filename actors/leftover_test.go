package actors

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"callboard/protocol"
)

// The memory of sessions that have ended and of users who have left comes back.
func TestWhoHasLeftLeavesNothingBehind(t *testing.T) {
	inBubble(t, Config{Shards: 2, IdleAfter: time.Second}, func(w *world) {
		const users = 200
		var sessions []weak.Pointer[Link]
		var processes []weak.Pointer[actor.ActorProcess] // refer to the users
		links := make([]*Link, users)
		for i := range links {
			name := fmt.Sprint("user", i)
			links[i] = w.connect(name).link
			info, err := w.system.DescribeUser(w.Context(), protocol.UserID(name))
			if err != nil {
				w.Fatal(err)
			}
			process, _ := w.system.actors.ProcessRegistry.GetLocal(info.Actor)
			sessions = append(sessions, weak.Make(links[i]))
			processes = append(processes, weak.Make(process.(*actor.ActorProcess)))
		}

		for _, link := range links {
			link.Gone(0)
		}
		clear(links)
		time.Sleep(time.Minute)
		synctest.Wait()
		runtime.GC()
		runtime.GC() // what the first has found is let go

		left := func(n int, what string) {
			if n > users/20 { // some may be on a stack that has not been used again
				t.Errorf("%d %s of %d are left behind", n, what, users)
			}
		}
		left(len(slices.DeleteFunc(sessions, func(p weak.Pointer[Link]) bool { return p.Value() == nil })), "sessions")
		left(len(slices.DeleteFunc(processes, func(p weak.Pointer[actor.ActorProcess]) bool { return p.Value() == nil })), "users")
	})
}

// Whoever comes and goes, each session is in the wheel once, where it says that it is.
func TestEachSessionHasItsPlaceInTheWheel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wheel beats
		var there []*session
		number := uint64(0)
		for _, comes := range rapid.SliceOfN(rapid.Bool(), 1, 300).Draw(t, "comes") {
			if comes || len(there) == 0 {
				number++
				s := &session{number: number}
				wheel.add(s, actor.NewPID("here", fmt.Sprint(number)))
				there = append(there, s)
				continue
			}
			i := rapid.IntRange(0, len(there)-1).Draw(t, "goes")
			wheel.remove(there[i])
			wheel.remove(there[i]) // who has gone is not there, and nobody else goes
			there = slices.Delete(there, i, i+1)
		}
		count := 0
		for _, slot := range wheel {
			count += len(slot)
		}
		if count != len(there) {
			t.Fatalf("%d are in the wheel, want %d", count, len(there))
		}
		for _, s := range there {
			if at := wheel[s.number%beatSlots][s.place]; at.session != s || wheel.of(s).GetId() != fmt.Sprint(s.number) {
				t.Fatalf("at the place of %d is %d", s.number, at.session.number)
			}
		}
	})
}

// What had an element for each of many gives the memory back when most have gone.
func TestMostlyEmptyTakesLessMemory(t *testing.T) {
	const many = 10_000
	list, byNumber, most := make([]int, many), map[int]int{}, 0
	for i := range many {
		list[i], byNumber[i] = i, -i
		most = max(most, len(byNumber))
	}
	for n := many - 1; n >= 0; n-- {
		list = smaller(list[:n])
		delete(byNumber, n)
		byNumber = smallerMap(byNumber, &most)

		if cap(list) > max(leastRoom, 4*n+4) || most > max(leastRoom, 4*n+4) {
			t.Fatalf("%d are left, and there is room for %d and %d", n, cap(list), most)
		}
		if n > 0 && (list[n-1] != n-1 || len(byNumber) != n || byNumber[n-1] != 1-n) {
			t.Fatalf("of %d that are left some are not there", n)
		}
	}
}
