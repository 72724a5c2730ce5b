package protocol

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestUserIDsAreShortAndPlain(t *testing.T) {
	for _, id := range []string{
		"1", "0", "007", "18446744073709551615", "18446744073709551616",
		"alice", "A-z_0.9", "org:team@host+tag", strings.Repeat("x", MaxUserIDBytes),
	} {
		if got, err := ParseUserID(id); err != nil || string(got) != id {
			t.Errorf("ParseUserID(%q) = %q, %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", " ", "a b", "a/b", "a\x00", "a\n", "é", "a\xff", "#", "a,b", "a%20b", strings.Repeat("x", MaxUserIDBytes+1),
	} {
		if got, err := ParseUserID(id); err == nil || got != "" {
			t.Errorf("ParseUserID(%q) = %q, %v", id, got, err)
		}
	}
}

func TestSystemIsAUserIDThatNobodyConnectsAs(t *testing.T) {
	if got, err := ParseUserID("system"); err != nil || got != System {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := ParseClientID("system"); err == nil || got != "" || !strings.Contains(err.Error(), "system is") {
		t.Errorf("%q, %v", got, err)
	}
	for _, id := range []string{"System", "systems", "sys", "1"} {
		if got, err := ParseClientID(id); err != nil || string(got) != id {
			t.Errorf("%q: %q, %v", id, got, err)
		}
	}
	if got, err := ParseClientID("a b"); err == nil || got != "" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestNumericUserIDsAreCanonicalUint64s(t *testing.T) {
	for id, want := range map[UserID]bool{
		"0": true, "7": true, "10": true, "18446744073709551615": true,
		"": false, "00": false, "007": false, "-1": false, "+1": false, "1.0": false, "1e3": false, "x": false,
		"18446744073709551616": false, "99999999999999999999": false, "184467440737095516150": false,
	} {
		if got := id.Numeric(); got != want {
			t.Errorf("UserID(%q).Numeric() = %v", id, got)
		}
	}
}

func TestMessageIDsAreShortTextWithoutControls(t *testing.T) {
	for _, id := range []string{"1", "m-1", "a b", "é", "\u00a0", strings.Repeat("x", MaxMessageIDBytes)} {
		if got, err := ParseMessageID(id); err != nil || got != id {
			t.Errorf("ParseMessageID(%q) = %q, %v", id, got, err)
		}
	}
	for _, id := range []string{
		"", "a\nb", "\x00", "\x7f", "a\u0080", "\u009f", "\xff", "\xc2", strings.Repeat("x", MaxMessageIDBytes+1),
	} {
		if got, err := ParseMessageID(id); err == nil || got != "" {
			t.Errorf("ParseMessageID(%q) = %q, %v", id, got, err)
		}
	}
}

func TestDevicesAreShortTextWithoutControls(t *testing.T) {
	for _, name := range []string{"", "phone", "a b", "é", strings.Repeat("x", MaxDeviceBytes)} {
		if got, err := ParseDevice(name); err != nil || got != name {
			t.Errorf("ParseDevice(%q) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"a\nb", "\x7f", "a\u0080", "\xff", strings.Repeat("x", MaxDeviceBytes+1)} {
		if got, err := ParseDevice(name); err == nil || got != "" {
			t.Errorf("ParseDevice(%q) = %q, %v", name, got, err)
		}
	}
}

// FuzzUserID: both kinds of ids are what a pattern and the standard library say
// they are, and a frame's bytes are judged as a string is.
func FuzzUserID(f *testing.F) {
	for _, id := range []string{"", "1", "007", "alice", "a b", "\u0080", "18446744073709551616", "\xc2\xff"} {
		f.Add(id)
	}
	pattern := regexp.MustCompile(`^[A-Za-z0-9._:@+-]{1,64}$`)
	f.Fuzz(func(t *testing.T, id string) {
		user, err := ParseUserID(id)
		if (err == nil) != pattern.MatchString(id) || err == nil && string(user) != id {
			t.Errorf("ParseUserID = %q, %v", user, err)
		}
		if userIDFault(id) != userIDFault([]byte(id)) {
			t.Error("bytes are judged otherwise than a string")
		}
		n, err := strconv.ParseUint(id, 10, 64)
		if want := err == nil && strconv.FormatUint(n, 10) == id; UserID(id).Numeric() != want {
			t.Errorf("Numeric = %v", !want)
		}
		_, err = ParseMessageID(id)
		want := utf8.ValidString(id) && 1 <= len(id) && len(id) <= 64 && !strings.ContainsFunc(id, unicode.IsControl)
		if (err == nil) != want {
			t.Errorf("ParseMessageID: %v", err)
		}
	})
}
