package main_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"callboard/protocol"
)

// The limits of those who connect and send change while they do. A wrong one changes none of them.
func TestHangupChangesLimitsOfThoseWhoConnectAndSend(t *testing.T) {
	name := filepath.Join(t.TempDir(), "c.yaml")
	configured(t, name, "limits: {sessions-per-user: 1}\n")
	service, url := serve(t, "--config", name)
	s := &siege{t: t, url: url, codec: protocol.JSON, user: "1", from: "127.0.9.9"}
	phone, _ := s.enters("phone")
	phone.says(&protocol.Send{Id: "long", Receiver: "carol", Content: strings.Repeat("x", 20_000)})
	s.floods(phone, "before", 100)
	if n := s.refused(phone); n != 0 {
		t.Errorf("%d messages are refused without a rate", n)
	}
	s.finds("1013 too_many_sessions")

	const limits = "limits:\n  sessions-per-user: 2\n  frame-bytes: 8192\n" +
		"  sends: {%s-rate: 1, %s-burst: 20, slow-for: 0s, refusals: 1000}\n  attempts: {rate: 1, burst: 10, exempt: []}\n"
	for i, whose := range []string{"session", "user"} {
		configured(t, name, fmt.Sprintf(limits, whose, whose))
		service.signal(syscall.SIGHUP)
		service.stderr.has(t, fmt.Sprintf(`(?s)(msg="configuration reloaded".*){%d}`, i+1))
		s.floods(phone, whose, 100)
		if n := s.refused(phone); n < 50 {
			t.Errorf("%d messages of 100 are refused with a rate for each %s", n, whose)
		}
	}
	for key, wrong := range map[string]string{
		"sessions-per-user": "sessions-per-user: 0", "frame-bytes": "frame-bytes: 100", "sends.session-rate": "sends: {session-rate: -1}",
		"sends.refusals": "sends: {refusals: 1}", "attempts.rate": "attempts: {rate: often}", "attempts.exempt": "attempts: {exempt: [home]}",
	} {
		configured(t, name, "limits: {"+wrong+"}\n")
		service.signal(syscall.SIGHUP)
		service.stderr.has(t, `msg="configuration not reloaded" fault="`+name+`:1: limits\.`+key)
	}
	s.floods(phone, "after", 100)
	if n := s.refused(phone); n < 50 {
		t.Errorf("%d messages of 100 are refused after a wrong file", n)
	}
	desk, told := s.enters("desk")
	if told.GetFrameBytes() != 8192 || told.GetSessions() != 2 {
		t.Errorf("told %v", told)
	}
	desk.says(&protocol.Send{Id: "long", Receiver: "1", Content: strings.Repeat("x", 8192)})
	if why := desk.closed(); why != "1009 too_large" {
		t.Errorf("closed with %s", why)
	}
	s.asksTooOften()

	configured(t, name, "")
	service.signal(syscall.SIGHUP)
	service.stderr.has(t, `(?s)(msg="configuration reloaded".*){3}`)
	phone.says(&protocol.Send{Id: "long again", Receiver: "carol", Content: strings.Repeat("x", 20_000)}) // it keeps the frames that it was told
	s.floods(phone, "freely", 100)
	if n := s.refused(phone); n != 0 {
		t.Errorf("%d messages are refused though the rate was taken back", n)
	}
}

// finds: one more session is closed.
func (s *siege) finds(end string) {
	s.t.Helper()
	c, _ := s.asks(s.user)
	c.says(&protocol.Connect{Device: "one more"})
	if why := c.closed(); why != end {
		s.t.Errorf("closed with %s, want %s", why, end)
	}
}
