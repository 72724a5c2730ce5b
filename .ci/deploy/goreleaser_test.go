package deploychecks

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
)

// The configuration is decoded strictly: an unknown key is a fault.
func TestGoreleaserConfigurationIsUnderstood(t *testing.T) {
	project, err := config.LoadReader(bytes.NewReader(read(t, ".goreleaser.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	if project.Version != 2 || len(project.Builds) != 1 || len(project.Builds[0].Env) != 1 || project.Builds[0].Env[0] != "CGO_ENABLED=0" {
		t.Errorf("%+v", project.Builds)
	}
	paths := []string{project.Builds[0].Main}
	for _, file := range project.Archives[0].Files {
		paths = append(paths, file.Source)
	}
	for _, content := range project.NFPMs[0].Contents {
		paths = append(paths, content.Source)
	}
	for _, path := range paths {
		if found, err := filepath.Glob(filepath.Join(top, path)); err != nil || len(found) == 0 {
			t.Errorf("there is no %s", path)
		}
	}
}
