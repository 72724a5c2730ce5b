//go:build race

package simulation

// underRace is whether the race detector is on: then it is races that are looked for, so the
// goroutines run at the same time, and fewer seeds are run.
const underRace = true
