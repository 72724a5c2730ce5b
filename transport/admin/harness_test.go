package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/actors/inbox/memory"
	"callboard/transport"
	"callboard/transport/admin/adminv1"
)

const patience = time.Minute

// One secret for each role.
const (
	viewerSecret   = "viewer-secret-of-the-tests-1234"
	operatorSecret = "operator-secret-of-the-tests-12"
	adminSecret    = "admin-secret-of-the-tests-12345"
)

// node is a whole service, with its admin API on a loopback socket.
type node struct {
	t       testing.TB
	system  *actors.System
	admin   *Server
	address string // of the admin API
	users   string // of the WebSockets
	log     *logBuffer
}

func start(tb testing.TB, config Config) *node {
	tb.Helper()
	return startWith(tb, config, func(c actors.Config) actors.Config { return c })
}

// startWith starts one with other actors.
func startWith(tb testing.TB, config Config, other func(actors.Config) actors.Config) *node {
	tb.Helper()
	n := &node{t: tb, log: new(logBuffer)}
	logger := slog.New(slog.NewJSONHandler(n.log, nil))
	var err error
	n.system, err = actors.New(other(actors.Config{Store: memory.New(memory.Config{}), Shards: 4, Log: logger}))
	must(tb, err)
	server, err := transport.New(n.system, transport.Config{Log: logger})
	must(tb, err)
	config.Log = logger
	config.Users = server
	config.Tokens = []Token{
		NewToken("vera", Viewer, viewerSecret), NewToken("otto", Operator, operatorSecret), NewToken("ada", Admin, adminSecret),
	}
	n.admin, err = New(n.system, config)
	must(tb, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var done sync.WaitGroup
	serve := func(do func(context.Context, net.Listener) error) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		must(tb, err)
		done.Go(func() {
			if err := do(ctx, listener); err != nil {
				tb.Error(err)
			}
		})
		return listener.Addr().String()
	}
	n.users = serve(func(ctx context.Context, l net.Listener) error { return server.Serve(ctx, l, time.Second) })
	n.address = serve(n.admin.Serve)
	tb.Cleanup(func() {
		stop()
		done.Wait()
		end, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		must(tb, n.system.Stop(end))
		server.Wait()
	})
	eventually(tb, "the server is ready", func() bool {
		answer, err := http.Get("http://" + n.users + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return n
}

// as is a client with a secret.
func (n *node) as(secret string, options ...connect.ClientOption) adminv1.AdminServiceClient {
	return adminv1.NewAdminServiceClient(n.http(), "http://"+n.address, append(options, bear(secret))...)
}

// http is a client that speaks HTTP/2 without TLS, as gRPC does.
func (n *node) http() *http.Client {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func bear(secret string) connect.ClientOption { return connect.WithInterceptors(bearing(secret)) }

// bearing puts a secret into every call.
type bearing string

func (b bearing) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		request.Header().Set("Authorization", "Bearer "+string(b))
		return next(ctx, request)
	}
}

func (b bearing) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set("Authorization", "Bearer "+string(b))
		return conn
	}
}

func (b bearing) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// post calls with JSON over HTTP/1.1, as curl does.
func (n *node) post(secret, call, body string) (status int, answer string) {
	n.t.Helper()
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, "http://"+n.address+call, strings.NewReader(body))
	must(n.t, err)
	request.Header.Set("Content-Type", "application/json")
	if secret != "" {
		request.Header.Set("Authorization", "Bearer "+secret)
	}
	response, err := http.DefaultClient.Do(request)
	must(n.t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	must(n.t, err)
	return response.StatusCode, string(read)
}

// connect is a user's device.
func (n *node) connect(user, device string) *websocket.Conn {
	n.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"callboard.v1.json"}}
	ws, answer, err := dialer.Dial("ws://"+n.users+"/ws/"+user, nil)
	must(n.t, err)
	answer.Body.Close()
	n.t.Cleanup(func() { ws.Close() })
	hello, err := json.Marshal(map[string]any{"type": 0, "device": device})
	must(n.t, err)
	must(n.t, ws.WriteMessage(websocket.TextMessage, hello))
	n.read(ws)
	return ws
}

func (n *node) read(ws *websocket.Conn) string {
	n.t.Helper()
	must(n.t, ws.SetReadDeadline(time.Now().Add(patience)))
	_, frame, err := ws.ReadMessage()
	must(n.t, err)
	return string(frame)
}

// codeOf is Callboard's code of an error and what to do.
func codeOf(tb testing.TB, err error) (code, action string) {
	tb.Helper()
	failed, ok := err.(*connect.Error) //nolint:errorlint // that is what the client returns
	if !ok {
		tb.Fatalf("%v is no error of connect", err)
	}
	for _, d := range failed.Details() {
		value, err := d.Value()
		must(tb, err)
		if refusal, ok := value.(*adminv1.Refusal); ok {
			return refusal.Code, refusal.Action
		}
	}
	return "", ""
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func eventually(tb testing.TB, what string, is func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it never came to be that %s", what)
		}
	}
}

// logBuffer is what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// has is whether a text is in it.
func (l *logBuffer) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

// lines are those with a message.
func (l *logBuffer) lines(msg string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, `"msg":"`+msg+`"`) {
			lines = append(lines, line)
		}
	}
	return lines
}
