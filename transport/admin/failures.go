package admin

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxAddresses bounds the addresses whose failures are counted. With so many at
	// once, all others share one count.
	maxAddresses = 4096

	// failureEvery is how long it takes until one more sign-in may fail.
	failureEvery = time.Second
)

// failures counts the sign-ins that failed, by address: a bucket for each, which a
// failure fills and time empties. Any goroutine may use it.
type failures struct {
	burst int

	mu   sync.Mutex
	full map[netip.Prefix]time.Time // guarded by mu: when the bucket will be empty
}

func newFailures(burst int) *failures {
	return &failures{burst: burst, full: make(map[netip.Prefix]time.Time)}
}

// wait is how long the address has to wait until it may try again; 0 if it may now.
func (f *failures) wait(remote string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	empty := f.full[f.bucket(remote)]
	if !empty.After(now) {
		return 0
	}
	return max(0, empty.Sub(now)-time.Duration(f.burst-1)*failureEvery)
}

// add counts a failure.
func (f *failures) add(remote string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bucket(remote) != network(remote) { // there is no room: make some
		for other, empty := range f.full {
			if empty.Before(now) {
				delete(f.full, other)
			}
		}
	}
	key := f.bucket(remote)
	from := f.full[key]
	if from.Before(now) {
		from = now
	}
	f.full[key] = from.Add(failureEvery)
}

// bucket is the one of an address. The zero one is for those that there is no room for.
func (f *failures) bucket(remote string) netip.Prefix {
	of := network(remote)
	if _, known := f.full[of]; !known && len(f.full) >= maxAddresses {
		return netip.Prefix{}
	}
	return of
}

// network is an address; or 64 bits of it in IPv6, for whoever has one of those has all.
func network(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 64
	if address = address.Unmap().WithZone(""); address.Is4() {
		bits = 32
	}
	of, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return of
}
