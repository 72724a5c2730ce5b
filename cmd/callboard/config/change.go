package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Change is a setting that has another value than before.
type Change struct {
	Key      string
	Old, New string // as it is shown
	Taken    bool   // false: it takes a restart
}

// Changed compares a configuration with the one that is to follow it. What it returns has the
// values of next that can be taken while the service runs, and its own for the rest.
func (l *Loaded) Changed(next *Loaded) (*Loaded, []Change, error) {
	effective := &Loaded{Config: l.Config, Warnings: next.Warnings, origins: make(map[string]origin)}
	var changes []Change
	for i := range settings() {
		s := &settings()[i]
		before, after := s.of(&l.Config), s.of(&next.Config)
		from := l
		switch {
		case reflect.DeepEqual(before.Interface(), after.Interface()):
			from = next
		case s.Reload == Live, s.Reload == LiveSet && !before.IsZero() && !after.IsZero():
			from = next
			changes = append(changes, Change{s.Key, s.show(before), s.show(after), true})
		default:
			changes = append(changes, Change{s.Key, s.show(before), s.show(after), false})
		}
		s.of(&effective.Config).Set(s.of(&from.Config))
		if at, given := from.origins[s.Key]; given {
			effective.origins[s.Key] = at
		}
	}
	if faults := effective.check(); len(faults) > 0 {
		return nil, nil, fmt.Errorf("with what needs a restart as it was: %w", faults)
	}
	return effective, changes, nil
}

// Effective is a setting with its value, for people to look at.
type Effective struct {
	Key    string
	Value  string // *** if it is secret
	Source string // default, file:line, a variable of the environment, or a flag
	Reload Reload
}

// Effective is every setting as it is.
func (l *Loaded) Effective() []Effective {
	found := make([]Effective, 0, len(settings()))
	for i := range settings() {
		s := &settings()[i]
		found = append(found, Effective{s.Key, s.show(s.of(&l.Config)), l.origins[s.Key].String(), s.Reload})
	}
	return found
}

// show is a value as a file would have it, on one line.
func (s *Setting) show(v reflect.Value) string {
	switch {
	case s.Secret && s.isList():
		return fmt.Sprintf("*** (%d)", v.Len())
	case s.Secret && !v.IsZero():
		return "***"
	case s.check == "keys":
		return withoutQuery(v.String())
	case s.isObjects():
		shown := make([]string, v.Len())
		for i := range shown {
			var parts []string
			for j := range s.Items {
				item := &s.Items[j]
				parts = append(parts, item.Key+": "+item.show(v.Index(i).FieldByIndex(item.index)))
			}
			shown[i] = "{" + strings.Join(parts, ", ") + "}"
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case s.isList():
		return "[" + strings.Join(v.Interface().([]string), ", ") + "]"
	case s.kind == reflect.TypeFor[time.Duration]():
		return shortDuration(v.Interface().(time.Duration))
	}
	return fmt.Sprint(v.Interface())
}

// withoutQuery is a URL that everybody may see: some issuers want a query, and it may have a key.
func withoutQuery(text string) string {
	if bare, _, found := strings.Cut(text, "?"); found {
		return bare + "?***"
	}
	return text
}

// shortDuration is 720h, and not 720h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
