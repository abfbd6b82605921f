package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a gateway of a test, with a token of each role.
type running struct {
	log, notice *logtest.Record
	dir, file   string
	admin, wall string // clear tokens; wall may watch lab/* alone
	reload      chan struct{}
	end         func() error
}

// configuration returns a file with free ports and the tokens, and more sections.
func (r *running) configuration(t *testing.T, sections string) string {
	t.Helper()
	entry := func(name, role, rest, token string) string {
		hash, err := access.HashOf(token)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("    - { name: %s, role: %s, sha256: '%s'%s }\n", name, role, hash, rest)
	}
	text := "listen:\n  public: [{ address: '127.0.0.1:0' }]\n  rtsp: { address: '127.0.0.1:0' }\n  private: { address: '127.0.0.1:0' }\n" +
		"data: data\nlog: { level: debug, format: json }\naccess:\n  tokens:\n" + entry("ops", "admin", "", r.admin) + entry("wall", "viewer", ", cameras: ['lab/*']", r.wall)
	return text + sections
}

// start starts a gateway with these sections in its file, and changes to the whole file. It
// is drained at the end of the test.
func start(t *testing.T, sections string, changes ...func(text string) string) *running {
	t.Helper()
	r := &running{log: logtest.New(), notice: logtest.New(), dir: t.TempDir()}
	r.admin, _ = access.Generate()
	r.wall, _ = access.Generate()
	r.file = filepath.Join(r.dir, "gateway.yaml")
	if err := os.WriteFile(filepath.Join(r.dir, "pass"), []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := r.configuration(t, sections)
	for _, change := range changes {
		text = change(text)
	}
	r.write(t, text)
	r.run(t)
	return r
}

func (r *running) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *running) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r.reload = make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- gateway.Run(ctx, gateway.Options{Source: config.NewSource(config.Options{File: r.file}), Log: r.log, Notice: r.notice, Reload: r.reload})
	}()
	r.end = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	r.log.AwaitFields(t, 1, "message=health is served")
}

// address returns the address of a listener.
func (r *running) address(t *testing.T, listener string) string {
	t.Helper()
	for line := range strings.Lines(r.log.String()) {
		var fields struct{ Listener, Address, Message string }
		if json.Unmarshal([]byte(line), &fields) == nil && (fields.Listener == listener || listener == "private" && fields.Message == "health is served") {
			return fields.Address
		}
	}
	t.Fatalf("no listener %s in\n%s", listener, r.log)
	return ""
}

// url returns the URL of a camera for a player.
func (r *running) url(t *testing.T, name, user, token string) string {
	t.Helper()
	return "rtsp://" + user + ":" + token + "@" + r.address(t, "rtsp") + "/" + name
}

func startCamera(t *testing.T, o rtsptest.Options) *rtsptest.Camera {
	t.Helper()
	camera, err := rtsptest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(camera.Close)
	return camera
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestRun_directCamera(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{User: "root", Password: password})
	r := start(t, "cameras: { lab/front: { url: '"+camera.URL()+"', credentials: c } }\ncredentials: { c: { username: root, passwordFile: pass } }\n"+
		"live: { grace: 0s }\n")
	got, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 30)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.MatchClip("front"); err != nil {
		t.Error(err)
	}
	r.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream opened")
	r.log.AwaitFields(t, 1, "stream=lab/front/main", "message=stream closed")
}
