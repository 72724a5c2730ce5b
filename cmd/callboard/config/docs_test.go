package config

import (
	"regexp"
	"strings"
	"testing"
)

// The file to begin with is right as it is, and with everything in it put into force.
func TestSkeletonIsAFileOfTheDefaults(t *testing.T) {
	var skeleton strings.Builder
	must(t, WriteYAML(&skeleton))
	load(t, Sources{File: written(t, skeleton.String())})
	all := regexp.MustCompile(`(?m)^( *)# ([a-z-]+: \S+)$`).ReplaceAllString(skeleton.String(), "$1$2")

	loaded := load(t, Sources{File: written(t, all)})

	plain := load(t, Sources{}).Effective()
	for i, e := range loaded.Effective() {
		if e.Source == "default" || e.Value != plain[i].Value {
			t.Errorf("%+v, want %+v from the file", e, plain[i])
		}
	}
}

func TestReferenceHasEverySetting(t *testing.T) {
	var reference strings.Builder
	must(t, WriteMarkdown(&reference))
	for _, s := range Settings() {
		line := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta("`"+s.Key+"` | `--"+s.Flag+"`") + `.*$`).FindString(reference.String())
		if strings.Count(line, " | ") != 5 || !strings.Contains(line, s.Default) && s.Default != "[]" && s.Default != "false" || !strings.Contains(line, s.Help) {
			t.Errorf("%s: %q", s.Key, line)
		}
	}
}
