package packaging_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const moduleFolder = "modules/rtsptunnel"

// module has the members of module.json that VS Code's IoT Edge tools and iotedgedev read.
type module struct {
	SchemaVersion string `json:"$schema-version"`
	Description   string `json:"description"`
	Image         struct {
		Repository string `json:"repository"`
		Tag        struct {
			Version   string            `json:"version"`
			Platforms map[string]string `json:"platforms"`
		} `json:"tag"`
		BuildOptions []string `json:"buildOptions"`
		ContextPath  string   `json:"contextPath"`
	} `json:"image"`
	Language string `json:"language"`
}

func readModule(t *testing.T) module {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(read(t, moduleFolder+"/module.json")))
	decoder.DisallowUnknownFields()
	var m module
	if err := decoder.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestModule(t *testing.T) {
	m := readModule(t)
	if m.SchemaVersion != "0.0.1" || m.Description == "" || m.Language != "go" {
		t.Errorf("got %+v", m)
	}
	// iotedgedev makes the name lower case, VS Code does not.
	name := strings.ReplaceAll(m.Image.Repository, "${CONTAINER_REGISTRY_SERVER}", "registry")
	if !regexp.MustCompile(`^[a-z0-9./-]+$`).MatchString(name) || !strings.HasPrefix(m.Image.Repository, "${CONTAINER_REGISTRY_SERVER}/") {
		t.Errorf("repository %s", m.Image.Repository)
	}
	if m.Image.Tag.Version != version(t) {
		t.Errorf("version %s", m.Image.Tag.Version)
	}
	if len(m.Image.BuildOptions) != 0 {
		t.Errorf("build options %q: one list for all platforms, which the two tools handle differently", m.Image.BuildOptions)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9]+(_[A-Za-z0-9]+)*$`).MatchString(filepath.Base(moduleFolder)) {
		t.Errorf("the folder's name, %s, is not valid for a module", filepath.Base(moduleFolder))
	}
}

// The paths are relative to module.json's folder. contextPath is required, because the two
// tools have different defaults.
func TestModule_paths(t *testing.T) {
	m := readModule(t)
	context := filepath.Join(top, moduleFolder, m.Image.ContextPath)
	if m.Image.ContextPath == "" || filepath.Clean(context) != filepath.Clean(top) {
		t.Errorf("contextPath %q leads to %s, want the top of the repository", m.Image.ContextPath, context)
	}
	for platform, path := range m.Image.Tag.Platforms {
		file := filepath.Join(top, moduleFolder, path)
		if _, err := os.Stat(file); err != nil || filepath.Clean(file) != filepath.Join(top, "Dockerfile."+platform) {
			t.Errorf("%s leads to %s, %v", platform, file, err)
		}
	}
	got, want := slices.Sorted(maps.Keys(m.Image.Tag.Platforms)), slices.Sorted(maps.Keys(platforms))
	if !slices.Equal(got, want) {
		t.Errorf("module.json has platforms %q, and there are Dockerfiles for %q", got, want)
	}
}
