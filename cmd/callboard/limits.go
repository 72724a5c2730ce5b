package main

import (
	"net/netip"

	"callboard/actors"
	"callboard/cmd/callboard/config"
	"callboard/transport"
)

// The settings in the words of the packages that keep to them.

// actorsOf is what the configuration alone says of the actors.
func actorsOf(c *config.Config) actors.Config {
	l := limitsOf(c)
	return actors.Config{
		MaxInboxEntries: l.MaxInboxEntries, MaxInboxBytes: l.MaxInboxBytes, ForgetDevicesAfter: l.ForgetDevicesAfter,
		StuckAfter: l.StuckAfter, MaxDeadletters: l.MaxDeadletters, MaxDeadletterBytes: l.MaxDeadletterBytes,
		MaxSessionsPerUser: l.MaxSessionsPerUser, MaxFrameBytes: l.MaxFrameBytes, Rates: l.Rates, Intensity: intensityOf(c), Supervision: supervisionOf(c),
	}
}

// limitsOf are those of the actors that a reload changes.
func limitsOf(c *config.Config) actors.Limits {
	letters := &c.Supervision.Deadletters
	return actors.Limits{
		MaxInboxEntries: c.Inbox.Entries, MaxInboxBytes: c.Inbox.Bytes, ForgetDevicesAfter: c.Retention.Age,
		StuckAfter: c.Supervision.StuckAfter, MaxDeadletters: letters.Messages, MaxDeadletterBytes: letters.Bytes,
		MaxSessionsPerUser: c.Limits.SessionsPerUser, MaxFrameBytes: c.Limits.FrameBytes, Rates: ratesOf(c),
	}
}

func ratesOf(c *config.Config) actors.Rates {
	s := &c.Limits.Sends
	return actors.Rates{
		Session: actors.PerSecond(s.SessionRate, s.SessionBurst), User: actors.PerSecond(s.UserRate, s.UserBurst),
		SlowFor: s.SlowFor, MaxRefusals: s.Refusals,
	}
}

// liveOf are those of the server.
func liveOf(c *config.Config) transport.Live {
	a := &c.Limits.Attempts
	return transport.Live{
		MaxConnections: c.MaxConnections, AllowOrigins: c.AllowOrigins, Drain: c.Drain, MaxPending: c.Limits.Pending,
		Attempts: actors.PerSecond(a.Rate, a.Burst), Exempt: networks(a.Exempt), Proxies: networks(a.Proxies),
	}
}

// networks reads what the configuration has checked.
func networks(texts []string) []netip.Prefix {
	all := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		network, _ := config.Network(text)
		all = append(all, network)
	}
	return all
}
