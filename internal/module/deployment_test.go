package module_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/ops/manifestctl"
)

// fleet is a site whose module is configured by tunnelctl manifest only.
type fleet struct {
	*site

	dir string
}

// deploy runs tunnelctl manifest apply on a manifest with this content, and waits until
// the module has applied the resulting twin.
func (f *fleet) deploy(t *testing.T, content string, args ...string) {
	t.Helper()
	file := filepath.Join(f.dir, "deployment.json")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	environment := map[string]string{"HUB_CONNECTION_STRING": f.OwnerConnectionString(), "HUB_CA_FILE": f.CAFile()}
	var stdout, stderr bytes.Buffer
	program := cli.Program{Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{manifestctl.Command()}}
	code := program.Run(t.Context(), append([]string{"manifest", "apply", file}, args...), cli.IO{
		Out: &stdout, Err: &stderr,
		Lookup: func(name string) (string, bool) { value, ok := environment[name]; return value, ok },
	})
	if code != 0 {
		t.Fatalf("%v: exit code %d:\n%s", args, code, &stderr)
	}
	f.settle(t)
}

// settle waits until the module has applied its present twin.
func (f *fleet) settle(t *testing.T) {
	t.Helper()
	twin, err := f.Client.Twin(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	var desired struct {
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(twin.Properties.Desired, &desired); err != nil {
		t.Fatal(err)
	}
	f.log.Await(t, fmt.Sprintf("version=%d\n", desired.Version), 1)
}

// tag sets tags of the edge device.
func (f *fleet) tag(t *testing.T, tags string) {
	t.Helper()
	update := hubclient.TwinUpdate{Tags: json.RawMessage(tags)}
	if _, err := f.Client.UpdateTwin(t.Context(), hubclient.Identity{Device: f.ID.Device}, update); err != nil {
		t.Fatal(err)
	}
	f.settle(t)
}

// base returns a full deployment with one camera.
func base(t *testing.T, front camera) string {
	t.Helper()
	b, err := json.Marshal(front)
	if err != nil {
		t.Fatal(err)
	}
	return `{"modulesContent": {
	"$edgeAgent": {"properties.desired": {"schemaVersion": "1.1",
		"runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
		"systemModules": {
			"edgeAgent": {"type": "docker", "settings": {"image": "registry.example/azureiotedge-agent:1.6"}},
			"edgeHub": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "registry.example/azureiotedge-hub:1.6"}}},
		"modules": {"rtsptunnel": {"type": "docker", "status": "running", "restartPolicy": "always", "settings": {"image": "registry.example/rtsptunnel:1.0"}}}}},
	"$edgeHub": {"properties.desired": {"schemaVersion": "1.1", "routes": {}, "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}}},
	"rtsptunnel": {"properties.desired": {"cameras": {"front": ` + string(b) + `}}}}}`
}

// layerOf returns a layer that sets one value at a path of the module's desired properties.
func layerOf(t *testing.T, path string, value any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"modulesContent": map[string]any{
		"$edgeAgent": map[string]any{}, "rtsptunnel": map[string]any{"properties.desired." + path: value},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A base deployment configures a camera, and a layer for sites with a tag adds one. A
// layer of a higher priority disables all tunnels, and its removal enables them again.
func TestDeployments_configureTheModule(t *testing.T) {
	t.Parallel()
	f := &fleet{site: newSite(t), dir: t.TempDir()}
	r, cam := newRemote(t), echo(t)
	f.trust(t, r.ca.CertPEM())
	f.run(t)
	f.deploy(t, base(t, at(cam, 554)), "--deployment", "base", "--priority", "1", "--target-condition", "*")
	front := f.open(t, r, 554)
	front.isOpen(t)
	f.refused(t, r.endpoint(), 1554, 400, "localhost:1554", "Local port is not available")

	// No site has the tag yet, which apply refuses without --force.
	f.deploy(t, layerOf(t, "cameras.yard", at(cam, 1554)), "--layered", "--deployment", "yards", "--priority", "20", "--target-condition", "tags.yard = true", "--force")
	f.refused(t, r.endpoint(), 1554, 400, "localhost:1554", "Local port is not available")
	f.tag(t, `{"yard":true}`)
	yard := f.open(t, r, 1554)
	yard.isOpen(t)
	front.isOpen(t) // the layer has changed nothing else

	f.deploy(t, layerOf(t, "tunnels.enabled", false), "--layered", "--deployment", "off", "--priority", "90", "--target-condition", "*")
	front.isForbidden(t, reason.Disabled)
	yard.isForbidden(t, reason.Disabled)
	f.refused(t, r.endpoint(), 554, 503, "tunnelOpen", "Tunnels are disabled")

	if err := f.Client.DeleteConfiguration(t.Context(), "off", ""); err != nil {
		t.Fatal(err)
	}
	f.settle(t)
	f.open(t, r, 554).isOpen(t)
	f.tag(t, `{"yard":null}`)
	f.refused(t, r.endpoint(), 1554, 400, "localhost:1554", "Local port is not available")
	f.open(t, r, 554).isOpen(t)
}

// A manifest for one device configures its module in the same way.
func TestDeployment_ofOneDevice(t *testing.T) {
	t.Parallel()
	f := &fleet{site: newSite(t), dir: t.TempDir()}
	r, cam, elsewhere := newRemote(t), echo(t), echo(t)
	f.trust(t, r.ca.CertPEM())
	f.run(t)
	f.deploy(t, base(t, at(cam, 554)), "--device", f.ID.Device)
	far := f.open(t, r, 554)
	far.isOpen(t)
	f.deploy(t, base(t, at(elsewhere, 554)), "--device", f.ID.Device)
	far.isForbidden(t, reason.CameraChanged)
	f.open(t, r, 554).isOpen(t)
}
