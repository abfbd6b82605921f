package module_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/logtest"
)

// flood returns a camera that sends without end. stalled is closed when a write blocks for
// a second.
func flood(t *testing.T) (ln net.Listener, stalled <-chan struct{}) {
	t.Helper()
	blocked := make(chan struct{})
	once := sync.OnceFunc(func() { close(blocked) })
	return serve(t, func(c net.Conn) {
		for {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
				once()
			}
		}
	}), blocked
}

// tunnels.enabled=false ends all tunnels within 2 s, also one whose remote end takes no
// bytes, and refuses new ones. A restart does not change that.
func TestSwitch_endsAllAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	loud, stalled := flood(t)
	s.trust(t, r.ca.CertPEM())
	stop := s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554), "loud": at(loud, 1554)}})
	var tunnels []tunnel
	for range 16 {
		tunnels = append(tunnels, s.open(t, r, 554))
	}
	s.open(t, r, 1554) // its far end reads nothing
	<-stalled

	off := map[string]any{"tunnels": map[string]any{"enabled": false}}
	s.apply(t, off)
	begin := time.Now()
	for _, far := range tunnels {
		far.isForbidden(t, reason.Disabled)
	}
	s.log.Await(t, closedBy, 17)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the tunnels closed %s after the switch", took)
	}
	log := s.log.String()
	if n := strings.Count(log, "closedBy=module"); n != 17 || !regexp.MustCompile(`tunnel closed .*camera=loud.* reset=true`).MatchString(log) {
		t.Errorf("%d closing records; the log:\n%s", n, log)
	}
	if n := len(regexp.MustCompile(`tunnel closed .*reason=DISABLED`).FindAllString(log, -1)); n != 17 {
		t.Errorf("%d closing records have the reason:\n%s", n, log)
	}
	s.refused(t, r.endpoint(), 554, 503, "tunnelOpen", "Tunnels are disabled")
	stop()
	s.run(t)
	s.log.Await(t, "connected to the hub", 2) // before that the hub may still use the old connection
	s.refused(t, r.endpoint(), 554, 503, "tunnelOpen", "Tunnels are disabled")
	s.apply(t, map[string]any{"tunnels": nil})
	s.open(t, r, 554).isOpen(t)
}

// Before the first twin tunnels are disabled, since the twin may disable them.
func TestSwitch_isOffBeforeTheFirstTwin(t *testing.T) {
	status, body := module.MethodBeforeTwin(t, []byte(payload("wss://h/", "tok", 554)), zerolog.New(logtest.New()))
	if status != 503 || !strings.Contains(string(body), "Tunnels are disabled") {
		t.Errorf("response %d %s", status, body)
	}
}

// A tunnel ends if its camera is removed, disabled, or at another address or local port.
// Its remote end gets the reason. Other tunnels stay open.
func TestCameras_endTheirTunnelsAlone(t *testing.T) {
	t.Parallel()
	s, r, cam, elsewhere := newSite(t), newRemote(t), echo(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{
		"stays": at(cam, 1), "cap": at(cam, 2), "gone": at(cam, 3), "moved": at(cam, 4), "port": at(cam, 5), "off": at(cam, 6), "old": at(cam, 7),
	}})
	var tunnels []tunnel
	for port := range 7 {
		tunnels = append(tunnels, s.open(t, r, port+1))
	}
	s.apply(t, map[string]any{"cameras": map[string]any{
		"stays": map[string]any{"streams": map[string]any{"main": map[string]any{"path": "/live"}}},
		"cap":   map[string]any{"maxTunnels": 1, "expectedOffline": true}, "gone": nil, "moved": at(elsewhere, 4),
		"port": map[string]any{"localPort": 15}, "off": map[string]any{"enabled": "false"}, "old": nil, "new": at(cam, 7),
	}})
	why := []reason.Code{"", "", reason.CameraRemoved, reason.CameraChanged, reason.CameraChanged, reason.CameraDisabled, reason.CameraRemoved}
	for i, far := range tunnels {
		if why[i] == "" {
			far.isOpen(t)
			continue
		}
		far.isForbidden(t, why[i])
	}
	s.log.Await(t, closedBy, 5)
	for code, n := range map[reason.Code]int{reason.CameraRemoved: 2, reason.CameraChanged: 2, reason.CameraDisabled: 1} {
		if got := len(regexp.MustCompile(`tunnel closed .*reason=`+string(code)).FindAllString(s.log.String(), -1)); got != n {
			t.Errorf("%s: %d closing records, want %d:\n%s", code, got, n, s.log)
		}
	}
	s.refused(t, r.endpoint(), 2, 429, "127.0.0.1:2", "Too many tunnels")
	for _, port := range []int{3, 5, 6} {
		s.refused(t, r.endpoint(), port, 400, fmt.Sprintf("localhost:%d", port), "Local port is not available")
	}
	for _, port := range []int{4, 7, 15} {
		s.open(t, r, port).isOpen(t)
	}
}

// A change of the allowed endpoints in the twin also holds for open tunnels.
func TestRemotes_areTheTwins(t *testing.T) {
	t.Parallel()
	s, r, other, cam := newSite(t), newRemote(t), newRemote(t), echo(t)
	s.trust(t, append(r.ca.CertPEM(), other.ca.CertPEM()...))
	s.run(t)
	host := func(r *remote) string { return r.Listener.Addr().String() }
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	first, second := s.open(t, r, 554), s.open(t, other, 554)
	s.apply(t, map[string]any{"remoteEndpoints": map[string]any{"a": host(r)}})
	second.isForbidden(t, reason.PolicyRemote)
	first.isOpen(t)
	s.refused(t, other.endpoint(), 554, 403, other.endpoint(), "Remote endpoint is not allowed")
	s.log.Await(t, closedBy+"policy", 1)

	version := s.patch(t, map[string]any{"remoteEndpoints": map[string]any{"b": "ends.in.a.number.1"}})
	got, _ := s.reported(t, applied(version))
	if got.RemoteEndpoints.AC != 400 || got.Policy != "list" || len(got.Config.Errors) != 1 || got.Config.Errors[0].Path != "remoteEndpoints/b" {
		t.Errorf("reported: %+v", got)
	}
	first.isOpen(t)
	s.refused(t, other.endpoint(), 554, 403, other.endpoint(), "Remote endpoint is not allowed")

	s.apply(t, map[string]any{"remoteEndpoints": map[string]any{"b": host(other), "a": nil}})
	first.isForbidden(t, reason.PolicyRemote)
	s.open(t, other, 554).isOpen(t)
	s.apply(t, map[string]any{"remoteEndpoints": nil})
	s.open(t, r, 554).isOpen(t)
}

// A change of the limits in the twin holds for new tunnels.
func TestLimits_areTheTwins(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{
		"cameras": map[string]any{"front": at(cam, 554), "silent": silent(t, 1554)},
		"tunnels": map[string]any{"max": "2", "cameraTimeoutSeconds": 1},
	})
	first := s.open(t, r, 554)
	s.open(t, r, 554)
	s.refused(t, r.endpoint(), 554, 429, "127.0.0.1:554", "Too many tunnels")
	s.log.Await(t, "reason=LIMIT_TUNNELS", 1)
	s.apply(t, map[string]any{"tunnels": map[string]any{"max": 3}})
	s.open(t, r, 554)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": map[string]any{"maxTunnels": 1}}, "tunnels": map[string]any{"max": 9}})
	s.refused(t, r.endpoint(), 554, 429, "127.0.0.1:554", "Too many tunnels")
	s.log.Await(t, "reason=CAM_BUSY", 1)
	first.isOpen(t) // a lower limit ends no tunnel
	begin := time.Now()
	s.refused(t, r.endpoint(), 1554, 400, "127.0.0.1:1554", "Could not connect to RTSP endpoint")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("with a camera timeout of 1 s it took %s", took)
	}
}

// Of many calls at once the limit succeeds. The camera gets no more connections.
func TestLimits_manyAtOnce(t *testing.T) {
	t.Parallel()
	const calls, most = 200, 16
	s, r := newSite(t), newRemote(t)
	cam, accepted := counting(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.apply(t, map[string]any{
		"cameras": map[string]any{"front": map[string]any{"host": "127.0.0.1", "port": at(cam, 0).Port, "localPort": 554, "maxTunnels": 10000}},
		"tunnels": map[string]any{"max": most},
	})
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	var far []tunnel
	for range calls {
		all.Go(func() {
			status, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{
				Name: "tunnelOpen", Payload: []byte(payload(r.endpoint(), "tok", 554)), ConnectTimeout: 20 * time.Second, ResponseTimeout: 2 * time.Minute,
			})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			answers[status]++
		})
	}
	all.Wait()
	for range answers[200] {
		far = append(far, <-r.tunnels)
	}
	for _, f := range far {
		f.isOpen(t) // by now the camera has accepted the connection
	}
	if answers[200] != most || answers[429] != calls-most || accepted() != most {
		t.Errorf("responses %v, the camera accepted %d connections", answers, accepted())
	}
	for _, f := range far {
		f.Close()
	}
	s.log.Await(t, closedBy, most)
	s.open(t, r, 554).isOpen(t)
}

// counting returns an echoing camera that counts the connections that it accepts.
func counting(t *testing.T) (ln net.Listener, accepted func() int) {
	t.Helper()
	f := newSwitchable(t, echo(t).Addr().String())
	f.set(true)
	return f, f.accepted
}

// With the lab switch an endpoint can be without TLS.
func TestTunnelOpen_plaintextInALab(t *testing.T) {
	t.Parallel()
	s, cam := newSite(t), echo(t)
	r := &remote{tunnels: make(chan tunnel, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.ServeHTTP))
	t.Cleanup(r.Close)
	s.env["RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE"], s.env["RTSPTUNNEL_ALLOW_PLAINTEXT_REMOTE"] = "true", "true"
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	if status, body := s.invoke(t, "tunnelOpen", payload("ws"+strings.TrimPrefix(r.URL, "http")+"/", "tok", 554)); status != 200 {
		t.Fatalf("response %d %v", status, body)
	}
	far := <-r.tunnels
	defer far.Close()
	far.isOpen(t)
}

// A twin that changes all the time does not disturb tunnels, and the last one wins.
func TestTwin_flapping(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	const read = 100 * time.Millisecond // least time between two reads of the twin
	s.times.ReportPace = 10 * read
	s.run(t)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	far := s.open(t, r, 554)
	begin := time.Now()
	before := strings.Count(s.log.String(), "twin applied")
	tick := time.NewTicker(read / 10)
	defer tick.Stop()
	for n := range 50 {
		s.patch(t, map[string]any{
			"cameras": map[string]any{"front": map[string]any{"maxTunnels": n + 2}, "yard": map[string]any{"host": "127.0.0.1", "port": n + 1}},
			"tunnels": map[string]any{"max": n + 2},
		})
		far.isOpen(t)
		<-tick.C
	}
	version := s.patch(t, map[string]any{"cameras": map[string]any{"front": map[string]any{"maxTunnels": 1}}})
	s.log.Await(t, fmt.Sprintf("version=%d\n", version), 1)
	if n, most := strings.Count(s.log.String(), "twin applied")-before, int(time.Since(begin)/read)+2; n > most {
		t.Errorf("%d twins were applied in %s", n, time.Since(begin))
	}
	far.isOpen(t)
	s.refused(t, r.endpoint(), 554, 429, "127.0.0.1:554", "Too many tunnels")
	if got, _ := s.reported(t, applied(version)); got.Cameras.Value["front"].MaxTunnels != 1 || got.Cameras.Code != 200 {
		t.Errorf("reported: %+v", got.Cameras)
	}
}
