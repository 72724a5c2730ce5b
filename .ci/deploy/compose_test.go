package deploychecks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

func TestComposeFileLoadsAndWhatItMountsIsThere(t *testing.T) {
	options, err := cli.NewProjectOptions([]string{filepath.Join(top, "deploy/compose/compose.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The dashboard and the alerts belong to the metrics: without them nothing of both is there.
	_, none := os.Stat(filepath.Join(top, "deploy/prometheus"))
	for name, service := range project.Services {
		for _, volume := range service.Volumes {
			if _, err := os.Stat(volume.Source); volume.Type == types.VolumeTypeBind && err != nil && none == nil {
				t.Errorf("%s mounts what is not there: %v", name, err)
			}
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s to other machines", name, port.Published)
			}
		}
		if len(service.CapDrop) != 1 || service.Restart != "unless-stopped" {
			t.Errorf("%s: cap_drop %v, restart %q", name, service.CapDrop, service.Restart)
		}
	}
	service := project.Services["callboard"]
	if !service.ReadOnly || service.StopGracePeriod == nil || time.Duration(*service.StopGracePeriod) < 30*time.Second {
		t.Errorf("read_only %t, stop_grace_period %v", service.ReadOnly, service.StopGracePeriod)
	}
	if none != nil {
		t.Log("there is no deploy/prometheus: --metrics-open is not looked for, nor what is mounted")
		return
	}
	checkServe(t, "deploy/compose/compose.yaml", service.Command)
}
