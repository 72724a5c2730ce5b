package main_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Who did what is there even if of the rest only errors are.
func TestAuditIsLoggedAtEveryLevel(t *testing.T) {
	text, operators := tokensOf()
	for _, level := range []string{"warn", "error"} {
		users, admins, data := freePort(t), freePort(t), t.TempDir()
		service := start(t, nil, "serve", "--listen", users, "--admin", admins, "--data", data, "--log-level", level, "--log-format", "json",
			"--config", configured(t, filepath.Join(t.TempDir(), "c.yaml"), text))
		listens(t, users)
		ready(t, "http://"+users+"/readyz")
		caller := []string{"--admin", "http://" + admins, "--data", data}

		call(t, caller, "user", "close", "2")
		call(t, caller, "broadcast", "--to", "2", "--id", "n1", "noon")
		start(t, nil, "user", "close", "2", "--admin", "http://"+admins, "--token", operators[0].secret).complains(6, "permission_denied")

		service.stderr.has(t, `"level":"INFO","msg":"admin call","who":"admin-token","role":"admin","call":"[^"]*CloseUser"`)
		service.stderr.has(t, `"msg":"broadcast ended","who":"admin-token","id":"n1"`)
		service.stderr.has(t, `"msg":"admin call refused","who":"viewer","role":"viewer","call":"[^"]*CloseUser"`)
		if said := service.stderr.String(); strings.Contains(said, `"msg":"serving operators"`) {
			t.Errorf("more is logged than at the level %s: %s", level, said)
		}
	}
}

// listens waits for a service that does not say in its log that it is there.
func listens(t *testing.T, address string) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			must(t, conn.Close())
			return
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}
