package gateway_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// While the hub is down, running streams go on; new ones fail with a reason, which /readyz, the
// API and the log have. When it is back, they open.
func TestHubOutage(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	watching := s.watch(t, "edge1/front", 400) // 16 s
	s.log.AwaitFields(t, 1, "stream=edge1/front/main", "message=stream opened")
	s.hub.Stop(t)
	if status, why := s.describe(t, "edge1/yard"); !strings.HasPrefix(status, "503") || !strings.HasPrefix(why, "hub; HUB_") {
		t.Errorf("an opening during the outage: %s, %s", status, why)
	}
	s.log.AwaitFields(t, 1, "stream=edge1/yard/main", "message=stream not opened", "hop=hub")
	if status, body := s.api(t, http.MethodGet, "/api/cameras/edge1/yard", s.admin); status != http.StatusOK || !strings.Contains(body, `"hop":"hub"`) {
		t.Errorf("%d %s", status, body)
	}
	s.log.AwaitFields(t, 1, "hub=main", "reason=HUB_REFUSED")
	s.reload <- struct{}{} // a turn of the loop
	s.reload <- struct{}{}
	if status, body := s.get(t, "/readyz"); status != http.StatusOK || !strings.Contains(body, `"part":"hubs"`) {
		t.Errorf("%d %s", status, body)
	}
	if watching.done() {
		t.Errorf("the running stream ended: %v", <-watching.ended)
	}
	s.hub.StartAgain(t)
	if err := <-watching.ended; err != nil {
		t.Errorf("the running stream: %v", err)
	}
	if n := s.log.CountFields(t, "stream=edge1/front/main", "message=stream opened"); n != 1 {
		t.Errorf("the running stream was opened %d times", n)
	}
	for ctx := within(t, time.Minute); ; {
		if status, _ := s.describe(t, "edge1/yard"); strings.HasPrefix(status, "200") {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no opening after the outage")
		}
	}
}

// A restart of the module is a gap for its viewers, with a reason in the log, and no end.
func TestModuleRestart(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	watching := s.watch(t, "edge1/front", 250)
	s.log.AwaitFields(t, 1, "stream=edge1/front/main", "message=stream opened")
	s.endModule()
	s.log.AwaitFields(t, 1, "stream=edge1/front/main", "message=stream lost: it opens again", "hop=module", "reason=TUNNEL_CLOSED")
	s.runModule(t, filepath.Join(filepath.Dir(s.hubFile), "ca.pem"))
	if err := <-watching.ended; err != nil {
		t.Errorf("the viewer ended: %v", err)
	}
	s.log.AwaitFields(t, 2, "stream=edge1/front/main", "message=stream opened")
}

// The limits of a module's tunnels are reasons of hop module.
func TestModuleLimit(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	if _, err := s.hub.Client.PatchDesired(t.Context(), s.hub.ID, []byte(`{"tunnels":{"max":1}}`)); err != nil {
		t.Fatal(err)
	}
	s.moduleLog.AwaitFields(t, 1, "cameras=2", "version=3")
	s.watch(t, "edge1/front", 1_000_000)
	s.log.AwaitFields(t, 1, "stream=edge1/front/main", "message=stream opened")
	if status, why := s.describe(t, "edge1/yard"); !strings.HasPrefix(status, "453") || !strings.HasPrefix(why, "module; LIMIT_TUNNELS; ") {
		t.Errorf("%s, %s", status, why)
	}
}

// drain ends the gateway, and fails the test if that takes as long as a drain may take.
func (r *running) drain(t *testing.T) {
	t.Helper()
	begun := time.Now()
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("the drain took %v", took)
	}
	r.log.AwaitFields(t, 1, "message=drained")
}

// A drain ends openings and reopenings at once.
func TestDrain(t *testing.T) {
	t.Run("opening", func(t *testing.T) {
		asked := make(chan struct{}, 10)
		r := start(t, "cameras: { lab/front: { url: '"+serve(t, func(c net.Conn) { asked <- struct{}{}; silent(c) })+"' } }\n")
		watching := r.watch(t, "lab/front", 1)
		<-asked
		r.drain(t)
		if err := <-watching.ended; err == nil {
			t.Error("a picture of a camera without any")
		}
	})
	t.Run("reopening", func(t *testing.T) {
		camera := startCamera(t, rtsptest.Options{})
		r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"', keepOpen: true } }\n")
		watching := r.watch(t, "lab/front", 1_000_000)
		r.awaitMetric(t, `tunnelgateway_readers{output="rtsp"} 1`)
		camera.Close()
		r.log.AwaitFields(t, 2, "stream=lab/front/main", "message=stream lost: it opens again")
		r.drain(t)
		r.log.AwaitFields(t, 1, "message=viewer ended", "reason=SHUTTING_DOWN")
		if err := <-watching.ended; err == nil {
			t.Error("the viewer did not end")
		}
	})
}

// The configuration may be a link that is replaced, as Kubernetes does it. A file or a secret
// that is missing leaves the last one in force.
func TestReload_links(t *testing.T) {
	t.Parallel()
	r := start(t, "cameras: {}\n")
	write := func(name, sections string) string {
		file := filepath.Join(r.dir, name)
		if err := os.WriteFile(file, []byte(r.configuration(t, sections)), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	link := func(to string) {
		next := filepath.Join(r.dir, "next")
		if err := errors.Join(os.Symlink(to, next), os.Rename(next, r.file)); err != nil {
			t.Fatal(err)
		}
		r.reload <- struct{}{}
	}
	link(write("one", "cameras: { lab/a: { url: 'rtsp://127.0.0.1:1/' } }\n"))
	r.log.AwaitFields(t, 1, "message=configuration is in force", "cameras=1")
	second := write("two", "cameras: { lab/a: { url: 'rtsp://127.0.0.1:1/', credentials: c }, lab/b: { url: 'rtsp://127.0.0.1:1/' } }\ncredentials: { c: { username: root, passwordFile: pass } }\n")
	link(second)
	r.log.AwaitFields(t, 1, "message=configuration is in force", "cameras=2")
	pass := filepath.Join(r.dir, "pass")
	if err := os.Rename(pass, pass+"-away"); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.log.AwaitFields(t, 1, "message=configuration is invalid: the last valid one stays in force")
	if status, body := r.get(t, "/readyz"); status != http.StatusOK || !strings.Contains(body, "passwordFile") {
		t.Errorf("%d %s", status, body)
	}
	if err := os.Rename(pass+"-away", pass); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.log.AwaitFields(t, 2, "message=configuration is in force", "cameras=2")
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.log.AwaitFields(t, 2, "message=configuration is invalid: the last valid one stays in force")
	link(second)
	r.log.AwaitFields(t, 3, "message=configuration is in force", "cameras=2")
	if _, body := r.get(t, "/readyz"); body != `{"ready":true}`+"\n" {
		t.Error(body)
	}
}
