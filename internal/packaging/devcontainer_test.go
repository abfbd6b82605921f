package packaging_test

import (
	"encoding/json"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const devcontainerFile = ".devcontainer/devcontainer.json"

// devcontainer has the members that our file uses, with the types of containers.dev's
// reference.
type devcontainer struct {
	Name              string                       `json:"name"`
	Image             string                       `json:"image"`
	Features          map[string]map[string]string `json:"features"`
	PostCreateCommand map[string]string            `json:"postCreateCommand"`
	ForwardPorts      []int                        `json:"forwardPorts"`
	PortsAttributes   map[string]struct {
		Label         string `json:"label"`
		OnAutoForward string `json:"onAutoForward"`
	} `json:"portsAttributes"`
	RemoteUser     string `json:"remoteUser"`
	Customizations struct {
		VSCode struct {
			Extensions []string       `json:"extensions"`
			Settings   map[string]any `json:"settings"`
		} `json:"vscode"`
	} `json:"customizations"`
}

// The container has what make check, make demo and a rollout need: the Go version of
// go.mod, Node, ffmpeg, Docker, az with its IoT extension, and iotedgedev.
func TestDevcontainer(t *testing.T) {
	var d devcontainer
	decode(t, devcontainerFile, &d)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(content(t, "go.mod"))
	if want := "mcr.microsoft.com/devcontainers/go:" + string(version[1]) + "-"; !strings.HasPrefix(d.Image, want) {
		t.Errorf("the image is %s; go.mod wants %s...", d.Image, want)
	}
	var features []string
	for name := range d.Features {
		features = append(features, strings.TrimPrefix(name, "ghcr.io/devcontainers/features/"))
	}
	slices.Sort(features)
	if want := []string{"azure-cli:1", "docker-in-docker:2", "node:1", "python:1"}; !slices.Equal(features, want) {
		t.Errorf("features %v, want %v", features, want)
	}
	if got := d.Features["ghcr.io/devcontainers/features/azure-cli:1"]["extensions"]; got != "azure-iot" {
		t.Errorf("az has the extensions %q", got)
	}
	commands := strings.Join(slices.Collect(maps.Values(d.PostCreateCommand)), "\n")
	for _, want := range []string{"ffmpeg", "iotedgedev", "make build"} {
		if !strings.Contains(commands, want) {
			t.Errorf("postCreateCommand does not mention %s", want)
		}
	}
	for _, want := range []string{"golang.go", "vsciot-vscode.azure-iot-edge", "vsciot-vscode.azure-iot-toolkit"} {
		if !slices.Contains(d.Customizations.VSCode.Extensions, want) {
			t.Errorf("the extension %s is missing", want)
		}
	}
	for name, image := range map[string]string{"image": d.Image, "user": d.RemoteUser} {
		if image == "" || strings.Contains(image, "latest") {
			t.Errorf("%s is %q", name, image)
		}
	}
	targetsExist(t, commands)
}

func TestDevcontainer_publicSchema(t *testing.T) {
	checkPublic(t, "devContainer.base.schema.json", content(t, devcontainerFile))
}

// targetsExist checks that each "make TARGET" in a shell's text names a target of the
// Makefile.
func targetsExist(t *testing.T, commands string) {
	t.Helper()
	makefile := read(t, "Makefile")
	for _, m := range regexp.MustCompile(`\bmake ([a-z-]+)`).FindAllStringSubmatch(commands, -1) {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("make has no target %s", m[1])
		}
	}
}

// decode reads a document of the repository into v. The document may have no comments, no
// members that v lacks, and nothing after it.
func decode(t *testing.T, name string, v any) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(read(t, name)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("%s: something follows the document: %v", name, err)
	}
}
