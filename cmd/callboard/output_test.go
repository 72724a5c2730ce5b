package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"callboard/cmd/callboard/top"
)

func TestTableAlignsWhatIsSeen(t *testing.T) {
	var table table
	table.head("A\tB\tC")
	table.row("%s\t%s\tx", badStyle.Render("ab"), "ü👩‍💻")
	table.row("c\td\te")
	table.row("")
	table.row("very long\t1\nl\t2")
	var out strings.Builder
	if err := table.write(&out); err != nil {
		t.Fatal(err)
	}
	want := "A   B    C\nab  ü👩‍💻  x\nc   d    e\n\nvery long  1\nl          2\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestYAMLHasTheSameValuesAndOrder(t *testing.T) {
	for given, want := range map[string]string{
		`{"b":"1","a":1,"s":[],"o":{"t":"true","x":null,"l":[1,"2"]},"m":"a: b\nc","e":""}`: "b: \"1\"\na: 1\ns: []\no:\n  t: \"true\"\n  x: null\n  l:\n    - 1\n    - \"2\"\nm: |-\n  a: b\n  c\ne: \"\"\n",
	} {
		got, err := yamlOf([]byte(given))
		if err != nil || string(got) != want {
			t.Errorf("%q, want %q: %v", got, want, err)
		}
	}
}

func TestTimesAndSizesAreForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Second: "0s", 1500 * time.Millisecond: "1s", 3*time.Minute + 12*time.Second: "3m12s",
		5*time.Hour + 3*time.Minute: "5h03m", 75 * time.Hour: "3d3h",
	} {
		if got := top.Span(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	if got := size(14 << 20); got != "14 MiB" {
		t.Errorf("%q", got)
	}
	if got := count(1234567); got != "1,234,567" {
		t.Errorf("%q", got)
	}
	if got := moment(0); got != "-" {
		t.Errorf("%q", got)
	}
	synctest.Test(t, func(t *testing.T) { // where no time passes
		if got := moment(time.Now().Add(90 * time.Second).UnixMilli()); !strings.HasSuffix(got, "Z (in 1m30s)") {
			t.Errorf("%q", got)
		}
		if got := moment(time.Now().Add(-time.Minute).UnixMilli()); !strings.HasSuffix(got, "Z (1m0s ago)") {
			t.Errorf("%q", got)
		}
	})
}
