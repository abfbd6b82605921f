package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/gateway/config"
)

func TestLoad_environmentAlone(t *testing.T) {
	c, err := config.Load(config.Options{Environ: []string{
		"TUNNELGATEWAY_HUB_CONNECTION_STRING=" + connection, "TUNNELGATEWAY_PUBLIC_URL=https://gw.test", "TUNNELGATEWAY_TLS_CERT=/c", "TUNNELGATEWAY_TLS_KEY=/k",
		"TUNNELGATEWAY_DATA=/d", "TUNNELGATEWAY_LOG_LEVEL=warn", "TUNNELGATEWAY_LOG_FORMAT=", "PATH=/bin",
		// Kubernetes sets these for a service named tunnelgateway
		"TUNNELGATEWAY_SERVICE_HOST=10.0.0.1", "TUNNELGATEWAY_SERVICE_PORT_HTTPS=443", "TUNNELGATEWAY_PORT=tcp://10.0.0.1:443", "TUNNELGATEWAY_PORT_443_TCP_ADDR=10.0.0.1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]config.Hub{"main": {ConnectionString: connection, Discover: true}}, c.Hubs); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]config.Public{{Address: ":443", Cert: "/c", Key: "/k"}}, c.Listen.Public); d != "" {
		t.Error(d)
	}
	if c.PublicURL != "https://gw.test" || c.Data != "/d" || c.Log != (config.Log{Level: "warn", Format: "auto"}) {
		t.Errorf("got %+v", c)
	}
}

func TestLoad_environmentOverFile(t *testing.T) {
	dir := folder(t, map[string]string{"hub": connection, "f": `
publicURL: https://old.test
hubs: { main: { connectionStringFile: none } }
listen: { public: [{ address: "127.0.0.1:1" }] }
log: { level: debug, format: json }
`})
	c, err := config.Load(config.Options{Environ: []string{
		"TUNNELGATEWAY_CONFIG=" + filepath.Join(dir, "f"), "TUNNELGATEWAY_HUB_CONNECTION_STRING_FILE=" + filepath.Join(dir, "hub"),
		"TUNNELGATEWAY_PUBLIC_URL=https://new.test", "TUNNELGATEWAY_LISTEN_PUBLIC=127.0.0.1:2", "TUNNELGATEWAY_LISTEN_RTSP=127.0.0.1:3",
		"TUNNELGATEWAY_LISTEN_PRIVATE=127.0.0.1:4", "TUNNELGATEWAY_LOG_LEVEL=error",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Hubs["main"]; h.ConnectionString != connection || h.Discover {
		t.Errorf("hub %+v", h)
	}
	got := []string{c.PublicURL, c.Listen.Public[0].Address, c.Listen.RTSP.Address, c.Listen.Private.Address, c.Log.Level, c.Log.Format}
	if d := cmp.Diff([]string{"https://new.test", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4", "error", "json"}, got); d != "" {
		t.Error(d)
	}
}

func TestLoad_environmentFaults(t *testing.T) {
	for name, c := range map[string]struct{ environ, want []string }{
		"nothing": {nil, []string{"TUNNELGATEWAY_HUB_CONNECTION_STRING: is not set, and TUNNELGATEWAY_CONFIG neither: set one of them"}},
		"unknown": {[]string{"TUNNELGATEWAY_PUBLICURL=x"}, []string{"TUNNELGATEWAY_PUBLICURL: is unknown, did you mean TUNNELGATEWAY_PUBLIC_URL?"}},
		"values": {
			[]string{"TUNNELGATEWAY_HUB_CONNECTION_STRING=canary", "TUNNELGATEWAY_PUBLIC_URL=gw.test", "TUNNELGATEWAY_LISTEN_PUBLIC=443", "TUNNELGATEWAY_LOG_LEVEL=loud"},
			[]string{
				"TUNNELGATEWAY_LISTEN_PUBLIC: must be HOST:PORT or :PORT", "TUNNELGATEWAY_LOG_LEVEL: must be one of debug, info, warn, error",
				"TUNNELGATEWAY_PUBLIC_URL: must be an https URL without login, query and fragment",
				"publicURL: is missing: modules open their tunnels to it (TUNNELGATEWAY_PUBLIC_URL sets it, too)",
			},
		},
		"files": {
			[]string{"TUNNELGATEWAY_HUB_CONNECTION_STRING_FILE=/none", "TUNNELGATEWAY_HUB_CA_FILE=/none", "TUNNELGATEWAY_PUBLIC_URL=https://gw.test"},
			[]string{
				"TUNNELGATEWAY_HUB_CA_FILE: names a file that cannot be read: no such file or directory",
				"TUNNELGATEWAY_HUB_CONNECTION_STRING_FILE: names a file that cannot be read: no such file or directory",
			},
		},
		"no TLS": {
			[]string{"TUNNELGATEWAY_HUB_CONNECTION_STRING=canary", "TUNNELGATEWAY_PUBLIC_URL=http://gw.test"},
			[]string{"TUNNELGATEWAY_PUBLIC_URL: must begin with https: modules open tunnels with TLS alone"},
		},
		"no file": {[]string{"TUNNELGATEWAY_CONFIG=/none"}, []string{"/none: cannot be read: no such file or directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Load(config.Options{Environ: c.environ})
			if err == nil {
				t.Fatal("no error")
			}
			if d := cmp.Diff(c.want, strings.Split(err.Error(), "\n")); d != "" {
				t.Error(d)
			}
		})
	}
}

// A variable that the file names may have the gateway's prefix.
func TestLoad_referencedVariable(t *testing.T) {
	dir := folder(t, map[string]string{"f": "credentials: { a: { username: x, passwordFile: 'env:TUNNELGATEWAY_SITE_PASSWORD' } }"})
	c, err := config.Load(config.Options{File: filepath.Join(dir, "f"), Environ: []string{"TUNNELGATEWAY_SITE_PASSWORD=p"}})
	if err != nil || c.Credentials["a"].Password != "p" {
		t.Errorf("%+v, %v", c, err)
	}
}
