package module_test

import (
	"strings"
	"testing"
)

// Both protocols work, and the twin reports the one in use.
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

// The environment's proxy is the only route to a hub without a gateway: there is no
// direct fallback when the proxy is down.
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
