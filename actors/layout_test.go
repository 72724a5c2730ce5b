package actors

import (
	"testing"
	"unsafe"
)

// A user who is connected costs each of these at least once, and there may be a million. Go
// gives a value the next one of a few sizes, and the limits here are such sizes: one word more
// than fits costs 32 to 64 bytes for each user. Put what few users need behind a pointer (few,
// tail, fullness show how) before a limit is raised, and if one is, measure again: README.md says
// what a user takes, by BenchmarkMillionUsers.
func TestASessionAndAUserFitTheirSizes(t *testing.T) {
	for _, v := range []struct {
		what        string
		size, limit uintptr
	}{
		{"session", unsafe.Sizeof(session{}), 416},
		{"user", unsafe.Sizeof(user{}), 448},
		{"entry", unsafe.Sizeof(entry{}), 112},
		{"attachment", unsafe.Sizeof(attachment{}), 96},
		{"device", unsafe.Sizeof(device{}), 48},
	} {
		t.Logf("%s has %d bytes", v.what, v.size)
		if v.size > v.limit {
			t.Errorf("%s has %d bytes and should have no more than %d", v.what, v.size, v.limit)
		}
	}
}
