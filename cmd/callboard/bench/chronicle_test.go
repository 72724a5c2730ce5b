package bench

import (
	"math/rand/v2"
	"testing"
)

// written is a chronicle of two users in which user 0 has sent n messages to user 1.
func written(n int) (*Chronicle, *Device) {
	c := NewChronicle(2)
	d := c.Device(1, "phone")
	for range n {
		c.Write(0, 1)
	}
	return c, d
}

func TestChronicleIsContentWhenAllIsWell(t *testing.T) {
	c, d := written(100)
	for i := uint64(1); i <= 100; i++ {
		if i%2 == 0 {
			c.Confirm(0, i, i)
		}
		d.See(i, 0, i)
		c.Confirm(0, i, i) // twice is as good as once
	}
	if devices, unconfirmed := c.Lagging(); devices != 0 || unconfirmed != 0 {
		t.Errorf("%d devices lag, %d messages are unconfirmed", devices, unconfirmed)
	}
	if got := c.Verdict(); !got.OK() || got.Confirmed != 100 || got.Seen != 100 || got.Kept != 100 {
		t.Errorf("%+v", got)
	}
}

func TestChronicleFindsWhatWasInjected(t *testing.T) {
	const n = 200
	for name, tt := range map[string]struct {
		inject func(c *Chronicle, d *Device, i uint64)
		count  func(*Findings) uint64
	}{
		"a confirmed message is gone, and its place is given again": {
			func(c *Chronicle, d *Device, i uint64) { c.Confirm(0, i, i); d.See(i, 0, i+1) },
			func(f *Findings) uint64 { return f.Lost },
		},
		"a seen message is gone, and its place is given again": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, i); c.Confirm(0, i+1, i) },
			func(f *Findings) uint64 { return f.Lost },
		},
		"a message is skipped": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i+1, 0, i+1) },
			func(f *Findings) uint64 { return f.Lost },
		},
		"a confirmed message is never seen": {
			func(c *Chronicle, d *Device, i uint64) { c.Confirm(0, i, i) },
			func(f *Findings) uint64 { return f.Lost },
		},
		"a message is seen twice": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, i); d.See(i, 0, i) },
			func(f *Findings) uint64 { return f.Doubled },
		},
		"a message is kept twice": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, i); d.See(i+1, 0, i) },
			func(f *Findings) uint64 { return f.Doubled },
		},
		"a message is confirmed at two places": {
			func(c *Chronicle, d *Device, i uint64) { c.Confirm(0, i, i); c.Confirm(0, i, i+1); d.See(i, 0, i) },
			func(f *Findings) uint64 { return f.Doubled },
		},
		"two messages have changed places": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, i+1); d.See(i+1, 0, i) },
			func(f *Findings) uint64 { return f.Reordered },
		},
		"a message is in the wrong inbox": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, c.Write(0, 0)) },
			func(f *Findings) uint64 { return f.Altered },
		},
		"a message was never sent": {
			func(c *Chronicle, d *Device, i uint64) { d.See(i, 0, n+1) },
			func(f *Findings) uint64 { return f.Altered },
		},
		"a device goes back and nothing allows it": {
			func(c *Chronicle, d *Device, i uint64) { d.See(1, 0, 1) },
			func(f *Findings) uint64 { return f.Doubled },
		},
		"a device goes on too far after a restart": {
			func(c *Chronicle, d *Device, i uint64) { d.MayRepeat(); d.See(i+1, 0, i+1) },
			func(f *Findings) uint64 { return f.Lost },
		},
	} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			at := rand.New(rand.NewPCG(seed, 0)).Uint64N(n-10) + 5
			c, d := written(n)
			for i := uint64(1); i < at; i++ {
				d.See(i, 0, i)
			}
			tt.inject(c, d, at)
			got := c.Verdict()
			if tt.count(&got) == 0 || got.OK() || len(got.Examples) == 0 {
				t.Errorf("seed %d: injected at %d, found %+v", seed, at, got)
			}
		})
	}
}

func TestDeviceMayRepeatWhenTheServiceHasForgotten(t *testing.T) {
	c, d := written(10)
	for _, seq := range []uint64{1, 2, 3, 4, 5} {
		d.See(seq, 0, seq)
	}
	d.MayRepeat()
	for _, seq := range []uint64{3, 4, 5, 6, 7, 8, 9, 10} {
		d.See(seq, 0, seq)
	}
	if got := c.Verdict(); !got.OK() || got.Repeats != 3 || d.Cursor() != 10 {
		t.Errorf("%+v", got)
	}
}

func TestLateMessageMayStandBehindLaterOnes(t *testing.T) {
	c, d := written(3)
	c.Late(0, 1)
	for place, number := range []uint64{2, 1, 3} {
		d.See(uint64(place)+1, 0, number)
	}
	if got := c.Verdict(); !got.OK() {
		t.Errorf("%+v", got)
	}
}
