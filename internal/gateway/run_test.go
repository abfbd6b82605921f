package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// The drain ends viewers, says so in /readyz, and leaves nothing (TestMain).
func TestRun_drains(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"' } }\n")
	ended := make(chan error, 1)
	go func() {
		_, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1_000_000)
		ended <- err
	}()
	r.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream opened")
	begun := time.Now()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("the drain took %v", took)
	}
	if err := <-ended; err == nil {
		t.Error("the viewer was not ended")
	}
	if n := r.log.CountFields(t, "message=stream closed", "reason=SHUTTING_DOWN"); n != 1 {
		t.Errorf("%d streams were closed before the end", n)
	}
	r.log.AwaitFields(t, 1, "message=drained")
	if !regexp.MustCompile(`"time":"[^"]*:\d\d\.\d{3}Z"`).MatchString(r.log.String()) {
		t.Error("times in the log have no milliseconds")
	}
}

// A camera with keepOpen has a session without viewers, also after it was unreachable.
func TestRun_keepsOpen(t *testing.T) {
	address := porttest.Reserve(t)
	r := start(t, "cameras: { lab/front: { url: 'rtsp://"+address+"/front', keepOpen: true } }\n")
	r.log.AwaitFields(t, 1, "stream=lab/front/main", "reason=CAM_REFUSED")
	camera := startCamera(t, rtsptest.Options{Address: address})
	r.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream opened")
	if n := camera.Sessions(); n != 1 {
		t.Errorf("the camera has %d sessions", n)
	}
}

// Without a token in the file, one is made at the first start, and shown once.
func TestRun_generatesAToken(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	text := "listen: { public: [{ address: '127.0.0.1:0' }], rtsp: { address: '127.0.0.1:0' }, private: { address: '127.0.0.1:0' } }\n" +
		"data: data\nlog: { format: json }\ncameras: { lab/front: { url: '" + camera.URL() + "' } }\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	first := &running{log: logtest.New(), notice: logtest.New(), file: file}
	first.run(t)
	token := regexp.MustCompile(`rtt_[A-Za-z0-9_-]+`).FindString(first.notice.String())
	if token == "" {
		t.Fatalf("no token in %s", first.notice)
	}
	if strings.Contains(first.log.String(), token) {
		t.Error("the log has the token")
	}
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	second := &running{log: logtest.New(), notice: logtest.New(), file: file}
	second.run(t)
	if second.notice.String() != "" {
		t.Errorf("the second start shows %s", second.notice)
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), second.url(t, "lab/front", "admin", token), 1); err != nil {
		t.Error(err)
	}
}

// Configured cameras cost no goroutine.
func TestRun_manyCameras(t *testing.T) {
	var sections strings.Builder
	sections.WriteString("cameras:\n")
	const many = 10_000
	for i := range many {
		fmt.Fprintf(&sections, "  site%d/cam%d: { url: 'rtsp://10.0.0.1/%d' }\n", i/8, i, i)
	}
	before := runtime.NumGoroutine()
	r := start(t, sections.String())
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, "\ntunnelgateway_cameras 10000\n") {
		t.Error("the cameras are not there")
	}
	if n := runtime.NumGoroutine() - before; n > 50 {
		t.Errorf("%d goroutines", n)
	}
}

func TestRun_doesNotStart(t *testing.T) {
	r := start(t, "")
	taken := r.address(t, "rtsp")
	for name, c := range map[string]struct{ text, want string }{
		"data folder": {"data: " + filepath.Join(r.dir, "data") + "\n", "is in use by another gateway"},
		"port":        {"data: other\nlisten: { private: { address: '127.0.0.1:0' }, rtsp: { address: '" + taken + "' }, public: [{ address: '127.0.0.1:0' }] }\n", "listen.rtsp: listen tcp " + taken},
		"certificate": {"data: third\nlisten: { private: { address: '127.0.0.1:0' }, public: [{ address: '127.0.0.1:0', cert: none, key: none }] }\n", "none"},
		"hub":         {"data: fourth\npublicURL: https://gw.test\nhubs: { main: { connectionStringFile: secret } }\n", "hubs.main: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"f": c.text, "secret": "HostName=;SharedAccessKey=canary"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log := logtest.New()
			err := gateway.Run(context.Background(), gateway.Options{Source: config.NewSource(config.Options{File: filepath.Join(dir, "f")}), Log: log, Notice: log})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// The scrape passes Prometheus' own linter, and changes with what happens.
func TestMetrics(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"' }, lab/none: { url: 'rtsp://"+porttest.Reserve(t)+"/' } }\n")
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 30); err != nil {
		t.Fatal(err)
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/none", "wall", r.wall), 1); err == nil {
		t.Fatal("a camera that does not exist was pulled")
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.admin), 1); err == nil {
		t.Fatal("a wrong token was accepted")
	}
	r.log.AwaitFields(t, 1, "message=stream opened") // are counted before
	r.log.AwaitFields(t, 1, "message=stream not opened")
	if answer, err := http.Get("http://" + r.address(t, "public") + "/api/cameras"); err != nil { // without a token
		t.Fatal(err)
	} else {
		answer.Body.Close()
	}
	_, body := r.get(t, "/metrics")
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		`tunnelgateway_stream_opens_total{hop="",reason="",result="ok"} 1`,
		`tunnelgateway_stream_opens_total{hop="camera",reason="CAM_REFUSED",result="failed"} 1`,
		`tunnelgateway_stream_open_seconds_count{phase="rtsp"} 1`,
		`tunnelgateway_reader_first_unit_seconds_count{output="rtsp"} 1`,
		`tunnelgateway_access_denied_total{kind="rtsp",reason="ACCESS_LOGIN"} 1`,
		`tunnelgateway_login_failures_total 1`,
		`tunnelgateway_cameras 2`, `tunnelgateway_camera_ingress_bytes_total{camera="lab/front/main"} `,
		`tunnelgateway_camera_key_interval_seconds{camera="lab/front/main"} 1`,
		`tunnelgateway_access_denied_total{kind="api",reason="ACCESS_LOGIN"} 1`,
		`go_goroutines `, `process_open_fds `, `tunnelgateway_build_info{`,
	} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no %s", want)
		}
	}
}

// Without metrics.cameras, no camera's name is a label.
func TestMetrics_withoutCameras(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	r := start(t, "metrics: { cameras: false }\ncameras: { lab/front: { url: '"+camera.URL()+"' } }\n")
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1); err != nil {
		t.Fatal(err)
	}
	r.log.AwaitFields(t, 1, "message=stream opened")
	if _, body := r.get(t, "/metrics"); strings.Contains(body, "lab/front") || !strings.Contains(body, "tunnelgateway_stream_ingress_bytes_total ") {
		t.Errorf("the scrape is\n%s", body)
	}
}
