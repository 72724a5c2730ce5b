package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// watching is a stream that has begun: its first heartbeat has come.
func watching(tb testing.TB, client adminv1.AdminServiceClient, request *adminv1.WatchRequest) *connect.ServerStreamForClient[adminv1.WatchResponse] {
	tb.Helper()
	stream, err := client.Watch(tb.Context(), request)
	must(tb, err)
	tb.Cleanup(func() { _ = stream.Close() })
	if !stream.Receive() || stream.Msg().GetHeartbeat() == nil {
		tb.Fatalf("the first message is %v: %v", stream.Msg(), stream.Err())
	}
	return stream
}

func tracing(ctx context.Context, tb testing.TB, client adminv1.AdminServiceClient, request *adminv1.TraceRequest) *connect.ServerStreamForClient[adminv1.TraceResponse] {
	tb.Helper()
	stream, err := client.Trace(ctx, request)
	must(tb, err)
	tb.Cleanup(func() { _ = stream.Close() })
	if !stream.Receive() || stream.Msg().GetHeartbeat() == nil {
		tb.Fatalf("the first message is %v: %v", stream.Msg(), stream.Err())
	}
	return stream
}

// event is the next one.
func event(tb testing.TB, stream *connect.ServerStreamForClient[adminv1.WatchResponse]) *adminv1.Event {
	tb.Helper()
	for stream.Receive() {
		if e := stream.Msg().GetEvent(); e != nil {
			return e
		}
	}
	tb.Fatalf("the stream has ended: %v", stream.Err())
	return nil
}

// http1 is a client that speaks HTTP/1.1, with little room for what it does not read.
func (n *node) http1() *http.Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				err = nc.(*net.TCPConn).SetReadBuffer(64 << 10)
			}
			return nc, err
		},
	}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// as1 is as, by HTTP/1.1.
func (n *node) as1(secret string) adminv1.AdminServiceClient {
	return adminv1.NewAdminServiceClient(n.http1(), "http://"+n.address, bear(secret))
}

// Streams live longer than calls may, by each protocol.
func TestStreamsAreSpokenInEveryProtocolAndOutliveACall(t *testing.T) {
	const header, call = 2 * time.Second, 100 * time.Millisecond // to answer takes header and two calls at most
	n := start(t, Config{CallTimeout: call, HeaderTimeout: header, HeartbeatEvery: call})
	clients := map[string]adminv1.AdminServiceClient{
		"connect": n.as(viewerSecret), "connect json": n.as(viewerSecret, connect.WithProtoJSON()), "grpc": n.as(viewerSecret, connect.WithGRPC()),
		"grpc-web": n.as(viewerSecret, connect.WithGRPCWeb()), "http/1.1": n.as1(viewerSecret),
	}
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := strings.NewReplacer(" ", "-", "/", "-").Replace(name)
			stream := watching(t, client, &adminv1.WatchRequest{UserPrefix: prefix + "."})
			for begun, beats := time.Now(), 0; time.Since(begun) < header+4*call || beats < 5; beats++ {
				if !stream.Receive() || stream.Msg().GetHeartbeat().GetEveryMs() != uint32(call.Milliseconds()) {
					t.Fatalf("after %s: %v, %v", time.Since(begun), stream.Msg(), stream.Err())
				}
			}
			user := prefix + ".bob"
			n.connect(user, "phone").Close()
			if e := event(t, stream); e.Kind != "session_opened" || e.User != user || e.Device != "phone" || e.Session == 0 ||
				!strings.HasPrefix(e.Remote, "127.0.0.1:") || e.Shard == nil || e.AtMs == 0 {
				t.Errorf("%v", e)
			}
			if e := event(t, stream); e.Kind != "session_closed" || e.CloseCode != 1006 || e.Code != "" || e.Reason == "" {
				t.Errorf("%v", e)
			}
		})
	}
}

func TestWatchSaysWhichLimitWasHit(t *testing.T) {
	n := start(t, Config{})
	stream := watching(t, n.as(viewerSecret), &adminv1.WatchRequest{Kinds: []string{"limit_hit"}, Codes: []string{"too_large"}})
	bob := n.connect("bob", "")
	must(t, bob.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", protocol.MaxFrameBytes+1))))
	if e := event(t, stream); e.Kind != "limit_hit" || e.Code != "too_large" || e.User != "bob" {
		t.Errorf("%v", e)
	}
}

func TestTraceBringsEveryHop(t *testing.T) {
	n := start(t, Config{})
	without := tracing(t.Context(), t, n.as(operatorSecret), &adminv1.TraceRequest{User: "bob"})
	with := tracing(t.Context(), t, n.as(adminSecret, connect.WithGRPC()), &adminv1.TraceRequest{User: "bob", Contents: true})
	alice, bob := n.connect("alice", ""), n.connect("bob", "phone")
	must(t, alice.WriteMessage(websocket.TextMessage, []byte(`{"type":1,"receiver":"bob","content":"a secret","id":"m1"}`)))
	n.read(bob)
	must(t, bob.WriteMessage(websocket.TextMessage, []byte(`{"type":5,"seq":1}`)))
	for _, stream := range []*connect.ServerStreamForClient[adminv1.TraceResponse]{without, with} {
		var kinds []string
		for stream.Receive() {
			h := stream.Msg().GetHop()
			if h == nil {
				continue
			}
			kinds = append(kinds, h.Kind)
			if h.Sender != "alice" || h.Receiver != "bob" || h.Id != "m1" || h.Size != 8 || h.AtUs == 0 || h.Shard == nil {
				t.Errorf("%v", h)
			}
			if told := h.Content != nil; told != (stream == with && h.Kind != "acknowledged") {
				t.Errorf("the content is told: %v, in %v", told, h)
			}
			if h.Kind == "acknowledged" {
				break
			}
		}
		if want := []string{"read", "routed", "numbered", "kept", "answered", "handed", "written", "acknowledged"}; !slices.Equal(kinds, want) {
			t.Errorf("%v: %v", kinds, stream.Err())
		}
	}
	if n.log.has("a secret") {
		t.Error("the content is in the log")
	}
}

// streamError is how a stream ends that is refused.
func streamError[T any](stream *connect.ServerStreamForClient[T], err error) error {
	if err != nil {
		return err
	}
	for stream.Receive() {
	}
	return stream.Err()
}

func TestStreamsAreRefusedWithACode(t *testing.T) {
	n := start(t, Config{})
	watch := func(secret string, request *adminv1.WatchRequest) error {
		return streamError(n.as(secret).Watch(t.Context(), request))
	}
	trace := func(secret string, request *adminv1.TraceRequest) error {
		return streamError(n.as(secret).Trace(t.Context(), request))
	}
	for name, test := range map[string]struct {
		err  error
		code string
		says string
	}{
		"nobody watches":          {watch("guess", &adminv1.WatchRequest{}), "unauthenticated", "token"},
		"viewer traces":           {trace(viewerSecret, &adminv1.TraceRequest{User: "bob"}), "permission_denied", "operator"},
		"operator sees contents":  {trace(operatorSecret, &adminv1.TraceRequest{User: "bob", Contents: true}), "permission_denied", "admin"},
		"unknown kind":            {watch(viewerSecret, &adminv1.WatchRequest{Kinds: []string{"party"}}), "invalid_argument", "party"},
		"long prefix":             {watch(viewerSecret, &adminv1.WatchRequest{UserPrefix: strings.Repeat("x", 65)}), "invalid_argument", "user_prefix"},
		"many codes":              {watch(viewerSecret, &adminv1.WatchRequest{Codes: make([]string, 65)}), "invalid_argument", "many"},
		"no user":                 {trace(operatorSecret, &adminv1.TraceRequest{}), "invalid_user_id", "user"},
		"longer than an hour":     {trace(operatorSecret, &adminv1.TraceRequest{User: "bob", ForMs: 3_600_001}), "invalid_argument", "for_ms"},
		"longer than numbers are": {trace(operatorSecret, &adminv1.TraceRequest{User: "bob", ForMs: 1 << 63}), "invalid_argument", "for_ms"},
	} {
		if code, action := codeOf(t, test.err); code != test.code || action == "" || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("%s: %v, to do: %q", name, test.err, action)
		}
	}
	lines := n.log.lines("admin call")
	if len(lines) != 8 || !strings.Contains(strings.Join(lines, ""), `user=\"bob\" contents=true","result":"permission_denied"`) { // each was asked for, and refused
		t.Errorf("the audit log has %q", lines)
	}
	if !n.free(actors.MaxWatches, actors.MaxTraces) {
		t.Error("something is left of what was refused")
	}
}

// free is whether there is room for so many streams.
func (n *node) free(watches, traces int) bool {
	var end []func()
	defer func() {
		for _, f := range end {
			f()
		}
	}()
	for range watches {
		w, err := n.system.Watch(actors.EventFilter{})
		if err != nil {
			return false
		}
		end = append(end, w.Stop)
	}
	for range traces {
		trace, err := n.system.Trace("nobody", false)
		if err != nil {
			return false
		}
		end = append(end, trace.Stop)
	}
	return true
}

func TestStreamsAreBoundedAndAVanishedCallerLeavesNothing(t *testing.T) {
	n := start(t, Config{HeartbeatEvery: 50 * time.Millisecond})
	ctx, vanish := context.WithCancel(t.Context())
	for i := range actors.MaxTraces {
		client := n.as(operatorSecret)
		if i%2 == 0 {
			client = n.as1(operatorSecret)
		}
		tracing(ctx, t, client, &adminv1.TraceRequest{User: fmt.Sprint("u", i)})
	}
	err := streamError(n.as(operatorSecret).Trace(t.Context(), &adminv1.TraceRequest{User: "bob"}))
	if code, action := codeOf(t, err); code != "too_many_streams" || action == "" || connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("one more: %v", err)
	}
	vanish()
	eventually(t, "nothing is left of them", func() bool { return n.free(actors.MaxWatches, actors.MaxTraces) })
	tracing(t.Context(), t, n.as(operatorSecret), &adminv1.TraceRequest{User: "bob"})
	eventually(t, "their ends are in the audit log", func() bool {
		return strings.Count(strings.Join(n.log.lines("admin call"), "\n"), `"result":"canceled"`) >= actors.MaxTraces
	})
	begun, ended := 0, 0
	for _, line := range n.log.lines("admin call") {
		if strings.Contains(line, `"result":"begun"`) {
			begun++
		}
		if strings.Contains(line, `"result":"canceled"`) {
			ended++
		}
	}
	if begun != actors.MaxTraces+2 || ended < actors.MaxTraces { // the one too many was asked for too
		t.Errorf("in the audit log %d begin and %d end", begun, ended)
	}
}

// What the network says of it does not matter, nor what the caller was being sent.
func TestCallerWhoGoesHasGone(t *testing.T) {
	n := start(t, Config{HeartbeatEvery: time.Millisecond})
	for _, beats := range []int{1, 2} {
		ctx, leave := context.WithCancel(t.Context())
		run := stream[int]{
			server: n.admin,
			next: func(ctx context.Context) (int, uint64, error) {
				<-ctx.Done()
				return 0, 0, ctx.Err()
			},
			heartbeat: func(*adminv1.Heartbeat) error {
				if beats--; beats > 0 {
					return nil
				}
				leave()
				return errors.New("broken pipe")
			},
		}
		if err := run.run(ctx); connect.CodeOf(err) != connect.CodeCanceled {
			t.Errorf("it ends with %v", err)
		}
	}
}

func TestTraceEndsWhenItsTimeIsUp(t *testing.T) {
	n := start(t, Config{})
	stream := tracing(t.Context(), t, n.as(operatorSecret), &adminv1.TraceRequest{User: "bob", ForMs: 50})
	if !stream.Receive() || stream.Msg().GetEnd().GetCode() != "time_is_up" || stream.Receive() || stream.Err() != nil {
		t.Errorf("%v, %v", stream.Msg(), stream.Err())
	}
	eventually(t, "the trace is gone", func() bool { return n.free(0, actors.MaxTraces) })
}

// The caller is told what has happened before, and then why it ends.
func TestStreamsEndInOrderWhenTheServiceStops(t *testing.T) {
	n := start(t, Config{})
	second, err := New(n.system, n.admin.config) // another listener of the same node, that can be stopped
	must(t, err)
	second.farewell = patience // which is not to be used up
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { must(t, second.Serve(ctx, listener)) })
	client := adminv1.NewAdminServiceClient(n.http1(), "http://"+listener.Addr().String(), bear(operatorSecret))
	watch := watching(t, client, &adminv1.WatchRequest{})
	trace := tracing(t.Context(), t, client, &adminv1.TraceRequest{User: "bob"})
	n.system.HitLimit("inbox_full", "bob", "", "the last")
	begun := time.Now()
	stop()
	if e := event(t, watch); e.Reason != "the last" {
		t.Errorf("%v", e)
	}
	if !watch.Receive() || watch.Msg().GetEnd().GetCode() != "draining" || watch.Receive() || watch.Err() != nil {
		t.Errorf("the watch: %v, %v", watch.Msg(), watch.Err())
	}
	if !trace.Receive() || trace.Msg().GetEnd().GetCode() != "draining" || trace.Receive() || trace.Err() != nil {
		t.Errorf("the trace: %v, %v", trace.Msg(), trace.Err())
	}
	done.Wait()
	if took := time.Since(begun); took >= patience {
		t.Errorf("the end took %s", took)
	}
}

// Callers who do not read: users notice nothing, memory is bounded, and when they read
// again they are told how much is missing.
func TestStalledCallersCostBoundedMemoryAndAreToldWhatTheyMissed(t *testing.T) {
	n := start(t, Config{StreamPatience: time.Hour}) // they are not cut off, however long it takes
	watch := watching(t, n.as1(viewerSecret), &adminv1.WatchRequest{Kinds: []string{"limit_hit"}})
	trace := tracing(t.Context(), t, n.as1(operatorSecret), &adminv1.TraceRequest{User: "bob"})
	bob := n.connect("bob", "")
	must(t, bob.SetReadDeadline(time.Time{})) // all of them may take longer than one
	received := make(chan int)
	const messages, events = 20_000, 50_000
	go func() { // a user as any other, who reads and acknowledges
		got := 0
		for ; got < messages; got++ {
			if _, _, err := bob.ReadMessage(); err != nil {
				break
			}
			if got%16 == 15 && bob.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"type":5,"seq":%d}`, got+1)) != nil {
				break
			}
		}
		received <- got
	}()
	before := heap()
	var senders sync.WaitGroup
	for range 4 {
		senders.Go(func() {
			for range messages / 4 {
				if _, err := n.system.Send(t.Context(), &protocol.Send{Sender: "alice", Receiver: "bob", Content: "hello"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	reason := strings.Repeat("x", 400)
	for range events {
		n.system.HitLimit(protocol.CodeInboxFull, "bob", "", reason)
	}
	senders.Wait()
	if got := <-received; got != messages {
		t.Errorf("bob got %d messages, want %d", got, messages)
	}
	if grown := heap() - before; grown > 12<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}

	counted, missed := 0, uint64(0)
	for counted+int(missed) < events && watch.Receive() {
		missed += watch.Msg().GetMissed().GetCount()
		if watch.Msg().GetEvent() != nil {
			counted++
		}
	}
	if missed == 0 || counted == 0 || counted+int(missed) != events {
		t.Errorf("of %d events %d came and %d were missed: %v", events, counted, missed, watch.Err())
	}
	hops, lost := 0, uint64(0)
	for hops+int(lost) < 7*messages && trace.Receive() {
		lost += trace.Msg().GetMissed().GetCount()
		if trace.Msg().GetHop() != nil {
			hops++
		}
	}
	if lost == 0 || hops == 0 {
		t.Errorf("%d hops came and %d were missed: %v", hops, lost, trace.Err())
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Who never reads is cut off in the end.
func TestCallersWhoNeverReadAreCutOff(t *testing.T) {
	if underRace {
		t.Skip("the buffers of a connection take 20 s to fill under the race detector; the other tests of streams run under it")
	}
	for name, client := range map[string]func(*node) adminv1.AdminServiceClient{
		"http/1.1": func(n *node) adminv1.AdminServiceClient { return n.as1(viewerSecret) },
		"http/2":   func(n *node) adminv1.AdminServiceClient { return n.as(viewerSecret, connect.WithGRPC()) },
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Config{StreamPatience: 200 * time.Millisecond})
			stream := watching(t, client(n), &adminv1.WatchRequest{})
			if n.free(actors.MaxWatches, 0) {
				t.Fatal("there is no watch")
			}
			reason := strings.Repeat("x", 400)
			eventually(t, "the watch is gone", func() bool {
				for i := range 40_000 { // to ask is dearer than to tell
					n.system.HitLimit(protocol.CodeInboxFull, "bob", "", reason)
					if i%1000 == 0 {
						time.Sleep(time.Millisecond) // what is told can be passed on
					}
				}
				return n.free(actors.MaxWatches, 0)
			})
			for stream.Receive() {
			}
			if stream.Err() == nil && stream.Msg().GetEnd() == nil {
				t.Error("the caller takes it for the end")
			}
		})
	}
}

func TestWordsOfAReasonAreBoundedText(t *testing.T) {
	if got := words("a\xffb"); got != "a\ufffdb" {
		t.Errorf("%q", got)
	}
	if got := words(strings.Repeat("é", 1000)); len(got) > maxWords+3 {
		t.Errorf("%d bytes", len(got))
	}
}

func TestBusyStreamHasHeartbeatsToo(t *testing.T) {
	n := start(t, Config{HeartbeatEvery: 50 * time.Millisecond})
	stream := watching(t, n.as1(viewerSecret), &adminv1.WatchRequest{})
	enough := make(chan struct{})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for {
				select {
				case <-enough:
					return
				default:
					n.system.HitLimit(protocol.CodeInboxFull, "bob", "", "busy")
				}
			}
		})
	}
	defer busy.Wait()
	defer close(enough)
	events, begun := 0, time.Now()
	for beats := 0; beats < 3; {
		if !stream.Receive() || time.Since(begun) > patience {
			t.Fatalf("%d heartbeats among %d events: %v", beats, events, stream.Err())
		}
		if stream.Msg().GetHeartbeat() != nil {
			beats++
		} else {
			events++
		}
	}
	if events == 0 {
		t.Error("it was not busy")
	}
}
