package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// signed writes a certificate that signs itself, which is for servers, clients and authorities.
func signed(t *testing.T, folder, name string, lifetime time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(lifetime), DNSNames: []string{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	cert, key = filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

// meet has a client come to a server that greets, and returns what came of it.
func meet(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, err error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	var done sync.WaitGroup
	done.Go(func() {
		nc, err := listener.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		conn := tls.Server(nc, server)
		_, _ = conn.Write([]byte("hello")) // the client sees what comes of it
		_, _ = io.Copy(io.Discard, conn)
	})
	defer done.Wait()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err != nil {
		return state, err
	}
	defer func() { _ = conn.Close() }()         // the meeting is over
	_, err = io.ReadFull(conn, make([]byte, 5)) // a ticket comes before
	return conn.ConnectionState(), err
}

// Who came once does not come back with a ticket when its authority is taken away.
func TestAuthorityThatIsTakenAwayIsGone(t *testing.T) {
	folder := t.TempDir()
	cert, key := signed(t, folder, "server", time.Hour)
	one, oneKey := signed(t, folder, "one", time.Hour)
	other, _ := signed(t, folder, "other", time.Hour)
	c, err := Load("admin.tls", Files{cert, key, one}, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	own, err := tls.LoadX509KeyPair(one, oneKey)
	must(t, err)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	must(t, err)
	pool.AppendCertsFromPEM(text)
	server := c.TLS() // one for all, as a listener has
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client := &tls.Config{
			RootCAs: pool, ServerName: "server", Certificates: []tls.Certificate{own}, MaxVersion: version,
			ClientSessionCache: tls.NewLRUClientSessionCache(4),
		}
		for range 2 {
			if state, err := meet(t, server, client); err != nil || state.DidResume {
				t.Fatalf("resumed %t, %v", state.DidResume, err)
			}
		}
		commit, err := c.Prepare(Files{cert, key, other})
		must(t, err)
		if _, err := meet(t, server, client); err != nil {
			t.Errorf("what is prepared is in force: %v", err)
		}
		commit()
		if _, err := meet(t, server, client); err == nil {
			t.Error("it came in")
		}
		commit, err = c.Prepare(Files{cert, key, one})
		must(t, err)
		commit()
	}
}

func TestWhatCannotBeUsedChangesNothing(t *testing.T) {
	folder := t.TempDir()
	cert, key := signed(t, folder, "server", time.Hour)
	late, lateKey := signed(t, folder, "late", -time.Hour)
	_, otherKey := signed(t, folder, "other", time.Hour)
	c, err := Load("tls", Files{Cert: cert, Key: key}, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	before := c.inForce.Load()
	for name, files := range map[string]Files{
		"expired": {Cert: late, Key: lateKey}, "another key": {Cert: cert, Key: otherKey}, "none": {Cert: "/none", Key: key},
		"authority without certificate": {Cert: cert, Key: key, ClientCA: key}, "key for certificate": {Cert: key, Key: key},
	} {
		if _, err := c.Prepare(files); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	if c.inForce.Load() != before {
		t.Error("something else is in force")
	}
	if commit, err := c.Prepare(Files{Cert: cert, Key: key}); err != nil {
		t.Error(err)
	} else if commit(); c.inForce.Load() != before {
		t.Error("the same files are another certificate")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
