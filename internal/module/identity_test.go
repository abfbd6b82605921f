package module_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

// connectionString returns the registry's connection string for the site's identity.
func (s *site) connectionString(t *testing.T, gateway string) string {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := r.ConnectionString(hubtest.HubName, gateway)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// outside takes the site's module out of IoT Edge: its environment keeps only the
// addresses of the emulator. If module is false, the site's identity becomes a device.
func (s *site) outside(t *testing.T, module bool) {
	t.Helper()
	maps.DeleteFunc(s.env, func(name, _ string) bool { return strings.HasPrefix(name, "IOTEDGE_") })
	if module {
		return
	}
	s.ID = hubclient.Identity{Device: "site-1.#+(x)=y"} // all of these characters are allowed in an id
	if _, err := s.Client.Register(t.Context(), hubclient.Registration{DeviceID: s.ID.Device}); err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, text []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// serves waits for the module's response to a method, and checks the model id in the twin
// and the log.
func (s *site) serves(t *testing.T) {
	t.Helper()
	if status, body := s.invoke(t, "reboot", `{}`); status != 404 || body["message"] != "Unknown method" {
		t.Errorf("response %d %v", status, body)
	}
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil || tw.ModelID != "dtmi:azure:videoanalyzer:WebSocketTunneling;1" {
		t.Errorf("the twin's model id is %q, %v", tw.ModelID, err)
	}
	if log := s.log.String(); strings.Contains(log, "SharedAccess") {
		t.Errorf("a secret is in the log:\n%s", log)
	}
	logtest.NoSecret(t, s.log.String())
}

// The module connects with every kind of identity, and announces its model.
func TestIdentity_connects(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		module  bool
		prepare func(*site)
	}{
		"module": {true, func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		}},
		"device": {false, func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		}},
		"device, from a file": {false, func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING_FILE"] = file(t, []byte(s.connectionString(t, "")+"\n"))
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		}},
		"device, by its certificate": {false, func(s *site) {
			now := time.Now()
			s.byCertificate(t, newCertificate(t, now.Add(-time.Hour), now.Add(time.Hour)))
		}},
		"module through a gateway": {true, func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, hubtest.GatewayName)
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		}},
		"device through a gateway": {false, func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, hubtest.GatewayName)
			s.env["EdgeModuleCACertificateFile"] = s.CAFile()
		}},
		"simulator's": {true, func(s *site) {
			s.env["EdgeHubConnectionString"] = s.connectionString(t, hubtest.GatewayName)
			s.env["EdgeModuleCACertificateFile"] = s.CAFile()
		}},
		"SDK's": {true, func(s *site) {
			s.env["IotHubConnectionString"] = s.connectionString(t, "")
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.outside(t, c.module)
			c.prepare(s)
			s.run(t)
			s.serves(t)
		})
	}
}

// Of two identities the first one connects. The log names the ignored one.
func TestIdentity_firstOneWins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	inside := maps.Clone(s.env)
	s.outside(t, false)
	maps.Copy(s.env, inside)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	s.run(t)
	s.serves(t)
	s.log.Await(t, "[WRN] - IOTEDGE_WORKLOADURI is ignored: the identity comes from RTSPTUNNEL_CONNECTION_STRING", 1)
}

// The system's roots are Go's, so that SSL_CERT_FILE counts. A process reads it once.
func TestIdentity_systemRoots(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.outside(t, false)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["SSL_CERT_FILE"] = s.CAFile()
	end := s.start(t, s.log)
	s.serves(t)
	end(os.Interrupt)
}

// The module trusts only the roots of its identity: without the site's roots their hub is
// unknown, and the gateway's roots are the only ones for a gateway.
func TestIdentity_isNeverUnverified(t *testing.T) {
	t.Parallel()
	other, err := localca.New("test authority")
	if err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(*site){
		"no roots": func(s *site) { s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "") },
		"no roots for the gateway": func(s *site) {
			s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, hubtest.GatewayName)
		},
		"gateway of another authority": func(s *site) {
			s.env["EdgeHubConnectionString"] = s.connectionString(t, hubtest.GatewayName)
			s.env["EdgeModuleCACertificateFile"] = file(t, other.CertPEM())
			s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.outside(t, true)
			prepare(s)
			s.run(t)
			s.log.Await(t, "no hub connection", 2)
			if log := s.log.String(); strings.Contains(log, "logged in") || !strings.Contains(log, "certificate signed by unknown authority") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
}

// The module retries after a wrong key, and reads the file again each time.
func TestIdentity_keyIsReadAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.outside(t, true)
	right := s.connectionString(t, "")
	wrong, _, _ := strings.Cut(right, "SharedAccessKey=")
	name := file(t, []byte(wrong+"SharedAccessKey=d3Jvbmc="))
	s.env["RTSPTUNNEL_CONNECTION_STRING_FILE"] = name
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	s.run(t)
	s.log.Await(t, "no hub connection", 2)
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	s.log.Await(t, "RTSPTUNNEL_CONNECTION_STRING_FILE: cannot read the file", 1)
	if err := os.WriteFile(name, []byte(right), 0o600); err != nil {
		t.Fatal(err)
	}
	s.serves(t)
}

// An invalid variable that is not needed to reach the hub is logged and reported, and
// everything else works.
func TestEnvironment_degraded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ variable, value, want string }{
		"unknown":          {"RTSPTUNNEL_CAFILE", "x", "the nearest known name is RTSPTUNNEL_CA_FILE"},
		"no regular file":  {"RTSPTUNNEL_CA_FILE", "/dev/null", "RTSPTUNNEL_CA_FILE is not used: cannot read the file: it is not a regular file"},
		"no such protocol": {"RTSPTUNNEL_PROTOCOL", "amqp", "RTSPTUNNEL_PROTOCOL is not auto, mqtt or mqttws"},
		"no such proxy":    {"https_proxy", "socks5://proxy", "https_proxy is not an http or https URL"},
		"no such level":    {"RuntimeLogLevel", "loud", "RuntimeLogLevel is not a level"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.env[c.variable] = c.value
			s.run(t)
			s.desire(t, map[string]any{})
			if got, want := s.state(t), (state{"degraded", []string{"CFG_ENV"}}); !cmp.Equal(got, want) {
				t.Errorf("state %+v, want %+v", got, want)
			}
			if log := s.log.String(); !strings.Contains(log, c.want) || !strings.Contains(log, "reason=CFG_ENV") || !strings.Contains(log, "[ERR]") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
	s := newSite(t)
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"healthy", []string{}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
}

// With an environment that makes every hub unreachable, the process ends with exit code 2
// and one line on standard error, which says what to set and holds no secret.
func TestMain_cannotStart(t *testing.T) {
	t.Parallel()
	const of = "HostName=h;DeviceId=d;"
	const canary = "Y2FuYXJ5"
	garbage := file(t, []byte("-----BEGIN CERTIFICATE-----\nY2FuYXJ5\n-----END CERTIFICATE-----\n"))
	s := "RTSPTUNNEL_CONNECTION_STRING"
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"nothing":             {nil, "set " + s},
		"malformed":           {map[string]string{s: "HostName=h;SharedAccessKey=" + canary}, s + ": not given: DeviceId"},
		"no certificate file": {map[string]string{s: of + "x509=true", "RTSPTUNNEL_CERT_FILE": "/nonexistent", "RTSPTUNNEL_KEY_FILE": "/nonexistent"}, "RTSPTUNNEL_CERT_FILE: cannot read the file"},
		"key in the variable": {map[string]string{s: of, "RTSPTUNNEL_CERT_FILE": garbage, "RTSPTUNNEL_KEY_FILE": canary}, "RTSPTUNNEL_KEY_FILE: cannot read the file"},
		"garbage":             {map[string]string{s: of, "RTSPTUNNEL_CERT_FILE": garbage, "RTSPTUNNEL_KEY_FILE": garbage}, "RTSPTUNNEL_CERT_FILE and RTSPTUNNEL_KEY_FILE: "},
		"no gateway's roots": {map[string]string{
			"EdgeHubConnectionString": of + "GatewayHostName=g;SharedAccessKey=" + canary, "EdgeModuleCACertificateFile": "/nonexistent",
		}, "EdgeModuleCACertificateFile: cannot read the file"},
		"workload API of no kind": {map[string]string{
			"IOTEDGE_WORKLOADURI": "ftp://x", "IOTEDGE_IOTHUBHOSTNAME": "h", "IOTEDGE_GATEWAYHOSTNAME": "g", "IOTEDGE_DEVICEID": "d",
			"IOTEDGE_MODULEID": "m", "IOTEDGE_MODULEGENERATIONID": "1",
		}, "IOTEDGE_WORKLOADURI"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := (&site{env: c.env}).process(t)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 2 {
				t.Errorf("ended with %v", err)
			}
			line := stderr.String()
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, c.want) || !strings.Contains(line, "cannot start") {
				t.Errorf("standard error: %s", line)
			}
			if len(out) != 0 || strings.Contains(line, canary) {
				t.Errorf("standard output: %s\nstandard error: %s", out, line)
			}
		})
	}
}
