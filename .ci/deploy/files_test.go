package deploychecks

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// top is the top folder of the repository.
const top = "../.."

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(top, path))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// serveHelp is what the built program says of serve.
func serveHelp(t *testing.T) string {
	t.Helper()
	binary := os.Getenv("CALLBOARD_BINARY")
	if binary == "" {
		t.Fatal("CALLBOARD_BINARY is not set: give the path of a built callboard, as '.ci/run deploy' does")
	}
	out, err := exec.Command(binary, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// checkServe fails for a flag that the program does not have.
func checkServe(t *testing.T, where string, args []string) {
	t.Helper()
	help := serveHelp(t)
	if len(args) == 0 || args[0] != "serve" {
		t.Errorf("%s does not run serve: %q", where, args)
		return
	}
	for _, arg := range args[1:] {
		flag, _, _ := strings.Cut(arg, "=")
		if strings.HasPrefix(flag, "--") && !strings.Contains(help, " "+flag+" ") {
			t.Errorf("%s gives %s, which serve does not have", where, flag)
		}
	}
}
