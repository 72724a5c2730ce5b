package transport

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"callboard/actors"
)

// A client that is neither ours nor gorilla's agrees with the server: npm's ws.
// .ci/run installs it and sets CALLBOARD_WS_MODULE to its folder.
func TestNpmClientAgrees(t *testing.T) {
	missing := t.Skipf
	if os.Getenv("CI") == "true" {
		missing = t.Fatalf
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing("node is not installed: %v", err)
	}
	module := os.Getenv("CALLBOARD_WS_MODULE")
	if _, err := os.Stat(filepath.Join(module, "package.json")); module == "" || err != nil {
		missing("CALLBOARD_WS_MODULE is %q and not the folder of the npm package ws: run .ci/run tools test", module)
	}
	s := start(t, Config{}, actors.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience) // for a whole program with all that it does
	defer cancel()
	client := exec.CommandContext(ctx, node, "testdata/ws.cjs", scheme("ws")+"://"+s.address)
	client.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+authorityFile(t))
	out, err := client.CombinedOutput()
	if want := "messages ok\nping ok\nerror ok\nclose ok\nversion 1 ok\n"; err != nil || string(out) != want {
		t.Errorf("%v\n%s", err, out)
	}
}
