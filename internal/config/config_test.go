package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/config"
)

// injected is what edge agent sets (edge-agent, CreateOrUpdateCommand).
var injected = map[string]string{
	"IOTEDGE_WORKLOADURI":        "unix:///var/run/iotedge/workload.sock",
	"IOTEDGE_AUTHSCHEME":         "sasToken",
	"IOTEDGE_MODULEGENERATIONID": "638000000000000000",
	"IOTEDGE_IOTHUBHOSTNAME":     "hub1.azure-devices.net",
	"IOTEDGE_GATEWAYHOSTNAME":    "edge1",
	"IOTEDGE_DEVICEID":           "edge1",
	"IOTEDGE_MODULEID":           "rtsptunnel",
	"IOTEDGE_APIVERSION":         "2021-12-07",
	"RuntimeLogLevel":            "debug",
}

func set(t *testing.T, env map[string]string) {
	t.Helper()
	for k, v := range env {
		t.Setenv(k, v)
	}
}

func TestRead_insideIoTEdge(t *testing.T) {
	set(t, injected)
	t.Setenv("RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1:18883")
	t.Setenv("RTSPTUNNEL_CA_FILE", "/etc/site-ca.pem")
	got, warning, err := config.Read()
	if err != nil || warning != nil {
		t.Fatal(err, warning)
	}
	want := config.Module{
		Edge: config.Edge{
			IoTHubHostName: "hub1.azure-devices.net", GatewayHostName: "edge1", DeviceID: "edge1",
			ModuleID: "rtsptunnel", ModuleGenerationID: "638000000000000000",
			WorkloadURI: "unix:///var/run/iotedge/workload.sock", AuthScheme: "sasToken",
		},
		Own:             config.Own{HubAddress: "127.0.0.1:18883", CAFile: "/etc/site-ca.pem"},
		RuntimeLogLevel: "debug",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !got.InsideIoTEdge() {
		t.Error("not inside IoT Edge")
	}
}

func TestRead_namesAllThatIsMissing(t *testing.T) {
	m, _, err := config.Read()
	if err == nil || m.InsideIoTEdge() {
		t.Fatal("an empty environment is enough")
	}
	for name := range injected {
		if name == "RuntimeLogLevel" || name == "IOTEDGE_AUTHSCHEME" || name == "IOTEDGE_APIVERSION" {
			continue
		}
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
}

func TestRead_badValues(t *testing.T) {
	for _, c := range [][2]string{
		{"IOTEDGE_AUTHSCHEME", "x509"},
		{"RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1"},
		{"RTSPTUNNEL_HUB_ADDRESS", ":8883"},
		{"RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1:"},
	} {
		name, value := c[0], c[1]
		t.Run(name+"="+value, func(t *testing.T) {
			set(t, injected)
			t.Setenv(name, value)
			if _, _, err := config.Read(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A misspelt variable would otherwise silently be the default.
func TestRead_warnsOfAVariableNobodyReads(t *testing.T) {
	set(t, injected)
	t.Setenv("RTSPTUNNEL_CAFILE", "/etc/site-ca.pem")
	_, warning, err := config.Read()
	if err != nil || warning == nil || !strings.Contains(warning.Error(), "RTSPTUNNEL_CAFILE") {
		t.Errorf("warning %v, error %v", warning, err)
	}
}
