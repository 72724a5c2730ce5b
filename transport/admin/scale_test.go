package admin

import (
	"strings"
	"testing"

	"connectrpc.com/connect"

	"callboard/transport/admin/adminv1"
)

func TestScaleTreeStreamsUntilItIsSettled(t *testing.T) {
	n := start(t, Config{CallTimeout: patience}) // a change may take that
	for _, shards := range []uint32{9, 9, 1} {
		stream, err := n.as(adminSecret).ScaleTree(t.Context(), &adminv1.ScaleTreeRequest{Shards: shards})
		must(t, err)
		var last *adminv1.Scaling
		for stream.Receive() {
			last = stream.Msg().Scaling
		}
		must(t, stream.Err())
		if last == nil || last.To != shards || last.Phase != "settled" || last.Why != "asked for by ada" {
			t.Errorf("%d shards: the last word is %v", shards, last)
		}
		tree, err := n.as(viewerSecret).GetTree(t.Context(), &adminv1.GetTreeRequest{})
		must(t, err)
		if len(tree.Shards) != int(shards) || tree.Scaling.GetTo() != shards || tree.Intensity.GetFailures() != 3 || len(tree.Levels) != 8 {
			t.Errorf("the tree is %v", tree)
		}
	}
}

func TestScaleTreeLeavesTheNumberToTheServiceAndTakesItBack(t *testing.T) {
	n := start(t, Config{CallTimeout: patience}) // a change may take that
	for _, test := range []struct {
		request *adminv1.ScaleTreeRequest
		want    string
	}{
		{&adminv1.ScaleTreeRequest{Shards: 16}, "fixed"},
		{&adminv1.ScaleTreeRequest{Auto: true}, "auto"},
		{&adminv1.ScaleTreeRequest{Auto: true}, "auto"},
		{&adminv1.ScaleTreeRequest{Shards: 16}, "held"},
	} {
		stream, err := n.as(adminSecret).ScaleTree(t.Context(), test.request)
		must(t, err)
		var last *adminv1.Scaling
		for stream.Receive() {
			last = stream.Msg().Scaling
		}
		must(t, stream.Err())
		tree, err := n.as(viewerSecret).GetTree(t.Context(), &adminv1.GetTreeRequest{})
		must(t, err)
		if last.GetSteering() != test.want || tree.Scaling.GetSteering() != test.want || tree.AutoScale != (test.want == "auto") {
			t.Errorf("%v: the last word is %v, the tree has %v, auto %t", test.request, last, tree.Scaling, tree.AutoScale)
		}
	}
	for _, target := range []string{"shards=auto", "shards=16"} {
		eventually(t, target+" is audited", func() bool {
			return strings.Contains(strings.Join(n.log.lines("admin call"), "\n"), `"`+target+`"`)
		})
	}
}

func TestScaleTreeIsRefusedWithTheReason(t *testing.T) {
	n := start(t, Config{})
	for _, test := range []struct {
		secret string
		shards uint32
		auto   bool
		want   connect.Code
	}{
		{adminSecret, 0, false, connect.CodeInvalidArgument},
		{adminSecret, 4097, false, connect.CodeInvalidArgument},
		{adminSecret, 8, true, connect.CodeInvalidArgument},
		{operatorSecret, 8, false, connect.CodePermissionDenied},
		{operatorSecret, 0, true, connect.CodePermissionDenied},
	} {
		stream, err := n.as(test.secret).ScaleTree(t.Context(), &adminv1.ScaleTreeRequest{Shards: test.shards, Auto: test.auto})
		must(t, err)
		for stream.Receive() {
			t.Errorf("%d shards: %v", test.shards, stream.Msg())
		}
		if got := connect.CodeOf(stream.Err()); got != test.want {
			t.Errorf("%d shards: %v, want %v", test.shards, got, test.want)
		}
	}
}
