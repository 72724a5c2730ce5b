package admin

import (
	"sync"
	"time"
)

const (
	// storeSizeEvery is how old the size of the store may be before it is asked for again.
	storeSizeEvery = 5 * time.Second

	// storeSizePatience is how long a scrape waits for it: a disk that hangs must not
	// keep an operator from the metrics that say so.
	storeSizePatience = 250 * time.Millisecond
)

// storeSize remembers how much the store takes, for to ask may wait for the disk. At
// most one goroutine asks at a time.
type storeSize struct {
	ask func() (bytes uint64, known bool)

	mu     sync.Mutex
	bytes  uint64
	known  bool
	at     time.Time     // when it was asked for
	asking chan struct{} // closed when the answer has come; nil: nobody asks
}

// read is the size, or the last one known if the store does not say it in time.
func (s *storeSize) read() (bytes uint64, known bool) {
	s.mu.Lock()
	if s.asking == nil && time.Since(s.at) >= storeSizeEvery {
		s.at, s.asking = time.Now(), make(chan struct{})
		go s.refresh(s.asking) // ends when the disk answers, or with the process
	}
	asking := s.asking
	s.mu.Unlock()
	if asking != nil {
		select {
		case <-asking:
		case <-time.After(storeSizePatience):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, s.known
}

func (s *storeSize) refresh(asking chan struct{}) {
	bytes, known := s.ask()
	s.mu.Lock()
	defer s.mu.Unlock()
	if known {
		s.bytes, s.known = bytes, true
	}
	s.asking = nil
	close(asking)
}
