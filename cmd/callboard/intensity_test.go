package main

import (
	"reflect"
	"testing"
	"time"

	"callboard/actors"
	"callboard/cmd/callboard/config"
)

// At the start and with SIGHUP: both ask intensityOf.
func TestIntensityIsWhatIsConfigured(t *testing.T) {
	loaded, err := config.Load(config.Sources{Environ: []string{
		"CALLBOARD_SUPERVISION_FAILURES=7", "CALLBOARD_SUPERVISION_WINDOW=8s",
		"CALLBOARD_SUPERVISION_PARK=9s", "CALLBOARD_SUPERVISION_MAX_PARK=10s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := actors.Intensity{Failures: 7, Window: 8 * time.Second, Park: 9 * time.Second, MaxPark: 10 * time.Second}
	if got := intensityOf(&loaded.Config); got != want {
		t.Errorf("%+v", got)
	}
	if got := actorsOf(&loaded.Config).Intensity; got != want {
		t.Errorf("at the start: %+v", got)
	}
}

// What SIGHUP brings the start has too: each of the limits, under the same name.
func TestLimitsOfTheActorsAreWhatIsConfigured(t *testing.T) {
	loaded, err := config.Load(config.Sources{Environ: []string{
		"CALLBOARD_SUPERVISION_STUCK_AFTER=7s", "CALLBOARD_SUPERVISION_DEADLETTERS_MESSAGES=8",
		"CALLBOARD_SUPERVISION_DEADLETTERS_BYTES=900000", "CALLBOARD_LIMITS_SENDS_SLOW_FOR=9s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	limits := limitsOf(&loaded.Config)
	if limits.StuckAfter != 7*time.Second || limits.MaxDeadletters != 8 || limits.MaxDeadletterBytes != 900_000 || limits.Rates.SlowFor != 9*time.Second {
		t.Errorf("%+v", limits)
	}
	begun, reloaded := reflect.ValueOf(actorsOf(&loaded.Config)), reflect.ValueOf(limits)
	for field := range reloaded.Type().Fields() {
		value := reloaded.FieldByIndex(field.Index)
		if value.IsZero() {
			t.Errorf("%s is not set by any default", field.Name)
		}
		if got := begun.FieldByName(field.Name); !got.Equal(value) {
			t.Errorf("%s is %v at the start, and %v after a reload", field.Name, got, value)
		}
	}
}
