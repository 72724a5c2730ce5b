package protocol

import "testing"

func TestEveryFieldIsFoundByItsName(t *testing.T) {
	longest := 0
	for f, name := range fieldNames {
		longest = max(longest, len(name))
		if got := fieldOf([]byte(name), shapeString); got != field(f) {
			t.Errorf("%s is field %d, want %d", name, got, f)
		}
		escaped := []byte{'\\', 'u', '0', '0', "0123456789abcdef"[name[0]>>4], "0123456789abcdef"[name[0]&15]}
		if got := fieldOf(append(escaped, name[1:]...), shapeEscaped); got != field(f) {
			t.Errorf("%s with an escape is field %d, want %d", name, got, f)
		}
	}
	if longest != maxFieldBytes {
		t.Errorf("the longest name has %d bytes, maxFieldBytes is %d", longest, maxFieldBytes)
	}
}
