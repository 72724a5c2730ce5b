package main_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"callboard/transport/admin/adminv1"
)

// callRow is a call of callboard.admin.v1: who may make it, and what is asked. %d becomes another
// number with each call, so that each can close a session, or take a message, of its own.
type callRow struct {
	name  string
	least int
	asks  string
	goes  bool // the stream ends only with its caller
	made  int
}

// calls are all calls, in an order in which each can be carried out.
var calls = []*callRow{
	{name: "Send", least: operator, asks: `{"receiver":"bob","content":"hello"}`},
	{name: "ListUsers", least: viewer, asks: `{}`},
	{name: "ListSessions", least: viewer, asks: `{}`},
	{name: "GetUser", least: viewer, asks: `{"user":"u1"}`},
	{name: "CloseUser", least: operator, asks: `{"user":"nobody"}`},
	{name: "CloseSession", least: operator, asks: `{"session":%d}`},
	{name: "GetTree", least: viewer, asks: `{}`},
	{name: "GetStats", least: viewer, asks: `{}`},
	{name: "GetLoad", least: viewer, asks: `{}`},
	{name: "GetConfig", least: operator, asks: `{}`},
	{name: "Broadcast", least: operator, asks: `{"content":"noon","users":["bob","eve"]}`},
	{name: "BlockUser", least: operator, asks: `{"user":"eve"}`},
	{name: "ListBlocked", least: viewer, asks: `{}`},
	{name: "UnblockUser", least: operator, asks: `{"user":"eve"}`},
	{name: "ForgetDevice", least: operator, asks: `{"user":"u%d","device":"phone","force":true}`},
	{name: "TrimInbox", least: operator, asks: `{"user":"bob","through":1,"unseen":true}`},
	{name: "Watch", least: viewer, asks: `{}`, goes: true},
	{name: "Trace", least: operator, asks: `{"user":"bob"}`, goes: true},
	{name: "Trace", least: admin, asks: `{"user":"bob","contents":true}`, goes: true},
	{name: "ScaleTree", least: admin, asks: `{"shards":8}`},
	{name: "ScaleTree", least: admin, asks: `{"auto":true}`},
	{name: "BackupInboxes", least: admin, asks: `{"name":"b%d"}`},
	{name: "ListDeadletters", least: viewer, asks: `{}`},
	{name: "GetDeadletter", least: viewer, asks: `{"number":64}`},
	{name: "ReadDeadletter", least: admin, asks: `{"number":64}`},
	{name: "RetryDeadletter", least: operator, asks: `{"number":%d}`},
	{name: "DropDeadletters", least: operator, asks: `{"numbers":[64]}`},
	{name: "Drain", least: admin, asks: `{"over_ms":1}`}, // the last, for nothing is sent after it
}

// pageRow is what is no call of callboard.admin.v1.
type pageRow struct {
	method, path string
	least        int
	status       int // for those who may; 200 if 0
}

var pages = []pageRow{
	{path: "/metrics", least: viewer},
	{path: "/openapi.json", least: viewer},
	{path: "/debug/pprof/allocs", least: admin},
	{path: "/debug/pprof/goroutine", least: admin},
	{path: "/debug/pprof/heap", least: admin},
	{path: "/debug/pprof/threadcreate", least: admin},
	{path: "/debug/pprof/profile?seconds=0", least: admin, status: http.StatusBadRequest}, // a second is the least, and
	{path: "/debug/pprof/trace?seconds=0", least: admin, status: http.StatusBadRequest},   // takes one
	{path: "/debug/flight-recorder", least: admin, status: http.StatusConflict},           // it does not run
	{method: http.MethodPost, path: "/debug/flight-recorder?seconds=60", least: admin},
	{path: "/debug/flight-recorder", least: admin},
	{method: http.MethodDelete, path: "/debug/flight-recorder", least: admin},
}

// reflections are the calls of gRPC's own service that tools ask for the others.
var reflections = []string{
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}

// A call, or a page, that is added without a row is not tested for its role.
func TestEveryCallAndPageHasARow(t *testing.T) {
	paths := map[string]bool{}
	for _, row := range calls {
		paths["/"+adminv1.AdminServiceName+"/"+row.name] = true
	}
	methods := service().Methods()
	for i := range methods.Len() {
		if name := string(methods.Get(i).Name()); !paths["/"+adminv1.AdminServiceName+"/"+name] {
			t.Errorf("the call %s has no row in calls", name)
		}
	}
	if len(paths) != methods.Len() {
		t.Errorf("calls has rows for %d calls, and there are %d", len(paths), methods.Len())
	}
	for _, p := range pages {
		path, _, _ := strings.Cut(p.path, "?")
		paths[path] = true
	}
	for _, path := range reflections {
		paths[path] = true
	}
	if n := rulesOfTheGuard(t); n != len(paths) {
		t.Errorf("there are rows for %d paths, and the guard of the admin API lets %d through", len(paths), n)
	}
}

// rulesOfTheGuard counts what transport/admin lets through: what has no rule there is refused.
func rulesOfTheGuard(t *testing.T) (n int) {
	t.Helper()
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../../transport/admin/access.go", nil, 0)
	must(t, err)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if ok && spec.Names[0].Name == "rules" {
			n = len(spec.Values[0].(*ast.CompositeLit).Elts)
		}
		return true
	})
	return n
}

func service() protoreflect.ServiceDescriptor {
	return adminv1.File_admin_proto.Services().ByName("AdminService")
}

// callers is somebody who makes calls.
type callers struct {
	t        *testing.T
	operator *operatorOf
	address  string
	http     *http.Client
}

// want is the code that a call with this least role is answered with; empty: it is carried out.
func (c *callers) want(least int) connect.Code {
	switch {
	case c.operator.role >= least:
		return 0
	case c.operator.role == nobody:
		return connect.CodeUnauthenticated
	}
	return connect.CodePermissionDenied
}

// judge compares the answer to a call with what its caller is to get.
func (c *callers) judge(what string, least int, err error) {
	c.t.Helper()
	want := c.want(least)
	switch {
	case want == 0 && err != nil:
		c.t.Errorf("%s by %s: %v", what, c.operator.name, err)
	case want != 0 && err == nil:
		c.t.Errorf("%s by %s was carried out", what, c.operator.name)
	case want != 0 && connect.CodeOf(err) != want:
		c.t.Errorf("%s by %s: %v, want %v", what, c.operator.name, err, want)
	case want != 0 && refusalOf(err).GetCode() != want.String():
		c.t.Errorf("%s by %s: the detail %v", what, c.operator.name, refusalOf(err))
	case want != 0 && refusalOf(err).GetAction() == "":
		c.t.Errorf("%s by %s: nothing says what to do: %v", what, c.operator.name, err)
	}
}

// refusalOf is the detail of an error.
func refusalOf(err error) *adminv1.Refusal {
	if failed, ok := errors.AsType[*connect.Error](err); ok && len(failed.Details()) == 1 {
		if value, broken := failed.Details()[0].Value(); broken == nil {
			refusal, _ := value.(*adminv1.Refusal)
			return refusal
		}
	}
	return nil
}

// rpc makes a call, in gRPC or in Connect's JSON, and has its answers in full.
func (c *callers) rpc(row *callRow, spoken string) {
	c.t.Helper()
	method := service().Methods().ByName(protoreflect.Name(row.name))
	asks := row.asks
	if strings.Contains(asks, "%d") {
		asks = fmt.Sprintf(asks, row.made)
	}
	request := dynamicpb.NewMessage(method.Input())
	must(c.t, protojson.Unmarshal([]byte(asks), request))
	options := []connect.ClientOption{connect.WithSchema(method), connect.WithGRPC()}
	if spoken == "JSON" {
		options[1] = connect.WithProtoJSON()
	}
	options = append(options, connect.WithResponseInitializer(func(_ connect.Spec, message any) error {
		if empty, ok := message.(*dynamicpb.Message); ok {
			*empty = *dynamicpb.NewMessage(method.Output())
		}
		return nil
	}))
	caller := connect.NewClient[dynamicpb.Message, dynamicpb.Message](c.http, c.address+"/"+adminv1.AdminServiceName+"/"+row.name, options...)
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	ask := connect.NewRequest(request)
	c.sign(ask.Header())
	what := row.name + " " + asks + " in " + spoken
	if !method.IsStreamingServer() {
		_, err := caller.CallUnary(ctx, ask)
		c.judge(what, row.least, err)
		return
	}
	stream, err := caller.CallServerStream(ctx, ask)
	must(c.t, err)
	defer func() { _ = stream.Close() }() // its end is known
	answers := 0
	for stream.Receive() {
		answers++
		if row.goes {
			cancel() // a heartbeat: the caller is in
		}
	}
	err = stream.Err()
	if row.goes && answers > 0 && connect.CodeOf(err) == connect.CodeCanceled {
		err = nil
	}
	if c.judge(what, row.least, err); err == nil && answers == 0 {
		c.t.Errorf("%s by %s: no answer", what, c.operator.name)
	}
}

func (c *callers) sign(header http.Header) {
	if c.operator.secret != "" {
		header.Set("Authorization", "Bearer "+c.operator.secret)
	}
}

// page asks for a page.
func (c *callers) page(p pageRow) {
	c.t.Helper()
	transport := c.operator.transport(c.t)
	transport.Protocols = nil // as curl does
	defer transport.CloseIdleConnections()
	method := p.method
	if method == "" {
		method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.address+p.path, http.NoBody)
	must(c.t, err)
	c.sign(request.Header)
	answer, err := transport.RoundTrip(request)
	must(c.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(c.t, err)
	want := map[connect.Code]int{connect.CodeUnauthenticated: http.StatusUnauthorized, connect.CodePermissionDenied: http.StatusForbidden}[c.want(p.least)]
	if want == 0 {
		want = max(p.status, http.StatusOK)
	}
	if answer.StatusCode != want {
		c.t.Errorf("%s %s by %s: %s %s, want %d", method, p.path, c.operator.name, answer.Status, body, want)
	}
	if c.want(p.least) != 0 && !strings.Contains(string(body), "token") {
		c.t.Errorf("%s %s by %s: nothing says what to do: %q", method, p.path, c.operator.name, body)
	}
}

// open makes the calls of gRPC's own services, and asks for the pages that everybody may see.
func (c *callers) open(url string) {
	c.t.Helper()
	c.http.Transport = c.operator.transport(c.t)
	defer c.http.CloseIdleConnections()
	health := connect.NewClient[emptypb.Empty, emptypb.Empty](c.http, c.address+"/grpc.health.v1.Health/Check", connect.WithGRPC())
	ask := connect.NewRequest(&emptypb.Empty{})
	c.sign(ask.Header())
	_, err := health.CallUnary(c.t.Context(), ask)
	c.judge("Health/Check", nobody, err)
	for _, path := range reflections {
		transport := c.operator.transport(c.t)
		caller := connect.NewClient[emptypb.Empty, emptypb.Empty](&http.Client{Transport: transport, Timeout: patience}, c.address+path, connect.WithGRPC())
		stream := caller.CallBidiStream(c.t.Context())
		c.sign(stream.RequestHeader())
		_ = stream.CloseRequest() // the answer says what there is to say
		if _, err = stream.Receive(); errors.Is(err, io.EOF) {
			err = nil
		}
		c.judge(path, viewer, err)
		_ = stream.CloseResponse()
		transport.CloseIdleConnections()
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		answer, err := http.Get(strings.Replace(url, "ws", "http", 1) + path)
		must(c.t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			c.t.Errorf("%s: %s", path, answer.Status)
		}
	}
}
