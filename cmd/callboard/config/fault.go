package config

import (
	"fmt"
	"strings"
)

// Fault is what is wrong with one value, and what to do about it.
type Fault struct {
	File    string // empty: it comes from the environment, a flag or the defaults
	Line    int    // in the file; 0: in none of its lines
	Key     string // of the file; else the variable or the flag
	Problem string
}

// String is the fault on one line.
func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File + ":")
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:", f.Line)
		}
		b.WriteByte(' ')
	}
	if f.Key != "" {
		b.WriteString(f.Key + " ")
	}
	b.WriteString(f.Problem)
	return b.String()
}

// FaultError is all faults that were found, at least one.
type FaultError []Fault

// Error implements error, on one line: who wants all of them takes the elements.
func (f FaultError) Error() string {
	if len(f) == 1 {
		return f[0].String()
	}
	return fmt.Sprintf("%s (the first of %d faults; 'callboard config check' shows all)", f[0], len(f))
}

// unknown is the fault of a key that there is not.
func unknown(key string, known []string) error {
	if near := nearest(key, known); near != "" {
		return fmt.Errorf("is no setting; did you mean %s", near)
	}
	return fmt.Errorf("is no setting; 'callboard config docs' has all")
}

// nearest is the known word that takes the fewest changes to get to; none if that would be
// another word altogether. A last part that fits exactly counts as near: entries, of inbox.entries.
func nearest(word string, known []string) string {
	best, least := "", max(2, len(word)/3)+1
	for _, k := range known {
		d := distance(word, k)
		if last := k[strings.LastIndexByte(k, '.')+1:]; last == word {
			d = 1
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be put in, taken out or changed (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
