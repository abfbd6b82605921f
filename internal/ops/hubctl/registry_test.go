package hubctl_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/testkit/hubtest"
)

func TestDevice_addShowListRemove(t *testing.T) {
	e := start(t)
	digest := strings.Repeat("ab:", 19) + "ab"
	shown := e.must(t, "device", "add", "--edge", "d1", "--disabled")
	e.must(t, "device", "add", "d2", "--auth", "selfSigned", "--thumbprint", digest)
	e.must(t, "device", "add", "d3", "--auth=ca")

	// The hub chooses two values.
	chosen := regexp.MustCompile(`(?m)^((?:generation|etag) +)\S+$`)
	want := `device           d1
status           disabled
edge             yes
authentication   sas
connection       Disconnected
last activity    never
generation       *
etag             *
`
	if diff := cmp.Diff(want, chosen.ReplaceAllString(shown, "$1*")); diff != "" {
		t.Errorf("add (-want +got):\n%s", diff)
	}
	if again := e.must(t, "device", "show", "d1"); again != shown {
		t.Errorf("show differs from add:\n%s", cmp.Diff(shown, again))
	}
	want = `DEVICE   STATUS     CONNECTION     AUTH                   EDGE   LAST ACTIVITY
d1       disabled   Disconnected   sas                    yes    never
d2       enabled    Disconnected   selfSigned             no     never
d3       enabled    Disconnected   certificateAuthority   no     never
edge1    enabled    Disconnected   sas                    yes    never
`
	if diff := cmp.Diff(want, e.must(t, "device", "list")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	var device struct {
		Authentication map[string]any `json:"authentication"`
	}
	if err := json.Unmarshal([]byte(e.must(t, "device", "show", "d2", "--json")), &device); err != nil {
		t.Fatal(err)
	}
	thumbprint := map[string]any{"primaryThumbprint": strings.ToUpper(strings.ReplaceAll(digest, ":", ""))}
	if diff := cmp.Diff(map[string]any{"type": "selfSigned", "x509Thumbprint": thumbprint}, device.Authentication); diff != "" {
		t.Errorf("authentication (-want +got):\n%s", diff)
	}
	if got := e.must(t, "device", "rm", "d1"); got != "removed d1\n" {
		t.Errorf("rm wrote %q", got)
	}
	e.refused(t, 1, []string{"read d1", "404 DeviceNotFound", "device list"}, "device", "show", "d1")
}

func TestModule_addShowListRemove(t *testing.T) {
	e := start(t)
	shown := e.must(t, "module", "add", "edge1/m1")
	if !strings.HasPrefix(shown, "device           edge1\nmodule           m1\nauthentication   sas\n") {
		t.Errorf("add wrote:\n%s", shown)
	}
	if again := e.must(t, "module", "show", "edge1/m1"); again != shown {
		t.Errorf("show differs from add:\n%s", cmp.Diff(shown, again))
	}
	want := `MODULE             CONNECTION     AUTH   LAST ACTIVITY
edge1/$edgeAgent   Disconnected   sas    never
edge1/$edgeHub     Disconnected   sas    never
edge1/m1           Disconnected   sas    never
edge1/rtsptunnel   Disconnected   sas    never
`
	if diff := cmp.Diff(want, e.must(t, "module", "list", "edge1")); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	var list []map[string]any
	if err := json.Unmarshal([]byte(e.must(t, "module", "list", "--json", "edge1")), &list); err != nil || len(list) != 4 {
		t.Errorf("list has %d modules (%v)", len(list), err)
	}
	e.must(t, "module", "rm", "edge1/m1")
	e.refused(t, 1, []string{"read edge1/m1", "404 ModuleNotFound", "module list"}, "module", "show", "edge1/m1")
	e.must(t, "device", "add", "d1")
	if got := e.must(t, "module", "list", "d1", "--json"); got != "[]\n" {
		t.Errorf("an empty list is %q", got)
	}
}

// --connection-string prints the keys that the hub made, as devices need them. They are
// accepted by the hub.
func TestConnectionString(t *testing.T) {
	e := start(t)
	code, made, stderr := e.runSecret(t, "module", "add", "edge1/m1", "--connection-string",
		"--gateway", hubtest.GatewayName, "--hostname", hubtest.HubName)
	form := regexp.MustCompile(`^HostName=` + hubtest.HubName + `;DeviceId=edge1;ModuleId=m1;SharedAccessKey=[A-Za-z0-9+/]{43}=;GatewayHostName=` + hubtest.GatewayName + `\n$`)
	if code != 0 || !form.MatchString(made) {
		t.Fatalf("exit code %d, %q, stderr %s", code, made, stderr)
	}
	e.connect(t, made)
	if shown := e.must(t, "module", "show", "edge1/m1"); !strings.Contains(shown, "connection       Connected\n") {
		t.Errorf("not connected:\n%s", shown)
	}
	// The port in HostName is for services, so that the result has none.
	_, device, _ := e.runSecret(t, "device", "show", "--connection-string", "edge1")
	if !regexp.MustCompile(`^HostName=localhost;DeviceId=edge1;SharedAccessKey=\S+=\n$`).MatchString(device) {
		t.Errorf("the device's: %q", device)
	}
	if got := e.must(t, "device", "add", "c", "--auth", "ca", "--connection-string"); got != "HostName=localhost;DeviceId=c;x509=true\n" {
		t.Errorf("with a certificate: %q", got)
	}
	e.refused(t, 2, []string{"exclude each other"}, "device", "show", "c", "--connection-string", "--json")
	e.refused(t, 2, []string{"go with --connection-string"}, "device", "show", "c", "--gateway", "g")
}

func TestAdd_refusals(t *testing.T) {
	e := start(t)
	e.refused(t, 1, []string{"add edge1", "409 DeviceAlreadyExists", "It exists already"}, "device", "add", "edge1")
	e.refused(t, 1, []string{"409 ModuleAlreadyExistsOnDevice", "It exists already"}, "module", "add", "edge1/rtsptunnel")
	e.refused(t, 1, []string{"404 DeviceNotFound", "device add ID"}, "module", "add", "missing/m")
	e.refused(t, 1, []string{"400 ArgumentInvalid", "invalid id"}, "device", "add", "a b")
	e.refused(t, 2, []string{"is a module"}, "device", "add", "d/m")
	e.refused(t, 2, []string{"is a device"}, "module", "add", "d")
	e.refused(t, 2, []string{"sas, selfSigned or ca"}, "device", "add", "d", "--auth", "x509")
	e.refused(t, 2, []string{"needs one --thumbprint"}, "device", "add", "d", "--auth", "selfSigned")
	e.refused(t, 2, []string{"goes with --auth selfSigned"}, "device", "add", "d", "--thumbprint", strings.Repeat("ab", 20))
	e.refused(t, 2, []string{"digest in hex"}, "device", "add", "d", "--auth", "selfSigned", "--thumbprint", "abc")
	if got := e.must(t, "device", "list"); strings.Count(got, "\n") != 2 {
		t.Errorf("there is more than edge1:\n%s", got)
	}
}
