package module_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module"
	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/twin"
	"rtsptunnel/internal/testkit/porttest"
)

// proxyTo is a site's proxy that connects to one address for every request. logins has
// the Proxy-Authorization of each request.
func proxyTo(t *testing.T, address string) (ln net.Listener, logins <-chan string) {
	t.Helper()
	sent := make(chan string, 8)
	ln = serve(t, func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		sent <- request.Header.Get("Proxy-Authorization")
		far, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		join(c, far)
	})
	return ln, sent
}

// The twin's proxy is the only route to remote endpoints. Its login comes from the
// environment, and is in no log and no report.
func TestProxy_ofTheTwin(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.env["RTSPTUNNEL_PROXY_USERNAME"], s.env["RTSPTUNNEL_PROXY_PASSWORD"] = "site", canary
	p, logins := proxyTo(t, r.Listener.Addr().String())
	s.env["RTSPTUNNEL_PROXY_HOST"] = p.Addr().String()
	s.run(t)
	endpoint := "wss://gw.example/"
	s.apply(t, map[string]any{
		"cameras": map[string]any{"front": at(cam, 554)}, "proxy": map[string]any{"url": "http://" + p.Addr().String()},
	})
	if status, body := s.invoke(t, "tunnelOpen", payload(endpoint, "tok", 554)); status != 200 {
		t.Fatalf("answer %d %v; the log:\n%s", status, body, s.log)
	}
	far := <-r.tunnels
	defer far.Close()
	far.isOpen(t)
	if login := <-logins; !strings.HasPrefix(login, "Basic ") {
		t.Errorf("the proxy got the login %q", login)
	}
	version := s.patch(t, map[string]any{"proxy": map[string]any{"url": "http://u:" + canary + "@" + p.Addr().String()}})
	got, text := s.reported(t, applied(version))
	if got.Proxy.AC != 400 || got.Config.Rejected != version || len(got.Config.Errors) != 1 || got.Config.Errors[0].Code != "CFG_PROXY" {
		t.Errorf("reported: %s", text)
	}
	if e := got.EffectiveProxy; e == nil || e.Origin != "twin" || e.Host != p.Addr().String() || !e.Auth {
		t.Errorf("the proxy in use is reported as %+v", e)
	}
	if all := text + s.log.String(); strings.Contains(all, canary) {
		t.Errorf("the login is in:\n%s", all)
	}
	s.apply(t, map[string]any{"proxy": map[string]any{"url": "http://" + porttest.Reserve(t)}})
	s.refused(t, endpoint, 554, 502, endpoint, "Proxy refused the connection")
	s.log.Await(t, "reason=PROXY_DOWN", 1)
	s.apply(t, map[string]any{"proxy": map[string]any{"noProxy": "gw.example"}}) // the name has no address
	s.refused(t, endpoint, 554, 502, endpoint, "Could not connect to remote endpoint")
	if len(r.tunnels) != 0 {
		t.Error("the remote endpoint was reached past the proxy")
	}
}

// A proxy that only the twin names is sent no login of another host. The log says so.
func TestProxy_ofTheTwinGetsNoLoginOfAnother(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.env["RTSPTUNNEL_PROXY_USERNAME"], s.env["RTSPTUNNEL_PROXY_PASSWORD"] = "site", canary
	s.env["RTSPTUNNEL_PROXY_HOST"] = "proxy.site.example"
	s.run(t)
	p, logins := proxyTo(t, r.Listener.Addr().String())
	version := s.patch(t, map[string]any{
		"cameras": map[string]any{"front": at(cam, 554)}, "proxy": map[string]any{"url": "http://" + p.Addr().String()},
	})
	got, _ := s.reported(t, applied(version))
	if e := got.EffectiveProxy; e == nil || e.Host != p.Addr().String() || e.Auth {
		t.Errorf("the proxy in use is reported as %+v", e)
	}
	if status, body := s.invoke(t, "tunnelOpen", payload("wss://gw.example/", "tok", 554)); status != 200 {
		t.Fatalf("answer %d %v; the log:\n%s", status, body, s.log)
	}
	far := <-r.tunnels
	defer far.Close()
	if login := <-logins; login != "" {
		t.Errorf("the proxy got the login %q", login)
	}
	s.log.Await(t, "the twin's proxy is sent no login", 1)
	if strings.Contains(s.log.String(), canary) {
		t.Errorf("the login is in:\n%s", s.log)
	}
}

// The environment's parser accepts every proxy that package twin accepts.
func TestProxy_twinAndEnvironmentAgree(t *testing.T) {
	t.Setenv("IotHubConnectionString", "HostName=h;DeviceId=d;SharedAccessKey=a2V5")
	cfg, err := config.Read()
	if err != nil {
		t.Fatal(err)
	}
	p := module.NewRemotePolicy(cfg)
	taken := 0
	for _, host := range []string{"h", "h.", "...", "-", "_", "1.2.3.4", "1.2.3.4.5", "0", "[::1]", "[::]", "[1.2.3.4]", "[:::::]", "[fe80::1]", "[::ffff:1.2.3.4]", "h%41", strings.Repeat("a", 253)} {
		for _, port := range []string{"", ":", ":0", ":00080", ":1", ":65535", ":65536", ":99999", ":3128"} {
			for _, format := range []string{"http://%s%s", "https://%s%s", "http://%s%s/", "HTTP://%s%s", "socks5://%s%s", "%s%s"} {
				url := fmt.Sprintf(format, host, port)
				doc, _ := json.Marshal(map[string]any{"desired": map[string]any{"$version": 1, "proxy": map[string]any{"url": url}}})
				_, o, err := twin.Check(doc)
				if err != nil {
					t.Fatal(err)
				}
				if len(o.Faults) > 0 {
					continue
				}
				taken++
				if _, err := p.SetProxy(url, ""); err != nil {
					t.Errorf("%s: the twin takes it, and %v", url, err)
				}
			}
		}
	}
	if taken < 50 {
		t.Errorf("the twin takes %d of them", taken)
	}
}

// The log level is the twin's, which can change at any time, or else the environment's.
func TestLog_levelIsTheTwins(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["RuntimeLogLevel"] = "warning"
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	s.readsUntil(t, func() {
		running.Go(func() {
			if err := module.RunAt(ctx, s.log, s.log, s.times); err != nil {
				t.Error(err)
			}
		})
	}, func() { s.reported(t, applied(1)) }) // its first line is below that level
	lines := func(level string) int { return strings.Count(s.log.String(), "["+level+"] -") }
	level := func(desired any) string {
		got, _ := s.reported(t, applied(s.patch(t, map[string]any{"log": desired})))
		return got.Log.Value.Level
	}
	if n := lines("INF") + lines("DBG"); n != 0 {
		t.Errorf("%d lines below the environment's level:\n%s", n, s.log)
	}
	if got := level(map[string]any{"level": "debug"}); got != "debug" || lines("INF") == 0 {
		t.Errorf("level %s; the log:\n%s", got, s.log)
	}
	s.invoke(t, "reboot", `{}`)
	s.log.Await(t, "method=reboot", 1)
	if got := level(map[string]any{"level": "loud"}); got != "debug" {
		t.Errorf("with a fault the level is %s", got)
	}
	if got := level(map[string]any{"level": "error"}); got != "error" {
		t.Errorf("level %s", got)
	}
	before := s.log.String()
	s.invoke(t, "reboot", `{}`)
	if after := s.log.String(); strings.Contains(strings.TrimPrefix(after, before), "direct method") {
		t.Errorf("the log:\n%s", strings.TrimPrefix(after, before))
	}
	if got := level(map[string]any{"level": nil, "x": 1}); got != "warning" {
		t.Errorf("without a level in the twin it is %s", got)
	}
	s.invoke(t, "reboot", `{}`)
	s.log.Await(t, "reason=METHOD_UNKNOWN", 2)
}

// Layers set and delete single properties, and can have keys that this version does not
// know. Rejected properties do not keep a version from being applied.
func TestTwin_leafByLeaf(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	s.patch(t, map[string]any{"cameras": map[string]any{"front": map[string]any{"host": "10.0.0.1", "port": 8554, "localPort": 1}}})
	s.patch(t, map[string]any{"cameras": map[string]any{"front": map[string]any{"localPort": nil}}, "edgeService": map[string]any{"x": 1}})
	version := s.patch(t, map[string]any{
		"cameras": map[string]any{
			"front": map[string]any{"maxTunnels": "7", "color": "secretcolor", "streams": map[string]any{"main": map[string]any{"path": "/secretpath"}}},
			"yard":  map[string]any{"host": "10.0.0.2", "port": 99999},
		},
		"tunnels": map[string]any{"maxAgeSeconds": 30}, "telemetry": map[string]any{"intervalSeconds": 90}, "future": "secretfuture",
	})
	got, text := s.reported(t, applied(version))
	if d := cmp.Diff(map[string]camera{"front": {"10.0.0.1", 8554, 8554, 7}}, got.Cameras.Value); d != "" {
		t.Error(d)
	}
	if got.Cameras.Code != 400 || got.Cameras.Version != version || !strings.Contains(got.Cameras.Description, "cameras/yard/port") {
		t.Errorf("acknowledged: %+v", got.Cameras)
	}
	if !strings.Contains(text, `"streams":["main"]`) {
		t.Errorf("the names of streams are not acknowledged: %s", text)
	}
	if d := cmp.Diff([]string{"cameras/front/color", "future"}, got.Config.UnknownKeys); d != "" || strings.Contains(text+s.log.String(), "secret") {
		t.Errorf("unknown keys: %s in %s\n%s", d, text, s.log)
	}
	if d := cmp.Diff([]string{"telemetry/intervalSeconds", "edgeService"}, got.Config.NotYet); d != "" {
		t.Error(d)
	}
	if got.Config.Rejected != version || got.State != "degraded" || !cmp.Equal(got.Reasons, []string{"CFG_RANGE"}) || got.CameraStatus["front"].LocalPort != 8554 {
		t.Errorf("reported: %s", text)
	}
	version = s.patch(t, map[string]any{"cameras": nil, "tunnels": nil, "telemetry": nil, "future": nil, "edgeService": nil})
	got, text = s.reported(t, applied(version))
	if got.Config.Rejected != 0 || got.State != "healthy" || got.CameraStatus != nil || got.Config.UnknownKeys != nil || strings.Contains(text, `"cameras"`) || strings.Contains(text, `"tunnels"`) {
		t.Errorf("reported: %s", text)
	}
}

// A camera's state is the outcome of the last dial. A change of it, and of tunnels, is
// reported without a new twin.
func TestReported_camerasAndTotals(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	version := s.patch(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554), "gone": atAddress(t, porttest.Reserve(t), 1554)}})
	if got, _ := s.reported(t, applied(version)); got.CameraStatus["front"].State != "" || got.CameraStatus["gone"].LocalPort != 1554 {
		t.Errorf("before the first dial: %+v", got.CameraStatus)
	}
	far := s.open(t, r, 554)
	s.refused(t, r.endpoint(), 1554, 400, "127.0.0.1:1554", "Could not connect to RTSP endpoint")
	got, text := s.reported(t, func(r report) bool { return r.CameraStatus["front"].Open == 1 && r.CameraStatus["gone"].State != "" })
	if front, gone := got.CameraStatus["front"], got.CameraStatus["gone"]; front.State != "ok" || front.Since.IsZero() || gone.State != "unreachable" || gone.LastReason != "CAM_REFUSED" {
		t.Errorf("reported: %s", text)
	}
	if got.Totals.Opened != 1 || got.Totals.Failed != 1 {
		t.Errorf("totals: %+v", got.Totals)
	}
	far.Close()
	s.reported(t, func(r report) bool { return r.CameraStatus["front"].Open == 0 })
	version = s.patch(t, map[string]any{"cameras": map[string]any{"gone": at(cam, 1554)}})
	if got, _ := s.reported(t, applied(version)); got.CameraStatus["gone"].State != "" {
		t.Errorf("before the first dial at the new address: %+v", got.CameraStatus)
	}
}

// A change of nothing but counters is reported every 15 minutes, and no change never.
func TestReports_areFew(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name                            string
		tunnels                         int
		states, opened, failed, bytesUp int64
		after                           time.Duration
		want                            bool
	}{
		{"nothing", 0, 0, 0, 0, 0, time.Hour, false},
		{"a tunnel", 1, 0, 1, 0, 0, 10 * time.Second, true},
		{"a tunnel, too soon", 1, 0, 1, 0, 0, 9 * time.Second, false},
		{"one for another", 0, 0, 1, 0, 0, 10 * time.Second, true},
		{"a camera's state", 0, 1, 0, 0, 0, 10 * time.Second, true},
		{"counters", 0, 0, 0, 1, 1, 10 * time.Minute, false},
		{"counters, late", 0, 0, 0, 1, 1, 15 * time.Minute, true},
	} {
		if got := module.ReportDue(at, at.Add(c.after), c.tunnels, c.states, c.opened, c.failed, c.bytesUp); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	totals := map[string]any{"opened": 1.}
	for _, c := range []struct {
		patch map[string]any
		want  bool
	}{{map[string]any{"totals": totals}, false}, {map[string]any{"totals": totals, "state": "healthy"}, true}, {map[string]any{"config": map[string]any{}}, true}} {
		if got := module.IsReported(at, at.Add(14*time.Minute), c.patch); got != c.want {
			t.Errorf("%v: reported %t", c.patch, got)
		}
	}
	if !module.IsReported(at, at.Add(15*time.Minute), map[string]any{"totals": totals}) {
		t.Error("counters are not reported after 15 minutes")
	}
}

// earlier is an earlier version of the module, which reported other keys.
type earlier chan struct{}

func (e earlier) Method(_ context.Context, name string, _ []byte) func() (int, []byte) {
	return func() (int, []byte) { return e.Busy(name) }
}

func (earlier) Busy(string) (int, []byte) { return 404, []byte(`{}`) }

func (e earlier) Twin([]byte, hublink.Connection) []byte {
	return []byte(`{"oldKey":{"a":{"b":1}},"config":{"old":7,"rejected":0},"cameraStatus":{"gone":{"open":3}},"state":"old","cameras":{"value":{"gone":{}},"ac":200}}`)
}

// Keys that an earlier version has reported are deleted.
func TestReported_deletesOldKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hub, err := hublink.New(hublink.Options{
		Conn: hubconn.Options{Identity: hubconn.Identity{
			HubHost: s.env["IOTEDGE_IOTHUBHOSTNAME"], GatewayHost: s.env["IOTEDGE_GATEWAYHOSTNAME"], DeviceID: s.ID.Device, ModuleID: s.ID.Module,
			Auth: hubconn.Workload{URI: s.WorkloadURI(), GenerationID: s.Generation},
		}},
		Address: s.MQTTAddr(), Handler: make(earlier),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { hub.Run(ctx) })
	defer func() { cancel(); running.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		tw, err := s.Client.Twin(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(tw.Properties.Reported), "oldKey") {
			break
		}
		<-tick.C
	}
	cancel()
	running.Wait()

	cameras := map[string]any{}
	for n := range 32 {
		cameras[fmt.Sprintf("camera-%02d", n)] = map[string]any{"host": fmt.Sprintf("10.0.0.%d", n), "localPort": 8000 + n}
	}
	version := s.patch(t, map[string]any{"cameras": cameras})
	s.run(t)
	got, text := s.reported(t, applied(version))
	for _, old := range []string{"oldKey", "gone", `"old"`} {
		if strings.Contains(text, old) {
			t.Errorf("%s is still in %s", old, text)
		}
	}
	var sections map[string]any
	if err := json.Unmarshal([]byte(text), &sections); err != nil {
		t.Fatal(err)
	}
	delete(sections, "$metadata")
	if small, _ := json.Marshal(sections); len(small) > 8<<10 || len(got.CameraStatus) != 32 || got.State != "healthy" || sections["truncated"] != nil {
		t.Errorf("%d bytes: %s", len(small), small)
	}
}
