package config

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the reference of all settings.
func WriteMarkdown(to io.Writer) error {
	var b strings.Builder
	b.WriteString(`# Settings

Written by ` + "`callboard config docs`" + `. A value is taken from the file that --config or CALLBOARD_CONFIG names, over
that from the environment, over that from the flags. In the environment a key is in capitals, behind CALLBOARD_ and with
_ between its parts: ` + "`log.level` is CALLBOARD_LOG_LEVEL" + `. There a list has commas between its elements, or is YAML in
[ ]; a list of objects is YAML.

SIGHUP reads all of it again. What is marked with "taken" is used from then on; of the rest the log says that it needs a
restart. A file with a fault changes nothing. Relative names of files begin where the service was started.

| key | flag | default | may be | SIGHUP | what it is |
|---|---|---|---|---|---|
`)
	for i := range settings() {
		s := &settings()[i]
		fmt.Fprintf(&b, "| `%s` | `--%s` | %s | %s | %s | %s |\n",
			s.Key, s.Flag, quoted(s.shownDefault()), strings.ReplaceAll(s.allowed(), "|", `\|`), s.Reload, s.Help)
		for j := range s.Items {
			item := &s.Items[j]
			fmt.Fprintf(&b, "| `%s[].%s` | | %s | %s | | %s |\n", s.Key, item.Key, quoted(item.shownDefault()), item.allowed(), item.Help)
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}

// allowed is the kind of a value with its bounds.
func (s *Setting) allowed() string {
	word := s.word()
	if s.Unit != "" {
		word = s.Unit
	}
	switch {
	case word == "bool":
		return "true or false"
	case len(s.OneOf) > 0:
		return s.bounds()
	case word == "string":
		return "text"
	case s.bounds() != "":
		return word + ", " + s.bounds()
	}
	return word
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// WriteYAML writes a file with every setting, all commented out, at its default.
func WriteYAML(to io.Writer) error {
	var b strings.Builder
	b.WriteString("# Callboard's settings, written by 'callboard config docs -o yaml': what begins with # is the default.\n# 'callboard config check FILE' says whether a file is right.\n")
	var open []string // the sections that are begun
	for i := range settings() {
		s := &settings()[i]
		parts := strings.Split(s.Key, ".")
		sections, name := parts[:len(parts)-1], parts[len(parts)-1]
		for depth, section := range sections {
			if depth < len(open) && open[depth] == section {
				continue
			}
			open = append(open[:depth:depth], section)
			fmt.Fprintf(&b, "\n%s%s:\n", strings.Repeat("  ", depth), section)
		}
		indent := strings.Repeat("  ", len(sections))
		reload := ""
		if s.Reload == Restart {
			reload = " Needs a restart."
		}
		fmt.Fprintf(&b, "\n%s# %s: %s.%s\n", indent, s.Help, s.allowed(), reload)
		value := s.Default
		if value == "" {
			value = `""`
		}
		fmt.Fprintf(&b, "%s# %s: %s\n", indent, name, value)
		if s.isObjects() {
			fmt.Fprintf(&b, "%s#   like %s\n", indent, s.example())
		}
	}
	_, err := io.WriteString(to, b.String())
	return err
}
