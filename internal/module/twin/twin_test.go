package twin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/twin"
)

func parse(t *testing.T, doc string) twin.Twin {
	t.Helper()
	tw, err := twin.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return tw
}

// desired returns a whole twin with these desired properties, version 7.
func desired(members string) string {
	if members != "" {
		members += ","
	}
	return `{"desired":{` + members + `"$version":7,"$metadata":{"$lastUpdated":"x"}},"reported":{"$version":1}}`
}

func cameras(members string) string { return desired(`"cameras":` + members) }

var (
	front = newCamera("front", "10.0.0.21", 554, 8554)
	yard  = newCamera("yard", "yard.local", 10554, 10554)
)

func newCamera(name, host string, port, localPort int) camera.Camera {
	return camera.Camera{Name: name, Host: host, Port: port, LocalPort: localPort, MaxTunnels: 4, Enabled: true}
}

// lastGood returns a configuration without default values.
func lastGood() *twin.Settings {
	return &twin.Settings{
		Version: 3, Cameras: []camera.Camera{front},
		Remotes: twin.Remotes{Patterns: map[string]string{"ours": "gw.example.com"}},
		Tunnels: twin.Tunnels{
			Enabled: true, Max: 9, CameraTimeout: time.Second, RemoteTimeout: 2 * time.Second, OpenTimeout: 4 * time.Second,
			Ping: 7 * time.Second, IdleTimeout: time.Minute, StallTimeout: time.Hour, MaxAge: 2 * time.Hour, MaxBitsPerSecond: 1000,
		},
		Health:    twin.Health{Interval: 90 * time.Second, ProbeBeforeOpen: true},
		Proxy:     twin.Proxy{URL: "http://proxy.site:3128", NoProxy: ".local"},
		Telemetry: twin.Telemetry{Interval: 61 * time.Second},
		Log:       twin.Log{Level: "debug"},
	}
}

func TestDefaults(t *testing.T) {
	want := twin.Settings{
		Remotes: twin.Remotes{Any: true},
		Tunnels: twin.Tunnels{
			Enabled: true, Max: 64, CameraTimeout: 5 * time.Second, RemoteTimeout: 10 * time.Second, OpenTimeout: 20 * time.Second,
			Ping: 20 * time.Second, StallTimeout: 60 * time.Second,
		},
		Health:    twin.Health{Enabled: true, Interval: 60 * time.Second},
		Telemetry: twin.Telemetry{Enabled: true, Interval: 900 * time.Second},
		Log:       twin.Log{Level: "info"},
	}
	if d := cmp.Diff(want, twin.Defaults()); d != "" {
		t.Error(d)
	}
}

func TestApply_all(t *testing.T) {
	got, out := parse(t, desired(`
		"cameras": {
			"yard":  {"host":"yard.local","port":10554},
			"front": {"host":"10.0.0.21","localPort":8554,"maxTunnels":2,"enabled":false,"maxBitsPerSecond":5000000,"expectedOffline":true},
			"$metadata": {}},
		"remoteEndpoints": {"ours":"*.example.com","lab":"gw.example.com:8443","six":"[2001:db8::1]:443"},
		"tunnels": {"enabled":false,"max":1,"cameraTimeoutSeconds":2,"remoteTimeoutSeconds":3,"openTimeoutSeconds":5,"pingSeconds":300,
			"idleTimeoutSeconds":1,"stallTimeoutSeconds":2,"maxAgeSeconds":3,"maxBitsPerSecond":4},
		"health": {"enabled":false,"intervalSeconds":30,"probeBeforeOpen":true},
		"proxy": {"url":"https://proxy:3128","noProxy":"10.0.0.0/8, .local"},
		"telemetry": {"enabled":false,"intervalSeconds":60}, "log": {"level":"verbose"},
		"edgeService": {"whatever": [1]}`)).Apply(nil)
	off := front
	off.MaxTunnels, off.Enabled, off.MaxBitsPerSecond, off.ExpectedOffline = 2, false, 5000000, true
	want := twin.Settings{
		Version: 7, Cameras: []camera.Camera{off, yard},
		Remotes: twin.Remotes{Patterns: map[string]string{"ours": "*.example.com", "lab": "gw.example.com:8443", "six": "[2001:db8::1]:443"}},
		Tunnels: twin.Tunnels{
			Max: 1, CameraTimeout: 2 * time.Second, RemoteTimeout: 3 * time.Second, OpenTimeout: 5 * time.Second, Ping: 300 * time.Second,
			IdleTimeout: time.Second, StallTimeout: 2 * time.Second, MaxAge: 3 * time.Second, MaxBitsPerSecond: 4,
		},
		Health:    twin.Health{Interval: 30 * time.Second, ProbeBeforeOpen: true},
		Proxy:     twin.Proxy{URL: "https://proxy:3128", NoProxy: "10.0.0.0/8, .local"},
		Telemetry: twin.Telemetry{Interval: 60 * time.Second},
		Log:       twin.Log{Level: "verbose"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	wantOut := twin.Outcome{
		Version:  7,
		Sections: []string{"cameras", "remoteEndpoints", "tunnels", "health", "proxy", "telemetry", "log"},
		NotYet: []string{
			"cameras/*/expectedOffline",
			"health/enabled", "health/intervalSeconds", "health/probeBeforeOpen", "telemetry/enabled", "telemetry/intervalSeconds", "edgeService",
		},
	}
	if d := cmp.Diff(wantOut, out, cmpopts.IgnoreUnexported(twin.Outcome{})); d != "" {
		t.Error(d)
	}
}

// Every property of the schema has a field in Settings and survives a round trip.
func TestSection_roundTrip(t *testing.T) {
	for _, compact := range []bool{false, true} {
		doc := map[string]any{"$version": 3}
		for _, name := range []string{"cameras", "remoteEndpoints", "tunnels", "health", "proxy", "telemetry", "log"} {
			doc[name] = lastGood().Section(name, compact)
		}
		b, err := json.Marshal(map[string]any{"desired": doc})
		if err != nil {
			t.Fatal(err)
		}
		got, out := parse(t, string(b)).Apply(nil)
		if d := cmp.Diff(*lastGood(), got); d != "" || len(out.Faults)+len(out.Warnings)+len(out.UnknownKeys) > 0 {
			t.Errorf("compact %v: %s\n%+v", compact, d, out)
		}
	}
	if got := twin.Defaults().Section("tunnels", true); len(got) > 0 {
		t.Errorf("compact defaults: %v", got)
	}
	full := lastGood().Section("cameras", false)["front"]
	if d := cmp.Diff(map[string]any{
		"host": "10.0.0.21", "port": int64(554), "localPort": int64(8554), "maxTunnels": int64(4), "enabled": true,
		"maxBitsPerSecond": int64(0), "expectedOffline": false,
	}, full); d != "" {
		t.Error(d)
	}
}
