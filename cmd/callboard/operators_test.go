package main_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callboard/actors/inbox"
	"callboard/actors/inbox/pebble"
	"callboard/protocol"
	"callboard/transport/client"
)

// The roles, the least first; nobody is who may come without any.
const (
	nobody = iota
	viewer
	operator
	admin
)

var roleWords = []string{"nobody", "viewer", "operator", "admin"}

// operatorOf is somebody who calls the admin API: with a token, with a certificate, or with
// neither.
type operatorOf struct {
	name   string
	role   int
	secret string
	tls    *tls.Config
}

// transport is the road to the admin API. Whose sign-ins fail comes from another address each
// time, for else the limit of those would answer.
func (o *operatorOf) transport(t *testing.T) *http.Transport {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: o.tls}
	if o.role == nobody {
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			n := addresses.Add(1)
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n>>8), byte(n))}}
			return dialer.DialContext(ctx, network, address)
		}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

var addresses atomic.Int64

// tokensOf makes a token for each role, and the configuration that has their hashes.
func tokensOf() (text string, operators []*operatorOf) {
	text = "admin:\n  tokens:\n"
	for role := viewer; role <= admin; role++ {
		o := &operatorOf{name: "the " + roleWords[role], role: role, secret: "callboard_secret-of-the-" + roleWords[role]}
		hash := sha256.Sum256([]byte(o.secret))
		text += fmt.Sprintf("  - {name: %s, role: %s, sha256: %s}\n", roleWords[role], roleWords[role], hex.EncodeToString(hash[:]))
		operators = append(operators, o)
	}
	return text, operators
}

// deadletters is how many messages are set aside in the store that letters fills.
const deadletters = 64

// letters is a data directory with messages that were set aside.
func letters(t *testing.T) string {
	t.Helper()
	data := t.TempDir()
	store, err := pebble.Open(data, pebble.Config{})
	must(t, err)
	for number := range uint64(deadletters) {
		must(t, store.SetAside(&inbox.Deadletter{
			Number: number + 1, At: time.Now().UnixMilli(), Sender: "alice", Receiver: "bob", ID: fmt.Sprint("id-", number),
			Content: "hello", Crashes: 2, Reason: "nil map", Stack: "goroutine 7 [running]:\n",
		}))
	}
	must(t, store.Close())
	return data
}

// phones connects users u1 to u<n>, each with a phone: their sessions have the numbers 1 to n.
func phones(t *testing.T, url string, n int) {
	t.Helper()
	for i := range n {
		phone, err := client.Dial(t.Context(), url, protocol.UserID(fmt.Sprint("u", i+1)), client.Config{Device: "phone"})
		must(t, err)
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			_ = phone.Close(ctx) // most of them were closed by an operator
		})
	}
}

// Every call of callboard.admin.v1 and every page of the admin listener, by everybody there can be:
// whose role is high enough gets what was asked for, all others are refused with the code for it.
func TestEveryCallIsForItsRoleAndThoseAbove(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only there every address of 127/8 is this machine's")
	}
	t.Run("by token", func(t *testing.T) {
		text, operators := tokensOf()
		data := letters(t)
		file := configured(t, filepath.Join(t.TempDir(), "c.yaml"), text)
		service, url := serve(t, "--config", file, "--admin", "127.0.0.1:0", "--data", data)
		address := "http://" + service.stderr.has(t, `msg="serving operators" address=(\S+)`)
		own, err := os.ReadFile(filepath.Join(data, "admin-token"))
		must(t, err)
		operators = append(operators,
			&operatorOf{name: "who has the file", role: admin, secret: strings.TrimSpace(string(own))},
			&operatorOf{name: "who has a wrong token", secret: "callboard_secret-of-the-queen"},
			&operatorOf{name: "who has none"})
		phones(t, url, 2*len(operators))
		callAll(t, address, url, operators)
	})
	t.Run("by certificate", func(t *testing.T) {
		ours := newAuthority(t, "ours")
		cert, key := ours.issue("server", "callboard", 7, time.Hour)
		text := fmt.Sprintf("admin:\n  tls:\n    cert: %s\n    key: %s\n    client-ca: %s\n    roles:\n", cert, key, ours.file)
		var operators []*operatorOf
		for role, word := range roleWords {
			if role != nobody {
				text += fmt.Sprintf("    - {name: %s, role: %s}\n", word, word)
			}
			pair, err := tls.LoadX509KeyPair(ours.issue(word, word, int64(20+role), time.Hour))
			must(t, err)
			trust := ours.trust()
			trust.Certificates = []tls.Certificate{pair}
			operators = append(operators, &operatorOf{name: "the certificate of " + word, role: role, tls: trust})
		}
		service, address, _ := serveAdminTLS(t, text, "--data", letters(t))
		url := "ws://" + service.stderr.has(t, `msg=serving address=(\S+)`)
		phones(t, url, 2*len(operators))
		callAll(t, address, url, operators)
	})
}

// callAll has everybody make every call, those calls last that end the service.
func callAll(t *testing.T, address, url string, operators []*operatorOf) {
	t.Helper()
	// The least first: a refusal after the call was made by others would show nothing.
	slices.SortStableFunc(operators, func(a, b *operatorOf) int { return a.role - b.role })
	for _, o := range operators {
		c := &callers{t: t, operator: o, address: address, http: &http.Client{Timeout: patience}}
		for _, p := range pages {
			c.page(p)
		}
		c.open(url)
	}
	for _, row := range calls {
		for _, o := range operators {
			for _, spoken := range []string{"gRPC", "JSON"} {
				row.made++
				c := &callers{t: t, operator: o, address: address, http: &http.Client{Transport: o.transport(t), Timeout: patience}}
				c.rpc(row, spoken)
				c.http.CloseIdleConnections()
			}
		}
		row.made = 0 // the next service has its own sessions and messages
	}
}
