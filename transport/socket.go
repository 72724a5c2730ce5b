package transport

import (
	"net"
	"sync"
	"syscall"
	"time"

	"callboard/actors"
	"callboard/protocol"
)

// writeChunk is how much of what waits is written under one deadline: a peer
// that takes that much in time is slow but alive.
const writeChunk = 16 << 10

// socket is one connection after the upgrade. Its fields are grouped by who owns
// them; see doc.go for the two who do.
type socket struct {
	nc     net.Conn        // the network's, below TLS
	raw    syscall.RawConn // nc's, to read and write without waiting
	sealed *sealed         // nil without TLS
	link   *actors.Link    // set before the reader starts
	named  string          // the client's address, by a proxy of ours; empty: it is nc's. Never changes

	// The reader's.
	take     func(fd uintptr) bool // the method readable, bound once
	inErr    error                 // why there is no more to read
	rest     []byte                // of a frame that has not come whole
	message  []byte                // of a message whose fragments have not all come
	opcode   byte                  // of that message; 0: none is under way
	tells    bool                  // a read tells whether something is left
	greeted  bool                  // the client's CONNECT was passed on, in version 1
	sends    bool                  // the client has sent a SEND
	codec    protocol.Codec        // never changes; the session's too
	closing  bool                  // the peer asked to close or broke the protocol: only its close frame counts
	lost     bool                  // its frames cannot be told apart any more: what comes is thrown away
	maxFrame int                   // bytes of a message; what the client was told

	// The session's, but for what it lends to drain while that runs.
	out     *outBuffer // frames that wait
	leaving *outBuffer // what is being written; drain's while it runs
	sent    int        // bytes of leaving that are written; drain's while it runs
	owed    int        // upper bound of what of leaving is not written

	writeTimeout time.Duration
	server       *Server  // it waits for every drain, and knows who verifies tokens
	traffic      *traffic // where its bytes are counted
}

var _ actors.Conn = (*socket)(nil)

// Write implements actors.Conn.
func (s *socket) Write(m protocol.Message) int {
	b, start := s.begin(s.dataOpcode())
	b = s.codec.Append(b, m)
	s.out.b = finishFrame(b, start)
	return s.waiting()
}

// Control implements actors.Conn.
func (s *socket) Control(c actors.Control) int {
	if c.Drop && s.out != nil {
		s.out.b = s.out.b[:0]
	}
	b, start := s.begin(byte(c.Op))
	if c.Op == actors.OpClose {
		b = append(b, byte(c.Code>>8), byte(c.Code))
		b = append(b, c.Reason[:min(len(c.Reason), protocol.MaxReasonBytes)]...)
	} else {
		b = append(b, c.Payload...)
	}
	s.out.b = finishFrame(b, start)
	return s.waiting()
}

// dataOpcode is the opcode of the frames that carry messages.
func (s *socket) dataOpcode() byte {
	if s.codec == protocol.Proto {
		return opBinary
	}
	return opText
}

func (s *socket) begin(opcode byte) (b []byte, start int) {
	if s.out == nil {
		s.out = newOutBuffer()
	}
	start = len(s.out.b)
	return beginFrame(s.out.b, opcode), start
}

func (s *socket) waiting() int { return s.owed + len(s.out.b) }

// Flush implements actors.Conn.
func (s *socket) Flush(l *actors.Link) bool {
	for s.leaving != nil || s.out != nil {
		if s.leaving == nil {
			s.leaving, s.out, s.sent = s.out, nil, 0
			if s.sealed != nil {
				if err := s.sealLeaving(); err != nil {
					s.owed = len(s.leaving.b)
					s.server.drains.Go(func() { s.drain(l, err) })
					return false
				}
			}
		}
		n, err := s.tryWrite(s.leaving.b[s.sent:])
		s.sent += n
		s.traffic.out.Add(uint64(n))
		if err != nil || s.sent < len(s.leaving.b) {
			s.owed = len(s.leaving.b) - s.sent
			s.server.drains.Go(func() { s.drain(l, err) })
			return false
		}
		s.leaving.free()
		s.leaving, s.owed = nil, 0
	}
	return true
}

// drain writes what is left of leaving, waiting for the network, and tells the
// session. It runs only while a peer reads more slowly than it is sent to.
func (s *socket) drain(l *actors.Link, err error) {
	for err == nil && s.sent < len(s.leaving.b) {
		var n int
		chunk := s.leaving.b[s.sent:min(s.sent+writeChunk, len(s.leaving.b))]
		if err = s.nc.SetWriteDeadline(time.Now().Add(s.writeTimeout)); err == nil {
			n, err = s.nc.Write(chunk)
		}
		s.sent += n
		s.traffic.out.Add(uint64(n))
	}
	// Attempts to write without waiting fail too once a deadline has passed.
	if unset := s.nc.SetWriteDeadline(time.Time{}); err == nil {
		err = unset
	}
	l.Flushed(err)
}

// Close implements actors.Conn.
func (s *socket) Close() {
	if s.sealed != nil {
		s.farewell()
	}
	_ = s.nc.Close() // nobody is left to hear of an error
}

// outBuffer holds frames on their way out. Buffers come from a pool, so that a
// connection at rest has none.
type outBuffer struct{ b []byte }

// keepBuffer is the largest buffer that goes back to the pool.
const keepBuffer = 64 << 10

var outBuffers = sync.Pool{New: func() any { return &outBuffer{make([]byte, 0, 2<<10)} }}

func newOutBuffer() *outBuffer { return outBuffers.Get().(*outBuffer) }

func (o *outBuffer) free() {
	if cap(o.b) <= keepBuffer {
		o.b = o.b[:0]
		outBuffers.Put(o)
	}
}
