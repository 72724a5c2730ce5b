package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Flags gives a command a flag for each setting.
func Flags(to *pflag.FlagSet) {
	all := settings()
	for i := range all {
		s := &all[i]
		f := to.VarPF(&flagValue{setting: s, raw: s.fallback(), text: s.Default}, s.Flag, "", s.usage())
		f.DefValue, f.Hidden = s.shownDefault(), s.Rare
		if s.word() == "bool" {
			f.NoOptDefVal = "true"
		}
	}
}

// usage is the help with the bounds.
func (s *Setting) usage() string {
	text := s.Help
	switch {
	case s.isObjects():
		text += ", as YAML on one line"
	case s.isList():
		text += "; may be repeated"
	}
	if bounds := s.bounds(); bounds != "" && !s.isList() {
		text += "; " + bounds
	}
	return text
}

// bounds are what may be given, in words; empty if anything may.
func (s *Setting) bounds() string {
	switch {
	case len(s.OneOf) > 0:
		return alternatives(s.OneOf)
	case s.isList() && s.Max != "":
		return "at most " + s.Max
	case s.Min != "" && s.Max != "":
		return s.Min + " to " + s.Max
	case s.Min != "":
		return "at least " + s.Min
	case s.Max != "":
		return "at most " + s.Max
	}
	return ""
}

func (s *Setting) shownDefault() string {
	if s.Default == "[]" || s.Default == "false" {
		return ""
	}
	return s.Default
}

// flagValue is the value of a flag. What is wrong with it is said when it is parsed.
type flagValue struct {
	setting *Setting
	raw     any
	text    string
	given   bool
}

var _ pflag.Value = (*flagValue)(nil)

// Set implements pflag.Value. A list grows with every use of the flag.
func (v *flagValue) Set(text string) error {
	raw, err := v.setting.inline(text)
	if err != nil {
		return err
	}
	v.setting.value(raw, func(path string, problem error) {
		if err == nil {
			err = problem
			if path != "" {
				err = fmt.Errorf("%s: %w", strings.TrimPrefix(path, "."), problem)
			}
		}
	})
	if err != nil {
		return err
	}
	if before, ok := v.raw.([]any); ok && v.given {
		raw = slices.Concat(before, raw.([]any))
		text = v.text + "," + text
	}
	v.raw, v.text, v.given = raw, text, true
	return nil
}

// String implements pflag.Value.
func (v *flagValue) String() string { return v.text }

// Type implements pflag.Value. It is what the help shows behind the flag.
func (v *flagValue) Type() string {
	switch v.setting.word() {
	case "list of objects":
		return "list"
	case "list":
		return "strings"
	}
	return v.setting.word()
}
