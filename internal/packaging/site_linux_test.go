package packaging_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

// insideName is the variable that is set in the process with its own network namespace.
const insideName = "PACKAGING_TEST_INSIDE"

// The module applies the twin of every template, and of every set of layers that a device
// can have, and reports itself healthy. The twins have private addresses, which may exist
// in the network of the machine. So the test runs in a network namespace that has
// loopback alone.
func TestSite_appliesTheTwins(t *testing.T) {
	if os.Getenv(insideName) != "" {
		inside(t)
		return
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skipUnlessCI(t, "there is no ip, to bring loopback up in a network namespace")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), insideName+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	for _, refused := range []syscall.Errno{syscall.EPERM, syscall.ENOSPC, syscall.EINVAL} { // no permission, no namespace left, under qemu
		if errors.Is(err, refused) {
			skipUnlessCI(t, "the kernel gives no network namespace: "+err.Error())
		}
	}
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: "+t.Name()+"/") {
		t.Errorf("%v\n%s", err, out)
	}
}

// inside runs in the network namespace of its own.
func inside(t *testing.T) {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil || slices.ContainsFunc(all, func(i net.Interface) bool { return i.Flags&net.FlagUp != 0 }) {
		t.Fatalf("this network namespace is not the test's own: %v, %v", all, err)
	}
	if out, err := exec.CommandContext(t.Context(), "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	deployments := map[string]deployment{}
	for _, file := range templates(t) {
		deployments[filepath.Base(file)] = load(t, expand(t, file, "amd64").JSON())
	}
	for name, layers := range devices(t) {
		deployments["deploy: "+name] = load(t, merged(t, layers).JSON())
	}
	for _, name := range slices.Sorted(maps.Keys(deployments)) {
		t.Run(name, func(t *testing.T) { applies(t, deployments[name]) })
	}
}

// applies starts a module with the deployment's environment and twin, and checks what it
// reports.
func applies(t *testing.T, d deployment) {
	t.Helper()
	hub := hubtest.Start(t, io.Discard)
	desired := mustJSON(t, desired(t, d))
	tw, err := hub.Client.UpdateTwin(t.Context(), hub.ID, hubclient.TwinUpdate{Desired: desired, Replace: true})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"IOTEDGE_WORKLOADURI": hub.WorkloadURI(), "IOTEDGE_AUTHSCHEME": "sasToken",
		"IOTEDGE_MODULEGENERATIONID": hub.Generation, "IOTEDGE_IOTHUBHOSTNAME": hubtest.HubName,
		"IOTEDGE_GATEWAYHOSTNAME": hubtest.GatewayName, "IOTEDGE_DEVICEID": hub.ID.Device, "IOTEDGE_MODULEID": hub.ID.Module,
		"RTSPTUNNEL_HUB_ADDRESS": hub.MQTTAddr(),
	}
	for name, v := range d.modules(t)[ourModule].Env { // a layer alone may define no module
		env[name] = v.Value
	}
	log, stop := runModule(t, env)
	r := reportedOf(t, hub.Client, hub.ID, versionOf(t, tw.Properties.Desired))
	if r.State != "healthy" || len(r.Reasons) > 0 {
		t.Errorf("state %s, reasons %v\n%s", r.State, r.Reasons, log)
	}
	if d := cmp.Diff(map[string]json.RawMessage{"applied": r.Config["applied"]}, r.Config); d != "" {
		t.Errorf("the twin is not applied in full: %s", d)
	}
	var sections map[string]map[string]any
	asJSON(t, desired, &sections)
	if len(r.CameraStatus) != len(sections["cameras"]) {
		t.Errorf("cameras %v, want %d", r.CameraStatus, len(sections["cameras"]))
	}
	if len(sections["cameras"]) > 0 && len(sections["remoteEndpoints"]) > 0 {
		checkQueries(t, hub)
	}
	stop()
}

// desired returns the desired properties that a deployment gives our module.
func desired(t *testing.T, d deployment) map[string]any {
	t.Helper()
	whole := map[string]any{}
	for path, part := range d.ModulesContent[ourModule] {
		at := whole
		names := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "properties.desired"), "."), ".")
		if path == "properties.desired" {
			asJSON(t, part, &whole)
			continue
		}
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = part
	}
	return whole
}

// checkQueries runs the queries of deploy/README.md: this module runs, has applied the
// cameras of site 1, and has no problem.
func checkQueries(t *testing.T, hub *hubtest.Hub) {
	t.Helper()
	var rows []int
	for _, command := range rolloutCommands(t) {
		text := option(command, "query-command")
		if text == "" {
			continue
		}
		n := 0
		for row, err := range hub.Client.Query(t.Context(), text) {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(row), `"deviceId":"`+hub.ID.Device+`"`) {
				t.Errorf("%s\nreturns %s", text, row)
			}
			n++
		}
		rows = append(rows, n)
	}
	if want := []int{1, 1, 0}; !slices.Equal(rows, want) {
		t.Errorf("the queries return %v rows, want %v", rows, want)
	}
}
