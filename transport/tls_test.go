package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// overTLS is whether all tests of this package run over TLS: TestTheSameOverTLS does that.
var overTLS = os.Getenv(overTLSVariable) != ""

const overTLSVariable = "CALLBOARD_TEST_TLS"

// ownIdentity is a certificate for 127.0.0.1 and who trusts it.
var ownIdentity = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "callboard"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, trusted
})

// serverTLS is what a server of the tests is configured with; nil for none.
func serverTLS() *tls.Config {
	if !overTLS {
		return nil
	}
	own, _ := ownIdentity()
	return &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
}

// clientTLS is what its clients are configured with.
func clientTLS() *tls.Config {
	_, trusted := ownIdentity()
	return &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}

// over puts TLS over a client's connection, if the tests run over it.
func over(nc net.Conn) net.Conn {
	if !overTLS {
		return nc
	}
	return tls.Client(nc, clientTLS())
}

// scheme is that of a URL, with its s if the tests run over TLS.
func scheme(plain string) string {
	if overTLS {
		return plain + "s"
	}
	return plain
}

// Every promise of this package holds over TLS too: its tests run a second time.
func TestTheSameOverTLS(t *testing.T) {
	if overTLS {
		return
	}
	if testing.Short() {
		t.Skip("it takes as long as all others together")
	}
	left := time.Duration(0) // no limit
	if end, limited := t.Deadline(); limited {
		left = max(time.Until(end)-10*time.Second, time.Second) // so that it is the one to say what hangs
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.timeout="+left.String())
	again.Env = append(os.Environ(), overTLSVariable+"=1")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// tcpOf is the connection below TLS, if there is TLS.
func tcpOf(nc net.Conn) *net.TCPConn {
	if conn, ok := nc.(*tls.Conn); ok {
		nc = conn.NetConn()
	}
	return nc.(*net.TCPConn)
}

// authorityFile is the certificate that the tests' clients trust, as a file.
func authorityFile(tb testing.TB) string {
	tb.Helper()
	own, _ := ownIdentity()
	path := filepath.Join(tb.TempDir(), "authority.pem")
	must(tb, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}), 0o600))
	return path
}
