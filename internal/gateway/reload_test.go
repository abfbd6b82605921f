package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/testkit/rtsptest"
)

// get returns the answer of the private listener.
func (r *running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.address(t, "private")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, request, nil)
}

// do sends a request to a server with a certificate of these authorities.
func do(t *testing.T, request *http.Request, roots *x509.CertPool) (status int, body string) {
	t.Helper()
	response, err := (&http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

// replace writes a new file and makes the gateway read it.
func (r *running) replace(t *testing.T, text string) {
	t.Helper()
	r.write(t, text)
	r.reload <- struct{}{}
}

// An invalid file leaves the last valid one in force and says so; a valid one is in force at
// once, but for what needs a restart.
func TestReload(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	one := "cameras: { lab/front: { url: '" + camera.URL() + "' } }\n"
	r := start(t, one)
	if status, body := r.get(t, "/readyz"); status != http.StatusOK || body != `{"ready":true}`+"\n" {
		t.Errorf("%d %s", status, body)
	}

	r.replace(t, "foo: canary\n")
	r.log.AwaitFields(t, 1, "level=error", "message=configuration is invalid: the last valid one stays in force")
	status, body := r.get(t, "/readyz")
	if status != http.StatusOK || !strings.Contains(body, `"part":"configuration"`) || !strings.Contains(body, "gateway.yaml:1:1: foo: unknown key") {
		t.Errorf("%d %s", status, body)
	}
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, "\ntunnelgateway_config_applied 0\n") {
		t.Error("the metric config_applied is not 0")
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1); err != nil {
		t.Errorf("the last valid configuration is not in force: %v", err)
	}

	text := r.configuration(t, "cameras: { lab/front: { url: '"+camera.URL()+"' }, lab/new: { url: '"+camera.URL()+"' } }\n")
	r.replace(t, strings.Replace(text, "data: data", "data: other", 1))
	r.log.AwaitFields(t, 1, "message=configuration is in force", "cameras=2")
	if status, body := r.get(t, "/readyz"); status != http.StatusOK || !strings.Contains(body, "changes of data are in force after a restart") || strings.Contains(body, "invalid") {
		t.Errorf("%d %s", status, body)
	}
	if _, body := r.get(t, "/metrics"); !strings.Contains(body, "\ntunnelgateway_config_applied 1\n") {
		t.Error("the metric config_applied is not 1")
	}
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/new", "wall", r.wall), 1); err != nil {
		t.Error(err)
	}
}

// A file that changes is read without a signal.
func TestReload_ofItsOwn(t *testing.T) {
	r := start(t, "cameras: {}\n")
	r.write(t, r.configuration(t, "cameras: { lab/a: { url: 'rtsp://127.0.0.1:1/' } }\n"))
	r.log.AwaitFields(t, 1, "message=configuration is in force", "cameras=1")
}

// A viewer ends when its token is replaced, or does not allow its camera any more.
func TestReload_endsViewers(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	sections := "cameras: { lab/front: { url: '" + camera.URL() + "' } }\n"
	for name, change := range map[string]func(r *running, text string) string{
		"narrower": func(_ *running, text string) string { return strings.Replace(text, "lab/*", "lab/other", 1) },
		"removed":  func(_ *running, text string) string { return strings.Replace(text, "name: wall", "name: all", 1) },
		"replaced": func(r *running, text string) string {
			_, hash := access.Generate()
			mine, _ := access.HashOf(r.wall)
			return strings.Replace(text, mine.String(), hash.String(), 1)
		},
		"shorter": func(_ *running, text string) string {
			soon := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339)
			return strings.Replace(text, "name: wall", "expires: "+soon+", name: wall", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, sections)
			ended := make(chan error, 1)
			go func() {
				_, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1_000_000)
				ended <- err
			}()
			r.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream opened")
			r.replace(t, change(r, r.configuration(t, sections)))
			if err := <-ended; err == nil || strings.Contains(err.Error(), "deadline") {
				t.Errorf("the viewer ended with %v", err)
			}
		})
	}
}

// Streams of removed cameras end with a reason; those of cameras that have moved go on.
func TestReload_endsStreams(t *testing.T) {
	front, yard := startCamera(t, rtsptest.Options{}), startCamera(t, rtsptest.Options{Name: "yard"})
	r := start(t, "cameras: { lab/a: { url: '"+front.URL()+"' }, lab/b: { url: '"+front.URL()+"' } }\n")
	ended := map[string]chan error{"lab/a": make(chan error, 1), "lab/b": make(chan error, 1)}
	for name, end := range ended {
		go func() {
			_, err := rtsptest.Pull(within(t, time.Minute), r.url(t, name, "wall", r.wall), 1_000_000)
			end <- err
		}()
		r.log.AwaitFields(t, 1, "stream="+name+"/main", "message=stream opened")
	}
	r.replace(t, r.configuration(t, "cameras: { lab/a: { url: '"+yard.URL()+"' } }\n"))
	if err := <-ended["lab/b"]; err == nil {
		t.Error("the viewer of a removed camera ended without an error")
	}
	r.log.AwaitFields(t, 1, "stream=lab/b/main", "reason=CAM_REMOVED")
	r.log.AwaitFields(t, 1, "stream=lab/a/main", "reason=CAM_CHANGED")
	r.log.AwaitFields(t, 2, "stream=lab/a/main", "message=stream opened")
	if n := yard.Sessions(); n != 1 {
		t.Errorf("the camera's new address has %d sessions", n)
	}
}
