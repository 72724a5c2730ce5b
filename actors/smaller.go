package actors

import "maps"

// A slice or a map that was large once stays so: neither Go nor the collector gives back the
// memory of one that is in use, however little is left in it. So what has an element for each
// user or session is copied into a smaller one when three quarters have gone. On average that
// costs each one that goes a copy of a third of an element.

// leastRoom is the room below which no memory is given back.
const leastRoom = 1024

// smaller is the slice, in less memory if it has become mostly empty.
func smaller[T any](s []T) []T {
	if cap(s) < leastRoom || len(s) > cap(s)/4 {
		return s
	}
	return append(make([]T, 0, cap(s)/2), s...)
}

// smallerMap is the map likewise. The most that were in it since it was made is the caller's to
// note.
func smallerMap[K comparable, V any](m map[K]V, most *int) map[K]V {
	if *most < leastRoom || len(m) > *most/4 {
		return m
	}
	*most = len(m)
	fewer := make(map[K]V, len(m))
	maps.Copy(fewer, m)
	return fewer
}
