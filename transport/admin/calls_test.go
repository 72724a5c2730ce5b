package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/gorilla/websocket"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// broadcast returns the last answer and the error of the stream.
func (n *node) broadcast(request *adminv1.BroadcastRequest, options ...connect.ClientOption) (*adminv1.BroadcastResponse, error) {
	n.t.Helper()
	stream, err := n.as(operatorSecret, options...).Broadcast(n.t.Context(), request)
	must(n.t, err)
	defer func() { _ = stream.Close() }() // it has said what there is to say
	last := &adminv1.BroadcastResponse{}
	for stream.Receive() {
		refusals := last.Refusals
		last = stream.Msg()
		last.Refusals = append(refusals, last.Refusals...)
	}
	return last, stream.Err()
}

func TestBroadcastReachesAList(t *testing.T) {
	n := start(t, Config{})
	for name, options := range map[string][]connect.ClientOption{"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}} {
		t.Run(name, func(t *testing.T) {
			request := &adminv1.BroadcastRequest{Content: "maintenance", Id: name, Users: []string{"a", "b", "c"}}
			for range 2 { // the second changes nothing
				got, err := n.broadcast(request, options...)
				if err != nil || !got.Done || got.Sent != 3 || got.Total != 3 || len(got.Refused) != 0 || got.Id != name {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: "b"})
	must(t, err)
	if look.Inbox.Head != 3 {
		t.Errorf("b has %d messages", look.Inbox.Head)
	}
}

// A program that traces says its span in the header, as for any call. What is no traceparent, or not one, counts as left out.
func TestMessagesAreInTheTraceOfTheCallThatSendsThem(t *testing.T) {
	const sampled, unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-11111111111111111111111111111111-2222222222222222-00"
	n := start(t, Config{})
	bob, eve := n.connect("bob", "phone"), n.connect("eve", "")
	for wire, options := range map[string][]connect.ClientOption{"connect": nil, "grpc": {connect.WithGRPC()}, "grpc-web": {connect.WithGRPCWeb()}} {
		for name, test := range map[string]struct {
			header []string
			want   string
		}{
			"sampled": {[]string{sampled}, sampled}, "not sampled": {[]string{unsampled}, unsampled}, "left out": {nil, ""},
			"none": {[]string{"see you"}, ""}, "two": {[]string{sampled, unsampled}, ""},
		} {
			t.Run(wire+", "+name, func(t *testing.T) {
				operator := n.as(operatorSecret, options...)
				traced := func() context.Context {
					ctx, info := connect.NewClientContext(t.Context())
					info.RequestHeader()["Traceparent"] = test.header
					return ctx
				}
				is := func(ws *websocket.Conn, content string) {
					t.Helper()
					var m struct{ Content, Traceparent string }
					must(t, json.Unmarshal([]byte(n.read(ws)), &m))
					if m.Content != content || m.Traceparent != test.want {
						t.Errorf("%q comes with %q, want %q with %q", m.Content, m.Traceparent, content, test.want)
					}
				}

				_, err := operator.Send(traced(), &adminv1.SendRequest{Receiver: "bob", Content: "to one"})
				must(t, err)
				is(bob, "to one")

				for content, request := range map[string]*adminv1.BroadcastRequest{
					"to a list": {Content: "to a list", Users: []string{"bob", "eve"}}, "to all": {Content: "to all", AllConnected: true},
				} {
					stream, err := operator.Broadcast(traced(), request)
					must(t, err)
					for stream.Receive() { // up to its end
					}
					must(t, stream.Err())
					must(t, stream.Close())
					is(bob, content)
					is(eve, content)
				}
			})
		}
	}
}

func TestBroadcastReachesWhoIsConnected(t *testing.T) {
	n := start(t, Config{})
	bob, eve := n.connect("bob", "phone"), n.connect("eve", "")
	_, err := n.as(operatorSecret).Send(t.Context(), &adminv1.SendRequest{Receiver: "away", Content: "hello"})
	must(t, err)

	got, err := n.broadcast(&adminv1.BroadcastRequest{Content: "maintenance", AllConnected: true, Sender: "ops"})

	if err != nil || got.Sent != 2 || got.Total != 2 || !got.Done || got.Id == "" {
		t.Errorf("%v, %v", got, err)
	}
	for _, ws := range []*websocket.Conn{bob, eve} {
		if frame := n.read(ws); !strings.Contains(frame, `"content":"maintenance"`) || !strings.Contains(frame, `"sender":"ops"`) {
			t.Errorf("%s", frame)
		}
	}
	look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: "away"})
	must(t, err)
	if look.Inbox.Head != 1 {
		t.Errorf("one who is away has %d messages", look.Inbox.Head)
	}
}

func TestBroadcastSaysWhoWasRefused(t *testing.T) {
	n := start(t, Config{})
	_, err := n.as(operatorSecret).Send(t.Context(), &adminv1.SendRequest{Receiver: "b", Content: "another", Id: "m1"})
	must(t, err)
	got, err := n.broadcast(&adminv1.BroadcastRequest{Content: "maintenance", Id: "m1", Users: []string{"a", "b"}})
	if err != nil || got.Sent != 1 || got.Refused["conflict"] != 1 || got.Total != 2 || !got.Done {
		t.Errorf("%v, %v", got, err)
	}
	if len(got.Refusals) != 1 || got.Refusals[0].User != "b" || got.Refusals[0].Code != "conflict" {
		t.Errorf("%v", got.Refusals)
	}
	if lines := n.log.lines("broadcast ended"); len(lines) != 1 || !strings.Contains(lines[0], `"sent":1,"refused":1,"total":2,"done":true`) {
		t.Errorf("%v", lines)
	}
	lines := n.log.lines("admin call")
	if last := lines[len(lines)-1]; !strings.Contains(last, `users=2 sender=\"\" id=\"m1\"`) || strings.Contains(last, "maintenance") {
		t.Errorf("%s", last)
	}
}

func TestBroadcastIsCheckedFirst(t *testing.T) {
	n := start(t, Config{})
	for name, request := range map[string]*adminv1.BroadcastRequest{
		"nobody":       {Content: "x"},
		"list and all": {Content: "x", Users: []string{"a"}, AllConnected: true},
		"no id":        {Content: "x", Users: []string{"a", "b b"}},
		"long":         {Content: strings.Repeat("x", protocol.MaxFrameBytes), Users: []string{"a"}},
		"sender":       {Content: "x", Sender: "a/b", AllConnected: true},
		"id":           {Content: "x", Id: strings.Repeat("x", 65), AllConnected: true},
		"many":         {Content: "x", Users: make([]string, maxBroadcastUsers+1)},
	} {
		got, err := n.broadcast(request)
		if code, action := codeOf(t, err); connect.CodeOf(err) != connect.CodeInvalidArgument || code == "" || action == "" || got.Sent != 0 {
			t.Errorf("%s: %v, %v with %q", name, got, err, code)
		}
	}
}

func TestBroadcastsAreBoundedAndEndWithTheirCaller(t *testing.T) {
	n := start(t, Config{})
	var users []string
	for i := range maxBroadcastUsers {
		users = append(users, fmt.Sprint("u", i))
	}
	n.admin.broadcasts.Add(maxBroadcasts) // as if so many were under way
	_, err := n.broadcast(&adminv1.BroadcastRequest{Content: "x", Users: users})
	if code, action := codeOf(t, err); code != "too_many_broadcasts" || action == "" {
		t.Errorf("%v", err)
	}
	n.admin.broadcasts.Add(-maxBroadcasts)
	if got := n.system.Metrics().Limits[actors.LimitBroadcasts]; got != 1 {
		t.Errorf("counted %d times", got)
	}

	ctx, leave := context.WithCancel(t.Context())
	stream, err := n.as(operatorSecret).Broadcast(ctx, &adminv1.BroadcastRequest{Content: "x", Users: users, Id: "cut off"})
	must(t, err)
	if !stream.Receive() || stream.Msg().Id != "cut off" || stream.Msg().Done || stream.Msg().Total != maxBroadcastUsers {
		t.Errorf("the first answer is %v", stream.Msg())
	}
	leave()
	_ = stream.Close()
	eventually(t, "the broadcast has ended", func() bool { return len(n.log.lines("broadcast ended")) == 1 })
	if line := n.log.lines("broadcast ended")[0]; !strings.Contains(line, `"done":false`) {
		t.Errorf("it was not cut off: %s", line)
	}
	eventually(t, "it is in the audit log", func() bool {
		lines := n.log.lines("admin call")
		return strings.Contains(lines[len(lines)-1], `"result":"canceled"`)
	})
	got, err := n.broadcast(&adminv1.BroadcastRequest{Content: "x", Users: users, Id: "cut off"})
	if err != nil || got.Sent != maxBroadcastUsers || !got.Done {
		t.Errorf("again: %v, %v", got, err)
	}
	for _, user := range []string{users[0], users[maxBroadcastUsers-1]} {
		look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: user})
		must(t, err)
		if look.Inbox.Head != 1 {
			t.Errorf("%s has %d messages", user, look.Inbox.Head)
		}
	}
}

func TestBroadcastStopsWhenTheServiceCannotGoOn(t *testing.T) {
	n := start(t, Config{})
	_, err := n.as(adminSecret).Drain(t.Context(), &adminv1.DrainRequest{})
	must(t, err)
	b, err := n.admin.newBroadcast(t.Context(), &adminv1.BroadcastRequest{Content: "x", Id: "b1", Users: []string{"a"}})
	must(t, err)
	must(t, b.count(t.Context(), delivery{user: "a"}))
	err = b.count(t.Context(), delivery{user: "b", err: n.system.Ready()})
	if code, action := codeOf(t, err); code != "draining" || !strings.Contains(action, "b1") || !strings.Contains(err.Error(), "1 users had got") {
		t.Errorf("%v, to do: %s", err, action)
	}
}

// A stream goes on though the timeouts for other calls have passed.
func TestStreamOutlivesTheTimeouts(t *testing.T) {
	n := start(t, Config{CallTimeout: time.Second, HeaderTimeout: 2 * time.Second}) // so that reading has 3 s, and the answer 4
	inner := n.admin.http.Handler
	n.admin.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lasting := n.admin.lasting(w, adminv1.AdminServiceBroadcastProcedure)
		if r.URL.Path != "/slow" {
			inner.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // from here on net/http waits for the client's end
		for range 10 {
			_, _ = lasting.Write([]byte("x"))
			lasting.(http.Flusher).Flush()
			select {
			case <-time.After(450 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	if _, body := n.post(operatorSecret, "/slow", "{}"); body != "xxxxxxxxxx" {
		t.Errorf("%q arrived", body)
	}
}

func TestBlockClosesKeepsOutAndIsShown(t *testing.T) {
	n := start(t, Config{})
	bob, operator := n.connect("bob", "phone"), n.as(operatorSecret)

	blocked, err := operator.BlockUser(t.Context(), &adminv1.BlockUserRequest{User: "bob", Reason: "spam", ForMs: 3_600_000})

	must(t, err)
	if b := blocked.Block; blocked.Sessions != 1 || b.User != "bob" || b.By != "otto" || b.Reason != "spam" || b.UntilMs != b.AtMs+3_600_000 {
		t.Errorf("%v", blocked)
	}
	must(t, bob.SetReadDeadline(time.Now().Add(patience)))
	if _, _, err := bob.ReadMessage(); !websocket.IsCloseError(err, int(protocol.CloseBlocked)) {
		t.Errorf("%v", err)
	}
	_, answer, err := websocket.DefaultDialer.Dial("ws://"+n.users+"/ws/bob", nil)
	if err == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("connecting: %v", err)
	}
	answer.Body.Close()
	look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: "bob"})
	must(t, err)
	if look.Block.GetReason() != "spam" {
		t.Errorf("%v", look)
	}
	_, err = operator.BlockUser(t.Context(), &adminv1.BlockUserRequest{User: "never-seen"})
	must(t, err)
	if look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: "never-seen"}); err != nil || look.Block.GetUntilMs() != 0 {
		t.Errorf("%v, %v", look, err)
	}
	first, err := n.as(viewerSecret).ListBlocked(t.Context(), &adminv1.ListBlockedRequest{PageSize: 1})
	must(t, err)
	second, err := n.as(viewerSecret).ListBlocked(t.Context(), &adminv1.ListBlockedRequest{PageSize: 1, PageToken: first.NextPageToken})
	must(t, err)
	if len(first.Blocks) != 1 || len(second.Blocks) != 1 || second.Blocks[0].User != "never-seen" || second.NextPageToken != "" {
		t.Errorf("%v, %v", first, second)
	}
	for _, was := range []bool{true, false} {
		unblocked, err := operator.UnblockUser(t.Context(), &adminv1.UnblockUserRequest{User: "bob"})
		if err != nil || unblocked.WasBlocked != was {
			t.Errorf("%v, %v", unblocked, err)
		}
	}
	n.connect("bob", "phone")
	if lines := n.log.lines("admin call"); len(lines) != 4 || !strings.Contains(lines[0], `for_ms=3600000 reason=\"spam\"`) || !strings.Contains(lines[3], `user=\"bob\"`) {
		t.Errorf("%v", lines)
	}
	for name, request := range map[string]*adminv1.BlockUserRequest{
		"user": {User: ""}, "reason": {User: "a", Reason: strings.Repeat("x", 124)}, "time": {User: "a", ForMs: 1 << 60},
	} {
		_, err := operator.BlockUser(t.Context(), request)
		if code, action := codeOf(t, err); code == "" || action == "" || connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOperatorForgetsADeviceAndTrims(t *testing.T) {
	n := start(t, Config{})
	operator := n.as(operatorSecret)
	for range 3 {
		_, err := operator.Send(t.Context(), &adminv1.SendRequest{Receiver: "bob", Content: "hello"})
		must(t, err)
	}
	bob := n.connect("bob", "phone")
	for range 3 {
		n.read(bob)
	}
	must(t, bob.WriteMessage(websocket.TextMessage, []byte(`{"type":5,"seq":2}`)))
	eventually(t, "the device has two", func() bool {
		look, err := n.as(viewerSecret).GetUser(t.Context(), &adminv1.GetUserRequest{User: "bob"})
		return err == nil && len(look.Inbox.Devices) == 1 && look.Inbox.Devices[0].Cursor == 2
	})

	for _, call := range []struct {
		name, code string
		do         func() error
	}{
		{"trim what is not seen", "unseen", func() error {
			_, err := operator.TrimInbox(t.Context(), &adminv1.TrimInboxRequest{User: "bob", Through: 3})
			return err
		}},
		{"trim nothing", "invalid_argument", func() error {
			_, err := operator.TrimInbox(t.Context(), &adminv1.TrimInboxRequest{User: "bob"})
			return err
		}},
		{"forget one that is connected", "device_connected", func() error {
			_, err := operator.ForgetDevice(t.Context(), &adminv1.ForgetDeviceRequest{User: "bob", Device: "phone"})
			return err
		}},
		{"forget one that is not there", "not_found", func() error {
			_, err := operator.ForgetDevice(t.Context(), &adminv1.ForgetDeviceRequest{User: "bob", Device: "tablet"})
			return err
		}},
		{"forget what is no name", "invalid_argument", func() error {
			_, err := operator.ForgetDevice(t.Context(), &adminv1.ForgetDeviceRequest{User: "bob", Device: "a\x01"})
			return err
		}},
	} {
		if code, action := codeOf(t, call.do()); code != call.code || action == "" {
			t.Errorf("%s: %q, to do: %q", call.name, code, action)
		}
	}

	trimmed, err := operator.TrimInbox(t.Context(), &adminv1.TrimInboxRequest{User: "bob", Through: 3, Unseen: true})
	if err != nil || trimmed.Removed == 0 || trimmed.Floor != 3 || trimmed.SeenByNobody != 1 || len(trimmed.Unseen) != 1 || trimmed.Unseen[0].Messages != 1 {
		t.Errorf("%v, %v", trimmed, err)
	}
	forgotten, err := operator.ForgetDevice(t.Context(), &adminv1.ForgetDeviceRequest{User: "bob", Device: "phone", Force: true})
	if err != nil || forgotten.Sessions != 1 || forgotten.Cursor != 2 {
		t.Errorf("%v, %v", forgotten, err)
	}
	if lines := n.log.lines("admin call"); !strings.Contains(lines[len(lines)-1], `device=\"phone\" force=true`) ||
		!strings.Contains(lines[len(lines)-2], "through=3 unseen=true") {
		t.Errorf("%v", lines)
	}
}

func TestConfigIsShownWithoutSecrets(t *testing.T) {
	n := start(t, Config{Settings: func() []Setting {
		return []Setting{
			{Key: "z", Value: "last", Source: "default"}, {Key: "password", Value: "hunter2", Source: "flag", Secret: true},
			{Key: "empty", Secret: true, Source: "default"},
		}
	}})
	got, err := n.as(operatorSecret).GetConfig(t.Context(), &adminv1.GetConfigRequest{})
	must(t, err)
	want := `[key:"empty" source:"default" key:"password" value:"********" source:"flag" key:"z" value:"last" source:"default"]`
	if text := strings.ReplaceAll(fmt.Sprint(got.Settings), "  ", " "); text != want {
		t.Errorf("%s", text)
	}
	if got, err := start(t, Config{}).as(operatorSecret).GetConfig(t.Context(), &adminv1.GetConfigRequest{}); err != nil || len(got.Settings) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestOpenAPIHasEveryCallAndIsTrue(t *testing.T) {
	n := start(t, Config{})
	fetch := func(secret string) (int, []byte) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.address+"/openapi.json", nil)
		must(t, err)
		if secret != "" {
			request.Header.Set("Authorization", "Bearer "+secret)
		}
		response, err := http.DefaultClient.Do(request)
		must(t, err)
		defer response.Body.Close()
		var body json.RawMessage
		_ = json.NewDecoder(response.Body).Decode(&body)
		return response.StatusCode, body
	}
	if status, _ := fetch(""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	status, text := fetch(viewerSecret)
	type body struct {
		Content map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			}
		}
	}
	var document struct {
		OpenAPI string
		Paths   map[string]struct {
			Post struct {
				RequestBody body
				Responses   map[string]body
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]any }
		}
	}
	if err := json.Unmarshal(text, &document); err != nil || status != http.StatusOK || !strings.HasPrefix(document.OpenAPI, "3.") {
		t.Fatalf("%d, OpenAPI %q: %v", status, document.OpenAPI, err)
	}
	methods := adminv1.File_admin_proto.Services().ByName("AdminService").Methods()
	for i := range methods.Len() {
		m := methods.Get(i)
		path := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
		post := document.Paths[path].Post
		if len(post.RequestBody.Content) == 0 || len(post.Responses["200"].Content) == 0 {
			t.Errorf("the document has no %s, or no request or answer for it", path)
		}
	}
	// A call as the document describes it.
	path := adminv1.AdminServiceSendProcedure
	post := document.Paths[path].Post
	of := func(b body) map[string]any {
		return document.Components.Schemas[strings.TrimPrefix(b.Content["application/json"].Schema.Ref, "#/components/schemas/")].Properties
	}
	asks, says := of(post.RequestBody), of(post.Responses["200"])
	request := map[string]any{"receiver": "bob", "content": "hello", "sender": "ops", "id": "m1"}
	for field := range request {
		if asks[field] == nil {
			t.Errorf("the document has no field %s of Send", field)
		}
	}
	encoded, err := json.Marshal(request)
	must(t, err)
	status, answer := n.post(operatorSecret, path, string(encoded))
	var fields map[string]any
	must(t, json.Unmarshal([]byte(answer), &fields))
	if status != http.StatusOK || len(fields) != 3 {
		t.Errorf("%d %s", status, answer)
	}
	for field := range fields {
		if says[field] == nil {
			t.Errorf("the document does not have %s of the answer", field)
		}
	}
}
