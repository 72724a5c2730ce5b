package bench

import (
	"net"
	"runtime"
	"strings"
	"testing"
)

// accept is a listener on the loopback, and whom it hears.
func accept(t *testing.T) (address string, heard <-chan string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			from <- nc.RemoteAddr().(*net.TCPAddr).IP.String()
			_, _ = nc.Write([]byte("hello"))
			nc.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return listener.Addr().String(), from
}

func TestManyConnectionsComeFromManyAddresses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only there every address of 127/8 is this machine's")
	}
	address, heard := accept(t)
	s, err := newSource("ws://"+address, 600*perSource)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{
		0: "127.0.0.1", perSource - 1: "127.0.0.1", perSource: "127.0.0.2", 254 * perSource: "127.0.0.255", 255 * perSource: "127.0.1.0", 511 * perSource: "127.0.2.0",
	} {
		nc, err := s.dialer(n)(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-heard; got != want {
			t.Errorf("connection %d comes from %s, want %s", n, got, want)
		}
		nc.Close()
	}
}

func TestSourceCountsBytes(t *testing.T) {
	address, _ := accept(t)
	s, err := newSource("ws://"+address, 1)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := s.dialer(0)(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for b := make([]byte, 3); err == nil; {
		_, err = nc.Read(b)
	}
	if s.received.Load() != 5 || s.sent.Load() != 0 {
		t.Errorf("%d received, %d sent", s.received.Load(), s.sent.Load())
	}
}

func TestManyConnectionsToAnotherMachineAreRefused(t *testing.T) {
	if _, err := newSource("ws://10.0.0.1:80", perSource); err != nil {
		t.Error(err)
	}
	_, err := newSource("ws://10.0.0.1:80", perSource+1)
	if err == nil || !strings.Contains(err.Error(), "several machines") {
		t.Errorf("%v", err)
	}
	if _, err := newSource("ws://localhost:80", perSource+1); err != nil {
		t.Error(err)
	}
}

func TestTooManyFilesAreAClearError(t *testing.T) {
	if err := needFiles(10); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("there is no limit")
	}
	err := needFiles(1 << 40)
	if err == nil || !strings.Contains(err.Error(), "ulimit -n") || !strings.Contains(err.Error(), "LimitNOFILE") {
		t.Errorf("%v", err)
	}
}
