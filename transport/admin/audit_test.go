package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"callboard/transport/admin/adminv1"
)

// results are those of the lines in the audit log about a call, oldest first.
func (n *node) results(call string) (results []string) {
	for _, line := range n.log.lines("admin call") {
		if strings.Contains(line, `"call":"`+call+`"`) {
			_, after, _ := strings.Cut(line, `"result":"`)
			result, _, _ := strings.Cut(after, `"`)
			results = append(results, result)
		}
	}
	return results
}

// What takes long is in the audit log before anything is done, so that it is there if the process dies over it.
func TestStreamIsAuditedWhenItIsAskedForAndWhenItEnds(t *testing.T) {
	var n *node
	n = start(t, Config{CallTimeout: patience, Backup: func(context.Context, string, func(files, bytes int64)) (Backup, error) {
		if got := n.results(adminv1.AdminServiceBackupInboxesProcedure); !slices.Equal(got, []string{"begun"}) {
			t.Errorf("while it goes on the audit log has %q", got)
		}
		return Backup{}, nil
	}})
	c := n.as(adminSecret)
	backup, err := c.BackupInboxes(t.Context(), &adminv1.BackupInboxesRequest{Name: "nightly"})
	drained(t, backup, err)
	broadcast, err := c.Broadcast(t.Context(), &adminv1.BroadcastRequest{Content: "x", Users: []string{"a", "b"}})
	drained(t, broadcast, err)
	scale, err := c.ScaleTree(t.Context(), &adminv1.ScaleTreeRequest{Shards: 5})
	drained(t, scale, err)
	for call, target := range map[string]string{
		adminv1.AdminServiceBackupInboxesProcedure: `name=\"nightly\"`, adminv1.AdminServiceBroadcastProcedure: "users=2 ",
		adminv1.AdminServiceScaleTreeProcedure: "shards=5",
	} {
		eventually(t, call+" is there twice", func() bool { return slices.Equal(n.results(call), []string{"begun", "ok"}) })
		for _, line := range n.log.lines("admin call") {
			if strings.Contains(line, call) && (!strings.Contains(line, target) || !strings.Contains(line, `"who":"ada"`) || strings.Contains(line, `"remote":""`)) {
				t.Errorf("it does not say who and what: %s", line)
			}
		}
	}

	watch := watching(t, n.as(viewerSecret), &adminv1.WatchRequest{}) // which changes nothing
	_ = watch.Close()
	status, body := n.post(operatorSecret, adminv1.AdminServiceScaleTreeProcedure, "{}") // refused before anything is read
	if status != http.StatusForbidden {
		t.Errorf("%d %s", status, body)
	}
	if got := n.results(adminv1.AdminServiceWatchProcedure); len(got) > 0 {
		t.Errorf("who only looks is audited: %q", got)
	}
	if got := n.results(adminv1.AdminServiceScaleTreeProcedure); len(got) != 2 {
		t.Errorf("what was refused by the role has begun: %q", got)
	}
}

// drained reads a stream to its end.
func drained[T any](t *testing.T, stream *connect.ServerStreamForClient[T], err error) {
	t.Helper()
	must(t, err)
	for stream.Receive() {
	}
	must(t, stream.Err())
}
