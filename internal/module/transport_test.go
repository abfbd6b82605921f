package module_test

import (
	"strings"
	"testing"
)

// The module is reached by either protocol, and its twin says by which.
func TestProtocol_isReported(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"mqtt", "mqttws"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.env["RTSPTUNNEL_PROTOCOL"], s.env["RTSPTUNNEL_HUB_WS_ADDRESS"] = protocol, s.HTTPSAddr()
			s.run(t)
			s.serves(t)
			s.desire(t, map[string]any{})
			if r, text := s.report(t); r.Hub.Protocol != protocol {
				t.Errorf("reported %s", text)
			}
			if !strings.Contains(s.log.String(), "protocol="+protocol) {
				t.Errorf("the log:\n%s", s.log)
			}
		})
	}
}

// A proxy of the environment is the way to a hub without gateway: one that is down
// keeps the module off it.
func TestProxy_ofTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.outside(t, false)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	s.env["https_proxy"] = "http://site:canary@127.0.0.1:1"
	delete(s.env, "RTSPTUNNEL_HUB_ADDRESS")
	s.run(t)
	s.log.Await(t, `"reason":"PROXY_DOWN"`, 2)
	if log := s.log.String(); !strings.Contains(log, `"protocol":"mqttws"`) || strings.Contains(log, "canary") {
		t.Errorf("the log:\n%s", log)
	}
}
