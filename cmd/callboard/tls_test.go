package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// authority signs certificates for a test, and keeps them as files.
type authority struct {
	t      *testing.T
	folder string
	own    *x509.Certificate
	key    *ecdsa.PrivateKey
	file   string // its own certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	a.own = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.file = a.sign("authority", a.own, a.key)
	return a
}

// sign writes NAME.pem and NAME.key, in one step each, and returns the name of the first.
func (a *authority) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey) string {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.own, key.Public(), a.key)
	must(a.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(a.t, err)
	path := filepath.Join(a.folder, name)
	for end, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		must(a.t, os.WriteFile(path+end+".new", pem.EncodeToMemory(block), 0o600))
		must(a.t, os.Rename(path+end+".new", path+end))
	}
	return path + ".pem"
}

// issue makes a certificate for 127.0.0.1 and a name, valid for so long.
func (a *authority) issue(file, name string, serial int64, lifetime time.Duration) (cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	cert = a.sign(file, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(lifetime),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{name + ".example.org"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, private)
	return cert, strings.TrimSuffix(cert, ".pem") + ".key"
}

// trust is a client's configuration that trusts the authority.
func (a *authority) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.read(a.file))
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

func (a *authority) read(file string) *x509.Certificate {
	a.t.Helper()
	text, err := os.ReadFile(file)
	must(a.t, err)
	block, _ := pem.Decode(text)
	found, err := x509.ParseCertificate(block.Bytes)
	must(a.t, err)
	return found
}

// serial is the number of the certificate that the address shows now.
func serial(t *testing.T, address string, config *tls.Config) int64 {
	t.Helper()
	dialer := tls.Dialer{Config: config}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	must(t, err)
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// serveTLS starts the service with a certificate for its users.
func serveTLS(t *testing.T, cert, key string, trust *tls.Config, args ...string) (service *process, url string) {
	t.Helper()
	service = start(t, nil, append([]string{
		"serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir(), "--tls-cert", cert, "--tls-key", key,
	}, args...)...)
	address := service.stderr.has(t, `msg=serving address=(\S+) .*tls=true`)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.Get("https://" + address + "/healthz")
	must(t, err)
	answer.Body.Close()
	return service, "wss://" + address
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestUsersComeOverTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	_, url := serveTLS(t, cert, key, a.trust())

	listener := start(t, nil, "listen", "--as", "2", "--url", url, "--ca", a.file)
	listener.stderr.has(t, `listening as 2\n`)
	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "--ca", a.file, "hello").ends(0)
	listener.stdout.has(t, `^1: hello\n$`)

	for _, spoken := range []string{"seed", "json", "proto"} {
		load := start(t, nil, "bench", "relay", "--url", url, "--ca", a.file, "--users", "50", "--window", "16",
			"--protocol", spoken, "--duration", "1s", "--warmup", "200ms", "--check", "--settle", patience.String())
		load.ends(0)
		load.stdout.has(t, `(?m)^.*`)
	}

	start(t, nil, "listen", "--as", "2", "--url", url).complains(6, "certificate", "--ca")
	start(t, nil, "listen", "--as", "2", "--url", url, "--ca", newAuthority(t, "theirs").file).complains(6, "certificate", "--ca")
	start(t, nil, "listen", "--as", "2", "--url", strings.Replace(url, "wss", "ws", 1)).complains(2, "wss://")
	start(t, nil, "listen", "--as", "2", "--url", strings.Replace(url, "127.0.0.1", "localhost", 1), "--ca", a.file).complains(6, "localhost", "a name that the certificate has")
	start(t, nil, "listen", "--as", "2", "--url", url, "--ca", key).complains(2, "--ca", "no certificate in it")

	old := &tls.Config{RootCAs: a.trust().RootCAs, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	if h := dialTLS(t, url, "1", "", old); h.err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	dialTLS(t, url, "1", strings.Replace(url, "wss", "http", 1), a.trust()).refused(t, "origin_not_allowed")
	dialTLS(t, url, "1", strings.Replace(url, "wss", "https", 1), a.trust()).accepted(t).Close()
}

// A container's health check knows neither the authority nor the certificate's name; elsewhere both count.
func TestHealthAsksAServiceWithTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	_, url := serveTLS(t, cert, key, a.trust())
	address := strings.TrimPrefix(url, "wss://")
	for _, scheme := range []string{"http://", "https://"} {
		start(t, nil, "health", "--url", scheme+address, "--timeout", patience.String()).ends(0)
	}
	open := start(t, nil, "serve", "--insecure", "--listen", "0.0.0.0:0", "--admin", "", "--data", t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	port := open.stderr.has(t, `msg=serving address=\[::\]:(\d+)`)
	start(t, nil, "health", "--url", "https://0.0.0.0:"+port).complains(1, "certificate", "--url")
}

func TestListenerWithoutTLSSaysSo(t *testing.T) {
	_, url := serve(t)
	start(t, nil, "listen", "--as", "2", "--url", strings.Replace(url, "ws", "wss", 1)).complains(6, "no TLS there")
}

func TestCertificateThatIsOfNoUseIsRefusedAtTheStart(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	_, other := a.issue("other", "callboard", 8, time.Hour)
	for _, line := range []struct {
		cert, key string
		words     []string
	}{
		{cert, other, []string{"tls.cert", "tls.key", "its own key"}},
		{"/none.pem", key, []string{"tls.cert", "/none.pem"}},
		{key, key, []string{"tls.cert", "PEM"}},
	} {
		start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir(), "--tls-cert", line.cert, "--tls-key", line.key).
			complains(1, line.words...)
	}
	start(t, nil, "serve", "--tls-cert", cert).complains(2, "--tls-cert", "tls.key is not")
	// With a certificate, but without anybody proving who they are.
	start(t, nil, "serve", "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key).complains(2, "0.0.0.0:0", "any user", "--insecure")
}

func TestExpiredCertificateIsSaidOnBothSides(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, -time.Hour)
	service := start(t, nil, "serve", "--listen", "127.0.0.1:0", "--admin", "", "--data", t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	service.stderr.has(t, `level=ERROR msg="certificate is of no use" error="tls.cert .* has expired at .*: renew it"`)
	address := service.stderr.has(t, `msg=serving address=(\S+)`)
	start(t, nil, "listen", "--as", "2", "--url", "wss://"+address, "--ca", a.file).complains(6, "expired", "renewed")
}

// A certificate is renewed while connections live: they stay, and new ones get the new one.
func TestCertificateIsRenewedWithoutARestart(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	service, url := serveTLS(t, cert, key, a.trust())
	address := strings.TrimPrefix(url, "wss://")
	living := dialTLS(t, url, "2", "", a.trust()).accepted(t)
	defer living.Close()

	a.issue("server", "callboard", 8, time.Hour)
	service.stderr.has(t, `msg="certificate taken" section=tls subject="CN=callboard"`)
	if got := serial(t, address, a.trust()); got != 8 {
		t.Errorf("certificate %d is shown", got)
	}

	a.issue("server", "callboard", 9, -time.Hour) // expired
	service.stderr.has(t, `level=ERROR msg="certificate not taken; the one before stays" error="tls.cert .* has expired`)
	must(t, os.WriteFile(key, []byte("half a k"), 0o600))
	service.signal(syscall.SIGHUP) // which does not wait for the next look
	service.stderr.has(t, `level=ERROR msg="configuration not reloaded" error="tls.cert .* its own key`)
	if got := serial(t, address, a.trust()); got != 8 {
		t.Errorf("certificate %d is shown", got)
	}
	a.issue("server", "callboard", 10, time.Hour)
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `msg="configuration reloaded"`)
	if got := serial(t, address, a.trust()); got != 10 {
		t.Errorf("certificate %d is shown", got)
	}

	start(t, nil, "send", "--as", "1", "--to", "2", "--url", url, "--ca", a.file, "still there?").ends(0)
	must(t, living.SetReadDeadline(time.Now().Add(patience)))
	if _, frame, err := living.ReadMessage(); err != nil || !strings.Contains(string(frame), "still there?") {
		t.Errorf("%q, %v", frame, err)
	}
	service.signal(syscall.SIGTERM)
	if _, _, err := living.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("%v", err)
	}
	living.Close()
	service.ends(0)
}

// serveAdminTLS starts the service with TLS and client certificates for its operators.
func serveAdminTLS(t *testing.T, text string, args ...string) (service *process, admin, file string) {
	t.Helper()
	file = configured(t, filepath.Join(t.TempDir(), "c.yaml"), text)
	service, _ = serve(t, append([]string{"--config", file, "--admin", "127.0.0.1:0"}, args...)...)
	return service, "https://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`), file
}

func TestOperatorsComeWithCertificates(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	cert, key := ours.issue("server", "callboard", 7, time.Hour)
	veraCert, veraKey := ours.issue("vera", "vera", 20, time.Hour)
	ottoCert, ottoKey := ours.issue("otto", "otto", 21, time.Hour)
	noneCert, noneKey := ours.issue("none", "none", 22, time.Hour)
	lateCert, lateKey := ours.issue("late", "vera", 23, -time.Hour)
	evilCert, evilKey := theirs.issue("evil", "vera", 24, time.Hour)
	data := t.TempDir()
	text := func(ottos string) string {
		return fmt.Sprintf("admin:\n  tls:\n    cert: %s\n    key: %s\n    client-ca: %s\n    roles:\n"+
			"    - {name: vera, role: viewer}\n    - {name: otto.example.org, role: %s}\n", cert, key, ours.file, ottos)
	}
	service, admin, file := serveAdminTLS(t, text("operator"), "--data", data)
	as := func(cert, key string, args ...string) *process {
		return start(t, nil, append(args, "--admin", admin, "--ca", ours.file, "--cert", cert, "--key", key)...)
	}

	as(veraCert, veraKey, "stats").ends(0)
	as(veraCert, veraKey, "user", "close", "2").complains(6, "permission_denied", "vera")
	as(ottoCert, ottoKey, "user", "close", "2").ends(0) // by its alternative name
	service.stderr.has(t, `msg="admin call" who=otto.example.org role=operator call=\S+CloseUser`)
	as(ottoCert, ottoKey, "drain").complains(6, "permission_denied", "otto.example.org")
	as(noneCert, noneKey, "stats").complains(6, "unauthenticated")
	as(noneCert, noneKey, "stats", "--token-file", filepath.Join(data, "admin-token")).ends(0)
	as(veraCert, veraKey, "user", "close", "2", "--token-file", filepath.Join(data, "admin-token")).ends(0) // the token decides
	service.stderr.has(t, `msg="admin call" who=admin-token role=admin call=\S+CloseUser`)
	as(veraCert, veraKey, "stats", "--token", "callboard_wrong_wrong_wrong_wrong").complains(6, "unauthenticated")
	as(lateCert, lateKey, "stats").complains(6, "certificate", "--cert")
	as(evilCert, evilKey, "stats").complains(6, "certificate", "--cert")
	as(veraCert, ottoKey, "stats").complains(2, "--cert and --key")
	start(t, nil, "stats", "--admin", admin, "--ca", ours.file, "--data", data).complains(6, "certificate", "--cert")
	start(t, nil, "stats", "--admin", admin, "--data", data).complains(6, "certificate", "--ca")
	start(t, nil, "stats", "--admin", admin, "--cert", veraCert).complains(2, "--cert", "--key")

	// Roles and authorities are taken while the service runs.
	configured(t, file, strings.Replace(text("viewer"), ours.file, theirs.file, 1))
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `key=admin.tls.client-ca (?s:.*)key=admin.tls.roles old="\[{name: vera, role: viewer}, {name: otto.example.org, role: operator}\]"(?s:.*)changed=2 need_restart=0`)
	as(ottoCert, ottoKey, "stats").complains(6, "certificate", "--cert")
	as(evilCert, evilKey, "stats").ends(0) // who is trusted now, and is called vera
}

// gRPC needs HTTP/2, which TLS negotiates.
func TestAdminSpeaksBothVersionsOfHTTPOverTLS(t *testing.T) {
	a := newAuthority(t, "ours")
	cert, key := a.issue("server", "callboard", 7, time.Hour)
	data := t.TempDir()
	_, admin, _ := serveAdminTLS(t, fmt.Sprintf("admin: {tls: {cert: %s, key: %s}}\n", cert, key), "--data", data)
	token, err := os.ReadFile(filepath.Join(data, "admin-token"))
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, major := range []int{1, 2} {
		transport := &http.Transport{TLSClientConfig: a.trust(), ForceAttemptHTTP2: major == 2}
		t.Cleanup(transport.CloseIdleConnections)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, admin+"/callboard.admin.v1.AdminService/GetStats", strings.NewReader("{}"))
		must(t, err)
		request.Header.Set("Content-Type", "application/json")
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		answer, err := transport.RoundTrip(request)
		must(t, err)
		body, err := io.ReadAll(answer.Body)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != major || !strings.Contains(string(body), "startedMs") {
			t.Errorf("%s %s: %s", answer.Proto, answer.Status, body)
		}
	}
	start(t, nil, "stats", "--admin", admin, "--ca", a.file, "--data", data).ends(0)
	start(t, nil, "send", "--to", "2", "--admin", admin, "--ca", a.file, "--data", data, "hello").ends(0)
}

func TestTokensOfTheConfigurationHaveTheirRoles(t *testing.T) {
	made := func(name, role string) (secret, line string) {
		t.Helper()
		p := start(t, nil, "admin", "token", "new", "--name", name, "--role", role)
		p.ends(0)
		lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
		return lines[0], lines[len(lines)-1]
	}
	vera, veraLine := made("vera", "viewer")
	otto, ottoLine := made("otto's", "operator")
	ada, adaLine := made("ada", "admin")
	data := t.TempDir()
	text := "admin:\n  tokens:\n" + veraLine + "\n" + ottoLine + "\n" + adaLine + "\n"
	file := configured(t, filepath.Join(t.TempDir(), "c.yaml"), text)
	service, _ := serve(t, "--config", file, "--admin", "127.0.0.1:0", "--data", data)
	admin := "http://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`)
	as := func(secret string, args ...string) *process {
		t.Helper()
		return start(t, nil, append(args, "--admin", admin, "--token", secret)...)
	}

	as(vera, "stats").ends(0)
	as(vera, "user", "close", "2").complains(6, "permission_denied", "vera")
	as(otto, "user", "close", "2").ends(0)
	service.stderr.has(t, `msg="admin call" who=otto's role=operator call=\S+CloseUser`)
	as(otto, "drain").complains(6, "permission_denied", "otto's")
	start(t, nil, "stats", "--admin", admin, "--data", data).ends(0) // the token of the directory stays

	configured(t, file, strings.Replace(text, veraLine+"\n", "", 1))
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `key=admin.tokens old="\*\*\* \(3\)" new="\*\*\* \(2\)"`)
	as(vera, "stats").complains(6, "unauthenticated")
	as(ada, "drain", "--over", "10ms").ends(0)
	for _, secret := range []string{vera, otto, ada} {
		if strings.Contains(service.stderr.String(), secret) || strings.Contains(text, secret) {
			t.Error("a token is in the log or in the configuration")
		}
	}
	start(t, nil, "admin", "token", "new", "--name", "x").complains(2, "--role", "viewer, operator or admin")
	start(t, nil, "admin", "token", "new", "--role", "viewer").complains(2, "--name", "give a name")
}
