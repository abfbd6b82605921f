package config_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/module/config"
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

// key is base64 that ends in '=', which values in a connection string may contain.
const key = "c2VjcmV0LWNhbmFyeS1rZXktb2YtYS1tb2R1bGU="

const (
	moduleString  = "HostName=hub1.azure-devices.net;DeviceId=d1;ModuleId=m1;SharedAccessKey=" + key
	deviceString  = "HostName=hub1.azure-devices.net;DeviceId=d1;SharedAccessKey=" + key
	gatewayString = moduleString + ";GatewayHostName=edge1"
	x509String    = "HostName=hub1.azure-devices.net;DeviceId=d1;x509=true"
)

type env map[string]string

func set(t *testing.T, env env) {
	t.Helper()
	for k, v := range env {
		t.Setenv(k, v)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// public excludes the secrets from a comparison.
var public = cmp.Options{cmpopts.IgnoreUnexported(config.Identity{}), cmpopts.IgnoreFields(config.Identity{}, "SharedAccessKey")}

func TestRead_insideIoTEdge(t *testing.T) {
	set(t, injected)
	t.Setenv("RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1:18883")
	t.Setenv("RTSPTUNNEL_CA_FILE", "/etc/site-ca.pem")
	got, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := config.Module{
		Identity: config.Identity{
			Source: "IOTEDGE_WORKLOADURI", HubHost: "hub1.azure-devices.net", GatewayHost: "edge1", DeviceID: "edge1", ModuleID: "rtsptunnel",
			Workload: config.Workload{URI: "unix:///var/run/iotedge/workload.sock", GenerationID: "638000000000000000"},
		},
		Protocol: "auto", HubAddress: "127.0.0.1:18883", CAFile: "/etc/site-ca.pem", RuntimeLogLevel: "debug", InsideIoTEdge: true,
		MetricsListen: "127.0.0.1:9600",
	}
	got.RemoteProxy = nil // its tests are in remote_test.go
	if d := cmp.Diff(want, got, public); d != "" {
		t.Error(d)
	}
}

// The first source by precedence wins, and Ignored names the others.
func TestRead_precedence(t *testing.T) {
	other := strings.Replace(moduleString, "DeviceId=d1", "DeviceId=other", 1)
	all := func(more env) env {
		e := env{"RTSPTUNNEL_CONNECTION_STRING": moduleString, "EdgeHubConnectionString": other, "IotHubConnectionString": other}
		maps.Copy(e, injected)
		for k, v := range more {
			if e[k] = v; v == "" {
				delete(e, k)
			}
		}
		return e
	}
	file := write(t, moduleString+"\n")
	for name, c := range map[string]struct {
		env     env
		source  string
		ignored int
	}{
		"string":    {all(nil), "RTSPTUNNEL_CONNECTION_STRING", 3},
		"file":      {all(env{"RTSPTUNNEL_CONNECTION_STRING": "", "RTSPTUNNEL_CONNECTION_STRING_FILE": file}), "RTSPTUNNEL_CONNECTION_STRING_FILE", 3},
		"simulator": {all(env{"RTSPTUNNEL_CONNECTION_STRING": "", "EdgeHubConnectionString": moduleString}), "EdgeHubConnectionString", 2},
		"SDK": {
			all(env{"RTSPTUNNEL_CONNECTION_STRING": "", "EdgeHubConnectionString": "", "IotHubConnectionString": moduleString}),
			"IotHubConnectionString", 1,
		},
		"certificate without use":     {env(injected).with("RTSPTUNNEL_CERT_FILE", "c"), "IOTEDGE_WORKLOADURI", 1},
		"gateway's roots, no gateway": {env{"IotHubConnectionString": moduleString, "EdgeModuleCACertificateFile": "x"}, "IotHubConnectionString", 1},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, c.env)
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			if m.Identity.Source != c.source || len(m.Ignored) != c.ignored || len(m.Faults) != 0 {
				t.Errorf("identity of %s, ignored %q, faults %v", m.Identity.Source, m.Ignored, m.Faults)
			}
			for _, line := range m.Ignored {
				if !strings.Contains(line, " ignored") || strings.Contains(line, key) {
					t.Errorf("warning %q", line)
				}
			}
			if id := m.Identity; c.source != "IOTEDGE_WORKLOADURI" && id.DeviceID != "d1" {
				t.Errorf("got %+v", id)
			}
		})
	}
}

func (e env) with(name, value string) env {
	more := maps.Clone(e)
	more[name] = value
	return more
}

func TestRead_connectionStrings(t *testing.T) {
	device := config.Identity{Source: "RTSPTUNNEL_CONNECTION_STRING", HubHost: "hub1.azure-devices.net", DeviceID: "d1"}
	module := device
	module.ModuleID = "m1"
	gateway := module
	gateway.GatewayHost, gateway.GatewayCAFile = "edge1", "/ca.pem"
	for name, c := range map[string]struct {
		text string
		env  env
		want config.Identity
	}{
		"device":              {deviceString, nil, device},
		"module":              {moduleString, nil, module},
		"gateway":             {gatewayString, env{"EdgeModuleCACertificateFile": "/ca.pem"}, gateway},
		"blanks, last ;":      {" HostName = hub1.azure-devices.net ;\nDeviceId=d1; SharedAccessKey=" + key + ";\n", nil, device},
		"unknown parts":       {deviceString + ";ProtocolGateway=x", nil, device},
		"X.509":               {x509String, env{"RTSPTUNNEL_CERT_FILE": "c", "RTSPTUNNEL_KEY_FILE": "k"}, device},
		"X.509 not spelt out": {strings.TrimSuffix(x509String, ";x509=true"), env{"RTSPTUNNEL_CERT_FILE": "c", "RTSPTUNNEL_KEY_FILE": "k"}, device},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, c.env)
			t.Setenv("RTSPTUNNEL_CONNECTION_STRING", c.text)
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, m.Identity, public); d != "" {
				t.Error(d)
			}
			if m.InsideIoTEdge || len(m.Ignored) != 0 {
				t.Errorf("inside IoT Edge %t, ignored %q", m.InsideIoTEdge, m.Ignored)
			}
			if x := strings.HasPrefix(name, "X.509"); m.Identity.HasCertificate() != x {
				t.Errorf("has a certificate: %t", !x)
			} else if k, err := m.Identity.Key(); !x && (err != nil || string(k) != "secret-canary-key-of-a-module") {
				t.Errorf("key %q, %v", k, err)
			}
		})
	}
}

// The error names everything that is missing, in one line and without the secret.
func TestRead_noIdentity(t *testing.T) {
	incomplete := env{"IOTEDGE_WORKLOADURI": "unix:///w.sock", "IOTEDGE_DEVICEID": "d1"}
	s := "RTSPTUNNEL_CONNECTION_STRING"
	for name, c := range map[string]struct {
		env  env
		want []string
	}{
		"nothing":  {nil, []string{s, s + "_FILE", "IOTEDGE_WORKLOADURI"}},
		"misspelt": {env{"RTSPTUNNEL_CONNECTIONSTRING": moduleString}, []string{"RTSPTUNNEL_CONNECTIONSTRING is unknown; the nearest known name is " + s}},
		"half of IoT Edge": {incomplete, []string{
			"IOTEDGE_IOTHUBHOSTNAME", "IOTEDGE_GATEWAYHOSTNAME", "IOTEDGE_MODULEID", "IOTEDGE_MODULEGENERATIONID", "edge agent",
		}},
		"both":              {env{s: moduleString, s + "_FILE": "/nonexistent"}, []string{s + " and " + s + "_FILE"}},
		"no such file":      {env{s + "_FILE": "/nonexistent"}, []string{s + "_FILE", "no such file"}},
		"string as file":    {env{s + "_FILE": moduleString}, []string{s + "_FILE"}},
		"nothing in it":     {env{s: "Foo=" + key}, []string{s, "HostName, DeviceId, SharedAccessKey"}},
		"no pair":           {env{s: moduleString + ";" + key[:20]}, []string{s, "not name=value"}},
		"twice":             {env{s: moduleString + ";DeviceId=" + key}, []string{"DeviceId appears twice"}},
		"a service's":       {env{s: "HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=" + key}, []string{"SharedAccessKeyName"}},
		"a token":           {env{s: "HostName=h;DeviceId=d;SharedAccessSignature=" + key}, []string{"SharedAccessSignature"}},
		"key is not base64": {env{s: moduleString + "canary"}, []string{s, "SharedAccessKey is not base64"}},
		"all invalid": {
			env{s: "HostName=h/" + key + ";GatewayHostName=h:8883;DeviceId=d/" + key + ";ModuleId=m m;SharedAccessKey=canary!"},
			[]string{"HostName is", "GatewayHostName is", "DeviceId has", "ModuleId has", "SharedAccessKey is"},
		},
		"key and certificate":   {env{s: deviceString, "RTSPTUNNEL_CERT_FILE": "c", "RTSPTUNNEL_KEY_FILE": "k"}, []string{"SharedAccessKey", "RTSPTUNNEL_CERT_FILE"}},
		"key and x509":          {env{s: deviceString + ";x509=true"}, []string{"SharedAccessKey", "x509=true"}},
		"module's certificate":  {env{s: x509String + ";ModuleId=m1", "RTSPTUNNEL_CERT_FILE": "c", "RTSPTUNNEL_KEY_FILE": "k"}, []string{"devices only"}},
		"no certificate":        {env{s: x509String}, []string{"RTSPTUNNEL_CERT_FILE, RTSPTUNNEL_KEY_FILE"}},
		"no private key":        {env{s: x509String, "RTSPTUNNEL_CERT_FILE": "c"}, []string{"not given: RTSPTUNNEL_KEY_FILE"}},
		"the simulator's":       {env{"EdgeHubConnectionString": "HostName=h"}, []string{"EdgeHubConnectionString", "DeviceId, SharedAccessKey"}},
		"the SDK's":             {env{"IotHubConnectionString": "HostName=h"}, []string{"IotHubConnectionString", "DeviceId, SharedAccessKey"}},
		"broken before a valid": {env(injected).with(s, "HostName=h"), []string{s}},
	} {
		t.Run(name, func(t *testing.T) {
			set(t, c.env)
			_, err := config.Read()
			if err == nil {
				t.Fatal("Read accepted it")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), key[:20]) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q", err)
			}
		})
	}
}

// If the module can reach the hub without a variable, an unusable value is a fault and
// the default is used.
func TestRead_faults(t *testing.T) {
	set(t, injected)
	for _, c := range []struct{ name, value, want string }{
		{"IOTEDGE_AUTHSCHEME", "x509", "sasToken"},
		{"RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1", "host:port"},
		{"RTSPTUNNEL_HUB_ADDRESS", ":8883", "host:port"},
		{"RTSPTUNNEL_HUB_ADDRESS", "127.0.0.1:", "host:port"},
		{"RTSPTUNNEL_HUB_WS_ADDRESS", "443", "host:port"},
		{"RTSPTUNNEL_PROTOCOL", "amqp", "auto is in force"},
		{"RTSPTUNNEL_METRICS_LISTEN", "9600", "127.0.0.1:9600 is in force"},
		{"RTSPTUNNEL_METRICS_LISTEN", "127.0.0.1:65536", "host:port"},
		{"RTSPTUNNEL_METRICS_LISTEN", "127.0.0.1:http", "host:port"},
		{"RTSPTUNNEL_METRICS_LISTEN", "http://127.0.0.1:9600", "host:port"},
		{"RTSPTUNNEL_CAFILE", "/etc/site-ca.pem", "RTSPTUNNEL_CA_FILE"},
		{"RTSPTUNNEL_HUB_ADDR", "", "RTSPTUNNEL_HUB_ADDRESS"},
		{"RTSPTUNNEL_KEYFILE", "x", "RTSPTUNNEL_KEY_FILE"},
		{"RTSPTUNNEL_" + strings.Repeat("X", 5000), "x", "is unknown"},
	} {
		t.Run(fmt.Sprintf("%.30s=%s", c.name, c.value), func(t *testing.T) {
			t.Setenv(c.name, c.value)
			m, err := config.Read()
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Faults) != 1 || m.Faults[0].Variable != c.name || !strings.Contains(m.Faults[0].Text, c.want) {
				t.Errorf("faults %v", m.Faults)
			}
			if m.HubAddress != "" || m.HubWSAddress != "" || m.Protocol != "auto" || m.MetricsListen != "127.0.0.1:9600" || m.Identity.DeviceID != "edge1" {
				t.Errorf("the default is not used: %+v", m)
			}
		})
	}
}

func TestRead_metricsListen(t *testing.T) {
	set(t, injected)
	for value, want := range map[string]string{
		"": "127.0.0.1:9600", "off": "", "OFF": "", ":9601": ":9601", "0.0.0.0:9600": "0.0.0.0:9600", "[::1]:9600": "[::1]:9600",
		"localhost:0": "localhost:0",
	} {
		t.Setenv("RTSPTUNNEL_METRICS_LISTEN", value)
		m, err := config.Read()
		alone, errAlone := config.MetricsListen()
		if err != nil || errAlone != nil || len(m.Faults) != 0 || m.MetricsListen != want || alone != want {
			t.Errorf("%q: %q and %q, faults %v, %v, %v", value, m.MetricsListen, alone, m.Faults, err, errAlone)
		}
	}
}

// Settings returns each effective value with its origin, and no secret.
func TestSettings(t *testing.T) {
	set(t, env{
		"RTSPTUNNEL_CONNECTION_STRING": moduleString, "RTSPTUNNEL_CA_FILE": key, "RTSPTUNNEL_HUB_ADDRESS": "127.0.0.1:1",
		"RTSPTUNNEL_METRICS_LISTEN": key, "HTTPS_PROXY": "http://user:" + key + "@proxy:3128", "NO_PROXY": "a,b", "no_proxy": "",
	})
	m, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Setting{
		{Name: "RTSPTUNNEL_CONNECTION_STRING", Value: "***", Origin: "environment"},
		{Name: "RTSPTUNNEL_CA_FILE", Value: "***", Origin: "environment"},
		{Name: "RTSPTUNNEL_HUB_ADDRESS", Value: "127.0.0.1:1", Origin: "environment"},
		{Name: "RTSPTUNNEL_METRICS_LISTEN", Value: "127.0.0.1:9600", Origin: "default"},
		{Name: "https_proxy", Value: "***", Origin: "environment"},
		{Name: "no_proxy", Value: "a,b", Origin: "environment"},
	}
	known := func(s config.Setting) bool {
		return slices.ContainsFunc(want, func(w config.Setting) bool { return w.Name == s.Name })
	}
	settings := m.Settings()
	if d := cmp.Diff(want, slices.DeleteFunc(slices.Clone(settings), func(s config.Setting) bool { return !known(s) })); d != "" {
		t.Error(d)
	}
	m.Faults = append(m.Faults, config.Fault{Variable: "RTSPTUNNEL_CA_FILE", Text: "is not used"})
	if text := fmt.Sprint(m.Settings()); strings.Contains(text, "RTSPTUNNEL_CA_FILE") {
		t.Errorf("Settings lists a file that is not used: %s", text)
	}
	if text := fmt.Sprint(settings); strings.Contains(text, key[:20]) || !strings.Contains(text, "{RuntimeLogLevel info default}") {
		t.Error(text)
	}
}

// Key reads the connection string's file each time, and checks that the identity is
// still the same.
func TestKey_rereadsFile(t *testing.T) {
	file := write(t, moduleString)
	t.Setenv("RTSPTUNNEL_CONNECTION_STRING_FILE", file)
	m, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, key, want string }{
		{strings.Replace(moduleString, key, "bmV3", 1), "new", ""},
		{strings.Replace(moduleString, "m1", "m2", 1), "", "another identity"},
		{gatewayString, "", "another identity"},
		{strings.TrimSuffix(moduleString, key), "", "no longer has a SharedAccessKey"},
		{"canary", "", "not name=value"},
		{moduleString, "secret-canary-key-of-a-module", ""},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := m.Identity.Key()
		if string(got) != c.key {
			t.Errorf("%s: key %q", c.want, got)
		}
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	remove(t, file)
	if _, err := m.Identity.Key(); err == nil || !strings.Contains(err.Error(), "RTSPTUNNEL_CONNECTION_STRING_FILE") {
		t.Errorf("error %v", err)
	}
}

// Certificate reads its files each time, so that they can be renewed in place.
func TestCertificate_rereadsFiles(t *testing.T) {
	ca, err := localca.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := write(t, ""), write(t, "")
	renew := func(name string) {
		cert, err := ca.Issue(name)
		if err != nil {
			t.Fatal(err)
		}
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{
			certFile: {Type: "CERTIFICATE", Bytes: cert.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
		} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	set(t, env{"RTSPTUNNEL_CONNECTION_STRING": x509String, "RTSPTUNNEL_CERT_FILE": certFile, "RTSPTUNNEL_KEY_FILE": keyFile})
	m, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		if cert, err := m.Identity.Certificate(); err == nil && cert.Leaf.Subject.CommonName == name {
			t.Errorf("got %s before it was issued", name)
		}
		renew(name)
		cert, err := m.Identity.Certificate()
		if err != nil || cert.Leaf.Subject.CommonName != name {
			t.Errorf("want %s, error %v", name, err)
		}
	}
	remove(t, keyFile)
	if _, err := m.Identity.Certificate(); err == nil || !strings.Contains(err.Error(), "RTSPTUNNEL_KEY_FILE") || strings.Contains(err.Error(), keyFile) {
		t.Errorf("error %v", err)
	}
}

// No format verb prints a secret.
func TestSecret_neverPrints(t *testing.T) {
	t.Setenv("RTSPTUNNEL_CONNECTION_STRING", moduleString)
	m, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(verb, m); strings.Contains(text, key) || strings.Contains(text, "c2VjcmV0") {
			t.Errorf("%s prints %s", verb, text)
		}
		if text := fmt.Sprintf(verb, config.Secret(key)); strings.Contains(text, key) {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func FuzzConnectionString(f *testing.F) {
	for _, seed := range []string{moduleString, gatewayString, x509String, ";;=;", "HostName", "x509=TRUE"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		t.Setenv("IotHubConnectionString", "") // isolates the fuzzer from the test's environment
		if strings.ContainsRune(text, 0) {
			t.Skip() // a variable cannot contain it
		}
		t.Setenv("RTSPTUNNEL_CONNECTION_STRING", text)
		m, err := config.Read()
		if err == nil && (m.Identity.HubHost == "" || m.Identity.DeviceID == "" || strings.ContainsAny(m.Identity.DeviceID, "/ \n")) {
			t.Errorf("%q becomes %+v", text, m.Identity)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q", err)
		}
	})
}
