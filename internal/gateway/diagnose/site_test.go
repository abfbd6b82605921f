package diagnose_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// site is a hub emulator, the edge module with one camera, and an opener.
type site struct {
	hub       *hubtest.Hub
	camera    *rtsptest.Camera
	opener    *opener.Opener
	log       *logtest.Record
	endModule func()

	target                  opener.Target
	url, username, password string
}

const password = "canary-password"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{log: logtest.New(), username: "root", password: password}
	s.hub = hubtest.Start(t, s.log)
	var err error
	if s.camera, err = rtsptest.Start(rtsptest.Options{User: "root", Password: password}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.camera.Close)
	s.url = "rtsp://localhost:554/front"
	s.target = opener.Target{Name: "edge1/front", Hub: s.hub.Client, Identity: s.hub.ID, LocalPort: 554}
	public := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.opener.ServeHTTP(w, r) }))
	t.Cleanup(public.Close)
	s.open(t, "wss"+strings.TrimPrefix(public.URL, "https"))
	s.desire(t)
	s.runModule(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public.Certificate().Raw}))
	return s
}

// open makes the site's opener.
func (s *site) open(t *testing.T, endpoint string) {
	t.Helper()
	o := opener.New(opener.Options{Endpoint: endpoint, Log: zerolog.New(s.log)})
	t.Cleanup(func() { o.Shutdown(context.Background()) })
	s.opener = o
}

// desire configures the camera in the module's twin.
func (s *site) desire(t *testing.T) {
	t.Helper()
	host, port, err := net.SplitHostPort(s.camera.Addr())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"cameras": map[string]any{"front": map[string]any{"host": host, "port": n, "localPort": 554}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.hub.Client.PatchDesired(t.Context(), s.hub.ID, patch); err != nil {
		t.Fatal(err)
	}
}

// runModule runs the edge module in this process, with the process's environment.
func (s *site) runModule(t *testing.T, roots []byte) {
	t.Helper()
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, roots, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"IOTEDGE_WORKLOADURI": s.hub.WorkloadURI(), "IOTEDGE_AUTHSCHEME": "sasToken", "IOTEDGE_MODULEGENERATIONID": s.hub.Generation,
		"IOTEDGE_IOTHUBHOSTNAME": hubtest.HubName, "IOTEDGE_GATEWAYHOSTNAME": hubtest.GatewayName, "IOTEDGE_DEVICEID": s.hub.ID.Device,
		"IOTEDGE_MODULEID": s.hub.ID.Module, "IOTEDGE_APIVERSION": "2021-12-07", "RuntimeLogLevel": "info",
		"RTSPTUNNEL_HUB_ADDRESS": s.hub.MQTTAddr(), "RTSPTUNNEL_METRICS_LISTEN": "off", "RTSPTUNNEL_CA_FILE": caFile,
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE": "true",
	} {
		t.Setenv(name, value)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- module.Run(ctx, s.log, s.log) }()
	s.endModule = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.endModule)
	s.log.Await(t, " cameras=1", 1)
	s.hub.Invoke(t, "none", "null") // waits until the module accepts direct methods
}

// awaitDisconnected waits until the hub has noticed that the module's connection ended.
func (s *site) awaitDisconnected(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		twin, err := s.hub.Client.Twin(ctx, s.hub.ID)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(twin.Document), `"connectionState":"Disconnected"`) {
			return
		}
	}
}

// diagnose diagnoses the site's camera.
func (s *site) diagnose(t *testing.T) diagnose.Result {
	t.Helper()
	return diagnose.Run(t.Context(), diagnose.Target{
		Camera: "edge1/front", Hub: s.target.Hub, Module: s.target.Identity,
		Dial: func(ctx context.Context) (net.Conn, error) { return s.opener.Open(ctx, s.target) },
		Play: play(s.url, s.username, s.password),
	})
}

// play returns the function that plays a URL by a source.
func play(url, username, password string) func(context.Context, net.Conn, func(*media.Unit)) (diagnose.Session, error) {
	return func(ctx context.Context, conn net.Conn, deliver func(*media.Unit)) (diagnose.Session, error) {
		session, err := source.Open(ctx, source.Options{
			Dial: func(context.Context) (net.Conn, error) { return conn, nil },
			URL:  url, Username: username, Password: password, Log: zerolog.Nop(),
		}, deliver)
		if err != nil {
			return nil, err
		}
		return session, nil
	}
}

// check fails unless the steps have these hops, all of which work but the last one, whose
// reason is code; it works if code is empty.
func check(t *testing.T, got diagnose.Result, code reason.Code, hops ...failure.Hop) {
	t.Helper()
	ok := got.OK == (code == "") && len(got.Steps) == len(hops)
	for i := 0; ok && i < len(hops); i++ {
		step, want := got.Steps[i], reason.Code("")
		if i == len(hops)-1 {
			want = code
		}
		ok = step.Hop == hops[i] && step.OK == (want == "") && step.Reason == want && step.Millis >= 0 && step.Message != "" &&
			(step.OK || step.Advice != "")
	}
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Errorf("want %s at %v, got %s", code, hops, text)
	}
	if strings.Contains(string(text), password) {
		t.Errorf("a diagnosis holds the password: %s", text)
	}
}

// Each hop breaks in turn, from the pictures to the hub.
func TestRun_stopsAtTheBrokenHop(t *testing.T) {
	s := newSite(t)
	got := s.diagnose(t)
	check(t, got, "", failure.Hub, failure.Module, failure.Camera, failure.Gateway, failure.RTSP, failure.Media)
	if last := got.Steps[5]; !strings.Contains(last.Message, "H264 ") || got.Steps[2].Millis <= 0 {
		t.Errorf("got %+v", got)
	}
	if got.Steps[1].Advice != "" {
		t.Errorf("advice about a module that announces its model: %s", got.Steps[1].Advice)
	}

	s.url = "rtsp://localhost:554/other"
	check(t, s.diagnose(t), reason.RTSPNotFound, failure.Hub, failure.Module, failure.Camera, failure.Gateway, failure.RTSP)
	s.url, s.password = "rtsp://localhost:554/front", "wrong"
	check(t, s.diagnose(t), reason.RTSPLogin, failure.Hub, failure.Module, failure.Camera, failure.Gateway, failure.RTSP)

	right := s.opener
	s.open(t, "wss://127.0.0.1:1") // no program listens there
	check(t, s.diagnose(t), reason.RemoteRefused, failure.Hub, failure.Module, failure.Camera, failure.Gateway)
	s.opener = right

	s.camera.Close()
	check(t, s.diagnose(t), reason.CameraRefused, failure.Hub, failure.Module, failure.Camera)
	s.target.LocalPort = 555
	check(t, s.diagnose(t), reason.PortNotAllowed, failure.Hub, failure.Module, failure.Module)

	s.target.Identity.Module = "unknown"
	check(t, s.diagnose(t), reason.ModuleUnknown, failure.Hub, failure.Module)
	s.target.Identity = s.hub.ID
	s.endModule()
	s.awaitDisconnected(t)
	check(t, s.diagnose(t), reason.ModuleOffline, failure.Hub, failure.Module)
	s.hub.Stop(t)
	check(t, s.diagnose(t), reason.HubRefused, failure.Hub)
	if pending, open, _, _ := right.Counts(); pending != 0 || open != 0 {
		t.Errorf("%d tunnels are pending and %d open", pending, open)
	}
}

func TestRun_directSource(t *testing.T) {
	camera, err := rtsptest.Start(rtsptest.Options{Name: "yard"})
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	target := diagnose.Target{
		Camera: "lab/bench",
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", camera.Addr())
		},
		Play: play("rtsp://"+camera.Addr()+"/yard", "", ""),
	}
	check(t, diagnose.Run(t.Context(), target), "", failure.Camera, failure.RTSP, failure.Media)
	target.Dial = func(context.Context) (net.Conn, error) {
		return nil, failure.New(failure.Camera, reason.CameraDNS, nil)
	}
	check(t, diagnose.Run(t.Context(), target), reason.CameraDNS, failure.Camera)
}

// The hub's answers about a module that cannot open tunnels.
func TestRun_modules(t *testing.T) {
	for name, try := range map[string]struct {
		twin   string
		method func(w http.ResponseWriter)
		code   reason.Code
		hops   []failure.Hop
	}{
		"disabled":         {`{"status":"disabled"}`, nil, reason.ModuleUnknown, []failure.Hop{failure.Hub, failure.Module}},
		"another program":  {`{}`, answer(404, `{"code":"404","target":"tunnelOpen","message":"Unknown method"}`), reason.UnknownMethod, []failure.Hop{failure.Hub, failure.Module}},
		"behind edge hub":  {`{}`, answer(404, `null`), reason.ModuleOffline, []failure.Hop{failure.Hub, failure.Module}},
		"stuck":            {`{}`, answer(504, `null`), reason.ModuleTimeout, []failure.Hop{failure.Hub, failure.Module}},
		"another hub":      {`<html>`, nil, reason.HubAnswer, []failure.Hop{failure.Hub}},
		"without a model":  {`{}`, answer(400, `{}`), reason.Disabled, []failure.Hop{failure.Hub, failure.Module, failure.Module}},
		"of another model": {`{"modelId":"dtmi:other;1"}`, answer(400, `"?"`), reason.Disabled, []failure.Hop{failure.Hub, failure.Module, failure.Module}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					_, _ = w.Write([]byte(try.twin))
					return
				}
				try.method(w)
			}))
			defer server.Close()
			hub, err := hubclient.New("HostName="+server.Listener.Addr().String()+";SharedAccessKeyName=p;SharedAccessKey=a2V5",
				hubclient.Options{Roots: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
			if err != nil {
				t.Fatal(err)
			}
			defer hub.Close()
			got := diagnose.Run(t.Context(), diagnose.Target{
				Camera: "c", Hub: hub, Module: hubclient.Identity{Device: "d", Module: "m"},
				Dial: func(context.Context) (net.Conn, error) { return nil, failure.New(failure.Module, reason.Disabled, nil) },
			})
			check(t, got, try.code, try.hops...)
			if strings.Contains(name, "model") && !strings.Contains(got.Steps[1].Advice, "model id") {
				t.Errorf("no advice about the model id: %+v", got.Steps[1])
			}
		})
	}
}

// answer is a module's answer to a direct method.
func answer(status int, payload string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "payload": json.RawMessage(payload)})
	}
}
