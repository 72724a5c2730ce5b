package transport

import (
	"testing"
	"unsafe"
)

// Every connection has a socket. Go gives a value the next one of a few sizes, of which this is one: a word more costs 16
// bytes for each connection.
func TestASocketFitsItsSize(t *testing.T) {
	if size := unsafe.Sizeof(socket{}); size > 208 {
		t.Errorf("a socket has %d bytes and should have no more than 208", size)
	}
}
