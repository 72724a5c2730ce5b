//go:build !unix

package transport

// Systems without non-blocking reads on a file descriptor wait in Read, and
// write on a goroutine: slower, and the same to everybody outside of this file.

// receive works off what comes in, until that has enough or the connection ends.
func (s *socket) receive() error {
	buffer, from := make([]byte, 16<<10), s.nc
	if s.sealed != nil {
		from = s.sealed.conn
	}
	for {
		n, err := from.Read(buffer)
		switch {
		case n > 0 && !s.received(buffer[:n]):
			return nil
		case err != nil:
			return err
		}
	}
}

func tellsLeftover(uintptr) bool { return false }

func (*socket) readable(uintptr) bool       { return false }
func (*socket) readableSealed(uintptr) bool { return false }

// readNow waits, as all reading does here.
func (w *wire) readNow(b []byte) (int, error) { return w.Conn.Read(b) }

// tryWrite writes nothing: all is left to drain.
func (*socket) tryWrite([]byte) (int, error) { return 0, nil }
