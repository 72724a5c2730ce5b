package admin

import (
	"strings"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"

	"callboard/actors"
	"callboard/protocol"
	"callboard/transport/admin/adminv1"
)

// startBreaking starts a service whose users' actors fail on what begins with fatal,
// while it is to.
func startBreaking(t *testing.T) (n *node, breaks *atomic.Bool) {
	t.Helper()
	breaks = new(atomic.Bool)
	breaks.Store(true)
	n = startWith(t, Config{}, func(c actors.Config) actors.Config {
		return c.WithFaults(func(actor string, message any) {
			if send, ok := message.(*protocol.Send); ok && breaks.Load() && actor == send.Receiver && strings.HasPrefix(send.Content, "fatal") {
				panic("by order")
			}
		}, func(string, any) {})
	})
	return n, breaks
}

// poisons has the receiver's actor fail on a message until it is set aside.
func (n *node) poisons(receiver, id, content string) {
	n.t.Helper()
	for _, want := range []protocol.ErrorCode{protocol.CodeInternal, protocol.CodePoisoned} {
		_, err := n.as(operatorSecret).Send(n.t.Context(), &adminv1.SendRequest{Receiver: receiver, Id: id, Content: content})
		if code, action := codeOf(n.t, err); code != string(want) || action == "" {
			n.t.Fatalf("refused as %s, want %s", code, want)
		}
	}
}

func TestDeadlettersAreListedShownRetriedAndDropped(t *testing.T) {
	n, breaks := startBreaking(t)
	viewer, operator := n.as(viewerSecret), n.as(operatorSecret)
	for _, id := range []string{"a", "b", "c"} {
		n.poisons("bob", id, "fatal, and secret: "+id)
	}

	var letters []*adminv1.Deadletter
	for token := ""; ; {
		page, err := viewer.ListDeadletters(t.Context(), &adminv1.ListDeadlettersRequest{PageSize: 2, PageToken: token})
		must(t, err)
		letters = append(letters, page.Deadletters...)
		if page.Total != 3 || page.Bytes == 0 {
			t.Errorf("%d messages, %d bytes", page.Total, page.Bytes)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if len(letters) != 3 || letters[1].Id != "b" || letters[1].Sender != "system" || letters[1].Receiver != "bob" ||
		letters[1].Crashes != 2 || letters[1].Reason != "by order" || letters[1].Size != 20 || letters[1].AtMs == 0 {
		t.Fatalf("listed: %v", letters)
	}
	shown, err := viewer.GetDeadletter(t.Context(), &adminv1.GetDeadletterRequest{Number: letters[1].Number})
	must(t, err)
	if shown.Deadletter.Id != "b" || !strings.Contains(shown.Stack, "startBreaking") || strings.Contains(shown.String(), "secret") {
		t.Errorf("shown: %v", shown)
	}
	read, err := n.as(adminSecret).ReadDeadletter(t.Context(), &adminv1.ReadDeadletterRequest{Number: letters[1].Number})
	must(t, err)
	if read.Content != "fatal, and secret: b" {
		t.Errorf("read: %v", read)
	}

	_, err = operator.RetryDeadletter(t.Context(), &adminv1.RetryDeadletterRequest{Number: letters[1].Number})
	if code, _ := codeOf(t, err); code != string(protocol.CodePoisoned) || connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a retry that fails again: %v", err)
	}
	breaks.Store(false)
	kept, err := operator.RetryDeadletter(t.Context(), &adminv1.RetryDeadletterRequest{Number: letters[1].Number})
	must(t, err)
	if kept.Seq != 1 {
		t.Errorf("kept at %d", kept.Seq)
	}
	dropped, err := operator.DropDeadletters(t.Context(), &adminv1.DropDeadlettersRequest{Numbers: []uint64{letters[0].Number, letters[1].Number}})
	must(t, err)
	if dropped.Dropped != 1 {
		t.Errorf("%d dropped", dropped.Dropped)
	}
	dropped, err = operator.DropDeadletters(t.Context(), &adminv1.DropDeadlettersRequest{All: true})
	must(t, err)
	stats, err := viewer.GetStats(t.Context(), &adminv1.GetStatsRequest{})
	must(t, err)
	if dropped.Dropped != 1 || stats.Poisoned != 4 || stats.DeadlettersLost != 0 {
		t.Errorf("%d dropped, %v", dropped.Dropped, stats)
	}
	var audited []string
	for _, line := range n.log.lines("admin call") {
		if strings.Contains(line, "secret: ") {
			t.Errorf("the text is in the log: %s", line)
		}
		if strings.Contains(line, "Deadletter") {
			audited = append(audited, line)
		}
	}
	if len(audited) != 5 || !strings.Contains(audited[0], "number=2") || !strings.Contains(audited[3], "numbers=[1 2]") || !strings.Contains(audited[4], `"target":"all"`) {
		t.Errorf("audited: %s", audited)
	}
}

func TestDeadletterCallsRefuseWhatMakesNoSense(t *testing.T) {
	n := start(t, Config{})
	for name, call := range map[string]func(adminv1.AdminServiceClient) error{
		"invalid_argument page": func(c adminv1.AdminServiceClient) error {
			_, err := c.ListDeadletters(t.Context(), &adminv1.ListDeadlettersRequest{PageSize: 501})
			return err
		},
		"invalid_argument token": func(c adminv1.AdminServiceClient) error {
			_, err := c.ListDeadletters(t.Context(), &adminv1.ListDeadlettersRequest{PageToken: "x"})
			return err
		},
		"invalid_argument no number": func(c adminv1.AdminServiceClient) error {
			_, err := c.RetryDeadletter(t.Context(), &adminv1.RetryDeadletterRequest{})
			return err
		},
		"invalid_argument nothing to drop": func(c adminv1.AdminServiceClient) error {
			_, err := c.DropDeadletters(t.Context(), &adminv1.DropDeadlettersRequest{})
			return err
		},
		"invalid_argument both to drop": func(c adminv1.AdminServiceClient) error {
			_, err := c.DropDeadletters(t.Context(), &adminv1.DropDeadlettersRequest{All: true, Numbers: []uint64{1}})
			return err
		},
		"invalid_argument too many to drop": func(c adminv1.AdminServiceClient) error {
			_, err := c.DropDeadletters(t.Context(), &adminv1.DropDeadlettersRequest{Numbers: make([]uint64, 501)})
			return err
		},
		"not_found shown": func(c adminv1.AdminServiceClient) error {
			_, err := c.GetDeadletter(t.Context(), &adminv1.GetDeadletterRequest{Number: 9})
			return err
		},
		"not_found retried": func(c adminv1.AdminServiceClient) error {
			_, err := c.RetryDeadletter(t.Context(), &adminv1.RetryDeadletterRequest{Number: 9})
			return err
		},
	} {
		want, _, _ := strings.Cut(name, " ")
		if code, action := codeOf(t, call(n.as(adminSecret))); code != want || action == "" {
			t.Errorf("%s: %s, %s", name, code, action)
		}
	}
}
