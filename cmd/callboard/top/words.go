package top

import (
	"fmt"
	"time"
)

// span is a time in milliseconds, with the two units that matter.
func span(ms int64) string {
	d := (time.Duration(max(0, ms)) * time.Millisecond).Truncate(time.Second)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return d.String()
}
