package module_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/logtest"
)

// A whole tunnel carries every byte, with a hub, a remote end and a camera that are not
// the module's own code.
func TestTunnel_isByteExactBothWays(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	stop := s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})

	status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok-1", 554))
	if status != 200 || len(body) != 0 {
		t.Fatalf("response %d %v, want 200 {}", status, body)
	}
	far := <-r.tunnels
	for field, want := range map[string]string{
		"Authorization":          "Bearer tok-1",
		"TunnelConnectionSource": "PnpDevice",
		"User-Agent":             "rtsptunnel/dev (" + runtime.GOOS + "; " + runtime.GOARCH + ")",
	} {
		if got := far.header.Get(field); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
	sent := make([]byte, 2<<20+3)
	_, _ = rand.Read(sent)
	go func() {
		for chunk := range bytesIn(sent, 10007) {
			_ = far.WriteMessage(websocket.BinaryMessage, chunk)
		}
	}()
	var got []byte
	for len(got) < len(sent) {
		kind, data, err := far.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatalf("message of type %d: %v", kind, err)
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, sent) {
		t.Error("the bytes that came back differ from the bytes that were sent")
	}
	if err := far.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second)); err != nil {
		t.Error(err)
	}
	if _, _, err := far.ReadMessage(); !websocket.IsCloseError(err, 1000) {
		t.Errorf("the response to our Close 1000 is %v", err)
	}
	s.log.Await(t, closedBy, 1)
	stop()
	far.Close()
	if !strings.Contains(s.log.String(), "bytesDown=2097155 bytesUp=2097155 camera=front closedBy=remote") {
		t.Errorf("the closing record is wrong:\n%s", s.log)
	}
}

func bytesIn(b []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			k := min(n, len(b))
			if !yield(b[:k]) {
				return
			}
			b = b[k:]
		}
	}
}

// A panic fails the one call, and does not end the process.
func TestMethod_panics(t *testing.T) {
	t.Parallel()
	log := logtest.New()
	status, body := module.MethodOfBrokenModule(t, []byte(payload("wss://h/", "tok", 554)), zerolog.New(log))
	var answer struct{ Code, Target, Message string }
	if err := json.Unmarshal(body, &answer); err != nil || status != 500 || answer.Code != "500" {
		t.Errorf("response %d %s, %v", status, body, err)
	}
	log.Await(t, `"reason":"INTERNAL"`, 1)
}

// The roots for remote endpoints are the system's and the file's. The hub's roots do not
// count.
func TestTunnelOpen_remoteOfAnUnknownCA(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	other, err := localca.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	s.trust(t, other.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554))
	if status != 502 || body["message"] != "Could not connect to remote endpoint" {
		t.Errorf("response %d %v", status, body)
	}
	s.log.Await(t, "reason=WS_TLS_CA", 1)
}

// An invalid twin keeps the last valid value of each camera, and the acknowledgement says
// so.
func TestTwin_badOneLeavesTheLastGood(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	front := at(cam, 554)
	good := s.desire(t, map[string]camera{"front": front})
	if good.Code != 200 || good.Value["front"] != front {
		t.Fatalf("acknowledged as %+v", good)
	}
	for _, bad := range []any{
		map[string]any{"front": map[string]any{"port": "many"}},
		[]string{"front"},
		"front",
	} {
		got := s.desire(t, bad)
		if got.Code != 400 || got.Version <= good.Version || got.Value["front"] != front || got.Description == "" {
			t.Errorf("%v is acknowledged as %+v", bad, got)
		}
		if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554)); status != 200 {
			t.Errorf("after %v the camera is gone: %d %v", bad, status, body)
		} else {
			far := <-r.tunnels
			far.Close()
		}
	}
	valid := s.desire(t, map[string]any{"front": nil, "yard": at(cam, 8554)})
	if d := cmp.Diff(map[string]camera{"yard": at(cam, 8554)}, valid.Value); valid.Code != 200 || d != "" {
		t.Errorf("with a valid twin again: %+v", valid)
	}
	if status, _ := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554)); status != 400 {
		t.Errorf("response %d for a removed camera", status)
	}
}

// After a reconnect methods work again, with the newest twin. An open tunnel is not
// affected.
func TestHub_lossTouchesNoTunnel(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	far := s.open(t, r, 554)
	for n := range 3 {
		s.Drop(s.ID.Device, s.ID.Module)
		s.log.Await(t, "connected to the hub", n+2)
		if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 555)); status != 400 {
			t.Errorf("after a reconnect: %d %v", status, body)
		}
		far.isOpen(t)
	}
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil || tw.ModelID != "dtmi:azure:videoanalyzer:WebSocketTunneling;1" {
		t.Errorf("the twin's model id is %q, %v", tw.ModelID, err)
	}
}

// A renewed token affects neither tunnels nor callers.
func TestHub_newTokenTouchesNoTunnel(t *testing.T) {
	s, r, cam := newSite(t), newRemote(t), echo(t) // not parallel: a token with so short a lifetime must be renewed in time
	s.times.Token = 3 * time.Second
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	far := s.open(t, r, 554)
	for strings.Count(s.log.String(), "connected to the hub") < 3 {
		if status, body := s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 555)); status != 400 {
			t.Errorf("response %d %v", status, body)
		}
		far.isOpen(t)
	}
	// That the new token comes before the old one expires is tested with the hub connection.
	if log := s.log.String(); strings.Contains(log, "tunnel closed") {
		t.Errorf("the log:\n%s", log)
	}
}

// The module does not connect without a trust bundle, or with the bundle of another
// authority. It keeps retrying.
func TestHub_isNeverUnverified(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := newSite(t)
	s.env["RTSPTUNNEL_HUB_ADDRESS"] = other.MQTTAddr() // a hub of another authority
	s.run(t)
	s.log.Await(t, "no hub connection", 2)
	if !strings.Contains(s.log.String(), "certificate signed by unknown authority") {
		t.Errorf("the log does not say why:\n%s", s.log)
	}
	if log := other.log.String(); strings.Contains(log, "logged in") {
		t.Errorf("the module logged in to an unknown hub:\n%s", log)
	}
}

func TestHub_noWorkloadAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["IOTEDGE_WORKLOADURI"] = "unix:///nonexistent/workload.sock"
	s.run(t)
	s.log.Await(t, "no hub connection", 2)
	if strings.Contains(s.log.String(), "connected to the hub") {
		t.Error("connected without a trust bundle")
	}
}

// The log of the module and the hub emulator, at the lowest level, has no token,
// signature or key.
func TestLog_tellsNoSecret(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	stop := s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	const canary = "canaryTokenThatMustNeverBeSeen0123456789abc"
	s.invoke(t, "tunnelOpen", payload(r.endpoint()+"?sig="+canary, canary, 554))
	s.invoke(t, "tunnelOpen", payload(r.endpoint()+"?sig="+canary, canary, 555))
	s.invoke(t, "tunnelOpen", payload("ws://"+canary+"@h/", canary, 554))
	s.invoke(t, "tunnelOpen", payload("wss://127.0.0.1:1/"+canary, canary, 554))
	r.refuse(403)
	s.invoke(t, "tunnelOpen", payload(r.endpoint(), canary, 554))
	(<-r.tunnels).Close()
	stop()
	log := s.log.String()
	if strings.Contains(log, "canary") {
		t.Errorf("the token is in the log:\n%s", log)
	}
	logtest.NoSecret(t, log)
	if !strings.Contains(log, "tunnel opened") {
		t.Errorf("no tunnel was opened:\n%s", log)
	}
}

// edgeLine is the format of IoT Edge's log parser (Agent.Core, LogMessageParser).
var edgeLine = regexp.MustCompile(`^<[0-7]> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [+-]\d\d:\d\d \[(FTL|ERR|WRN|INF|DBG|VRB)\] - \S`)

// On SIGTERM each remote end gets Close 1001 (going away), and the exit code is 0.
func TestMain_SIGTERM(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	out := logtest.New()
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	far := s.open(t, r, 554)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, _, err := far.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the remote end read %v, want Close 1001", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v:\n%s", err, out)
	}
	for line := range strings.Lines(out.String()) {
		if !edgeLine.MatchString(line) {
			t.Errorf("not in IoT Edge's format: %s", line)
		}
	}
	if _, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{Name: "tunnelOpen"}); err == nil {
		t.Error("the hub still reaches a module that has ended")
	} else if e, ok := errors.AsType[*hubclient.Error](err); !ok || e.Status != 404 {
		t.Errorf("the hub responds %v", err)
	}
}

// Outside IoT Edge a record is JSON.
func TestMain_JSON(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	cmd := (&site{}).process(t)
	cmd.Stderr = &stderr
	_ = cmd.Run()
	var line struct {
		TS    time.Time
		Level string
		Msg   string
		Err   string
	}
	if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
		t.Fatalf("%s is not one JSON record: %v", &stderr, err)
	}
	if line.Level != "error" || line.Msg != "cannot start" || line.TS.IsZero() || line.Err == "" {
		t.Errorf("got %+v", line)
	}
}
