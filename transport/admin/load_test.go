package admin

import (
	"testing"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/transport/admin/adminv1"
)

func TestLoadSaysWhatPassesAndWhoIsBusy(t *testing.T) {
	n := start(t, Config{})
	ws := n.connect("bob", "phone")
	for range 3 {
		_, err := n.as(operatorSecret).Send(t.Context(), &adminv1.SendRequest{Receiver: "bob", Content: "hello"})
		must(t, err)
		n.read(ws)
	}
	_, err := n.as(operatorSecret).Send(t.Context(), &adminv1.SendRequest{Receiver: "b/b", Content: "hello"})
	if connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("%v", err)
	}
	n.system.HitLimit(actors.LimitHandshake, "", "192.0.2.1:9", "") // in no session, and with no frame
	eventually(t, "all is counted", func() bool {                   // without a look at the load, which begins anew who is busy
		stats, err := n.as(viewerSecret).GetStats(t.Context(), &adminv1.GetStatsRequest{})
		must(t, err)
		return stats.Taken == 3 && stats.Kept == 3 && stats.Delivered == 3
	})
	eventually(t, "the load", func() bool {
		load, err := n.as(viewerSecret).GetLoad(t.Context(), &adminv1.GetLoadRequest{Users: 1})
		must(t, err)
		return load.Taken == 3 && load.Kept == 3 && load.Delivered == 3 && load.Opened == 1 && load.Ended == 0 && load.AtMs > 0 &&
			len(load.Shards) == 4 && len(load.Busiest) == 1 && load.Busiest[0].User == "bob" && load.Busiest[0].Messages == 3 &&
			load.Busiest[0].Sessions == 1 && load.Busiest[0].OverMs >= 900 &&
			len(load.Limits) == 1 && load.Limits[0].Code == "handshake_timeout" && load.Limits[0].Count == 1
	})
	stats, err := n.as(viewerSecret).GetStats(t.Context(), &adminv1.GetStatsRequest{})
	must(t, err)
	if stats.Taken != 3 || stats.Kept != 3 || stats.Repeated != 0 || stats.Delivered != 3 || len(stats.Closed) != 0 ||
		len(stats.Refused) != 1 || stats.Refused[0].Code != "invalid_user_id" || len(stats.Limits) != 1 || stats.Limits[0].Code != "handshake_timeout" || stats.Limits[0].Count != 1 {
		t.Errorf("the statistics have other numbers: %v", stats)
	}
	_, err = n.as(viewerSecret).GetLoad(t.Context(), &adminv1.GetLoadRequest{Users: 101})
	if code, action := codeOf(t, err); code != "invalid_argument" || action == "" {
		t.Errorf("%v", err)
	}
}
