// Package simulation runs a whole node from a seed: the real actors on the real Pebble store, whose
// disk, clock and sockets are simulated, while all that may go wrong goes wrong in random order. It
// has tests alone, and no part of it is in the binary.
//
// # What is simulated
//
// Users with a phone, a tablet, a nameless program and two of the seed's dialect. They connect, with a
// cursor of their own or without, again while the last connection is still there, and with their memory lost; they
// send, under new ids, the same id again, an id that is taken, or none; they acknowledge late, stall,
// are cut off, and close in order or not. The operator sends, looks, watches and traces, closes sessions, blocks users,
// forgets devices, trims inboxes, changes limits, and changes the number of
// shards, whose users move one after another.
//
// Actors of every level fail on any message, often enough to be parked, or on one message each time it comes, or take
// their time over one; commits and reads panic. The disk returns EIO and
// ENOSPC, tears writes, and works again. Commits take time. The machine ends at any change of the disk or
// between two, and its next life finds what was synced and some of the rest
// ([callboard/actors/inbox/pebble/disktest]). The service is stopped, drained while everything else goes on, and started
// again. Some runs have inboxes that are soon full, and some a retention that takes what was not read.
//
// Time is that of a testing/synctest bubble. operations_test.go has the table of what happens:
// to add something, add a line.
//
// # What is checked
//
// The model (ledger) knows what was sent, what anybody was told, and what anybody saw.
//
//   - Confirmed means kept. What a sender was told to be kept, by SENT or by System.Send, is in the inbox at that
//     place after each start of the service, and so is whatever a device saw.
//   - Seen once, in order. What reaches one session is a piece of the inbox without a gap or a repeat. A named
//     device's next session never begins behind what it has; and not before what it had acknowledged a
//     second before a quiet moment or an orderly stop, without trouble in the five seconds before that. What
//     comes again bears the number that it had.
//   - The seed's dialect acknowledges nothing: delivered is what the network has taken. All nameless
//     sessions of a user share a cursor, so this is checked of them together: nothing is left out that none
//     of them has had, nor that one which is still there has not; and in a quiet time, as above,
//     nothing comes again. What a network had taken when it was cut may never reach the user.
//   - What a session has sent, once each, is in the order in which it was sent.
//   - Who is blocked is not let in, through restarts and ends of the machine.
//   - Nothing is made up, changed or doubled. Each entry was sent to that inbox, with that content,
//     and (sender, id) is there once; a repetition is told the same place.
//   - What a sender was told to be set aside is, through restarts and ends of the machine, until the operator retries it.
//   - Said plainly. In V1 every SEND of a session that lives has one answer; in the seed's dialect what is not kept
//     was refused. A gap is told only where retention takes messages, and always to a device that the service knew
//     for sure; one that is new to it, or that it knew of for less than a moment before the machine
//     ended, begins with what is left.
//   - Bounded. No more than the window is on its way to a session, no more sends of a session
//     than MaxInFlight wait for their answer.
//   - Nobody is deaf. When the trouble is over every program can connect, is heard, and gets its inbox to the end.
//   - Nothing is left. When all have gone there are no sessions and no users; a stop ends every goroutine,
//     socket and file, and no actor does anything afterwards. Those that outlive their failures had none but by order, and no message
//     was without a case.
//
// Latency is not looked at, nor the frames: connections carry messages. Reads of the disk do not fail by order.
//
// TestCheckFindsWhatIsPlanted plants faults where the service meets the store and the network, and has the checks find each.
//
// # How to replay
//
// A seed that fails prints what happened in that run, and the command to run it again:
//
//	go test ./cmd/callboard/simulation -v -simulation.seed=420
//
// runs the seed until it fails, 100 times at most (-simulation.tries), and writes down the last run.
// SIMULATION_SEEDS=5000, or -simulation.seeds, runs more of them; -simulation.all does not stop at the first
// that fails.
//
// The plan of a seed, what happens and to whom, is always the same. What comes of it is the same in
// about half of the runs, and TestASeedHasOnePlan counts it; in the others what is ready in the same instant goes in another
// order somewhere, mostly without a difference in the end. So a replay runs a seed more than once.
// Only one goroutine runs at a time (GOMAXPROCS is 1 here), the collector seldom, parked users rest exactly as long as
// configured, and no two clocks have a common beat. What remains: the journal and busy sessions let others on
// (runtime.Gosched), and when they come back depends on what the process did before; Go iterates over maps and picks
// among ready cases at random; Pebble's skip lists have random heights; the kernel interrupts at any moment. In a quarter of
// the seeds actors take a nanosecond for some messages, so that others come in between. Under
// the race detector goroutines run at the same time, so that there is a race to find.
package simulation
