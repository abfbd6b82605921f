package edge_test

import (
	"context"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second // for what takes milliseconds

// echo is a module: it answers each method with its name and payload, reports the
// version of each twin it sees unless the hub has it, and says so on twins.
type echo struct {
	twins chan int64
}

func (e *echo) Method(_ context.Context, name string, payload []byte) (int, []byte) {
	if len(payload) == 0 {
		payload = []byte("null")
	}
	body, _ := json.Marshal(map[string]any{"name": name, "payload": json.RawMessage(payload)})
	return 299, body
}

func (e *echo) Twin(doc []byte, _ edge.Connection) []byte {
	var t struct {
		Desired struct {
			Version int64 `json:"$version"`
		} `json:"desired"`
		Reported struct {
			Seen int64 `json:"seen"`
		} `json:"reported"`
	}
	if json.Unmarshal(doc, &t) != nil {
		return nil
	}
	select {
	case e.twins <- t.Desired.Version:
	default:
	}
	if t.Reported.Seen == t.Desired.Version {
		return nil
	}
	return []byte(`{"seen":` + strconv.FormatInt(t.Desired.Version, 10) + `}`)
}

// site is a hub emulator with one module, and the options to connect as it.
type site struct {
	*hubtest.Hub
	module *echo
	o      edge.Options
	log    *logtest.Record
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	s := &site{Hub: nil, module: &echo{twins: make(chan int64, 64)}, log: logtest.New()}
	s.Hub = hubtest.Start(tb, s.log)
	s.o = edge.Options{
		Identity: edge.Identity{
			HubHost: hubtest.HubName, GatewayHost: hubtest.GatewayName, DeviceID: s.ID.Device, ModuleID: s.ID.Module,
			Login: edge.Workload{URI: s.WorkloadURI(), GenerationID: s.Generation},
		},
		Address: s.MQTTAddr(), ModelID: "dtmi:com:example:Thermostat;1", Product: "test/1.0 (a+b; c&d=e)",
		Handler: s.module, Log: zerolog.New(s.log),
	}
	return s
}

// run keeps the module connected until stop, or the test's end. Attempts cost little.
func (s *site) run(t *testing.T) (stop func()) {
	t.Helper()
	c := s.client(t)
	edge.SetTimes(c, quick)
	return s.keep(t, c)
}

func (s *site) client(tb testing.TB) *edge.Client {
	tb.Helper()
	c, err := edge.New(s.o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// keep is run for a client that is there already.
func (s *site) keep(tb testing.TB, c *edge.Client) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			tb.Errorf("Run does not end:\n%s", s.log)
		}
	})
	tb.Cleanup(stop)
	return stop
}

// Any name and any JSON arrive as they were sent, and any status and body go back:
// the library's own dispatcher lets through objects for known methods alone.
func TestMethod_anyNameAnyPayload(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	for _, payload := range []string{`null`, `{}`, `[1,2]`, `"text"`, `5`, `{"n":1.0,"s":"` + strings.Repeat("x", 100_000) + `"}`} {
		status, body := s.Invoke(t, "anyName-1_x", payload)
		if want := `{"name":"anyName-1_x","payload":` + payload + `}`; status != 299 || body != want {
			t.Errorf("answer %d %.200s, want 299 %.200s", status, body, want)
		}
	}
}

// 300 calls on one connection: request ids pass 9 and 255 and stay opaque.
func TestMethod_manyAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	s.Invoke(t, "first", `{}`)
	var calls sync.WaitGroup
	for range 10 {
		calls.Go(func() {
			for n := range 30 {
				payload := strconv.Itoa(n)
				if _, body := s.Invoke(t, "m", payload); body != `{"name":"m","payload":`+payload+`}` {
					t.Errorf("call %d got %s", n, body)
				}
			}
		})
	}
	calls.Wait()
	if log := s.log.String(); strings.Contains(log, "mqtt: ") {
		t.Errorf("the library complains:\n%s", log)
	}
}

// A call outlives the session on which it came: a camera that is being dialled is
// not given up because the hub went away for a moment.
func TestMethod_outlivesItsSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	h := &slow{echo: s.module, called: make(chan context.Context, 1), release: make(chan struct{})}
	s.o.Handler = h
	s.run(t)
	s.log.Await(t, "connected to the hub", 1)
	calling, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	var call sync.WaitGroup
	call.Go(func() {
		_, _, _ = s.Client.Invoke(calling, s.ID, hubclient.Method{Name: "x", ConnectTimeout: 20 * time.Second, ResponseTimeout: 5 * time.Second})
	})
	ctx := <-h.called
	s.Drop(s.ID.Device, s.ID.Module)
	s.log.Await(t, "connected to the hub", 2)
	if ctx.Err() != nil {
		t.Errorf("the call's context ended with the session: %v", ctx.Err())
	}
	close(h.release)
	s.log.Await(t, `"answerLost":true,"method":"x","code":299,`, 1) // it was for the session that is over
	hangUp()
	call.Wait()
}

// slow is an echo that hands out its first call's context and waits.
type slow struct {
	*echo
	called  chan context.Context
	release chan struct{}
}

func (s *slow) Method(ctx context.Context, name string, payload []byte) (int, []byte) {
	s.called <- ctx
	<-s.release
	return s.echo.Method(ctx, name, payload)
}

// The twin is read whole after each connect and after each change, whatever was
// missed in between.
func TestTwin_isReadAfterEachConnectAndChange(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	stop := s.run(t)
	s.await(t, 1)
	s.patch(t, 2)
	s.await(t, 2)
	for n := int64(3); n < 6; n++ {
		s.Drop(s.ID.Device, s.ID.Module)
		s.patch(t, n) // while nobody listens
		s.await(t, n)
	}
	s.Invoke(t, "still", `{}`)
	stop()
	if !strings.Contains(s.log.String(), "connection lost") {
		t.Errorf("the drops did not happen:\n%s", s.log)
	}
}

func (s *site) patch(t *testing.T, want int64) {
	t.Helper()
	if _, err := s.Client.PatchDesired(t.Context(), s.ID, json.RawMessage(`{"n":`+strconv.FormatInt(want, 10)+`}`)); err != nil {
		t.Fatal(err)
	}
}

// await waits until the module has seen and reported that version.
func (s *site) await(t *testing.T, version int64) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case got := <-s.module.twins:
			if got >= version {
				return
			}
		case <-deadline:
			t.Fatalf("version %d was not seen:\n%s", version, s.log)
		}
	}
}

func TestConnect_announcesTheModel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.run(t)
	s.Invoke(t, "x", `{}`)
	tw, err := s.Client.Twin(t.Context(), s.ID)
	if err != nil || tw.ModelID != s.o.ModelID {
		t.Errorf("the hub's twin says model %q (%v)", tw.ModelID, err)
	}
}

// What the edge hub's parser wants (Hub.Mqtt, MqttUsernameParser): values escaped,
// %20 for a blank.
func TestUserName(t *testing.T) {
	id := edge.Identity{HubHost: "hub1.azure-devices.net", GatewayHost: "edge1", DeviceID: "edge1", ModuleID: "rtsptunnel"}
	device := id
	device.ModuleID = ""
	rest := "/?api-version=2021-04-12" +
		"&DeviceClientType=rtsptunnel%2F1.0%20%28linux%3B%20arm64%29%20a%2Bb%3Dc%26d" +
		"&model-id=dtmi%3Aazure%3Avideoanalyzer%3AWebSocketTunneling%3B1"
	for want, id := range map[string]edge.Identity{
		"hub1.azure-devices.net/edge1/rtsptunnel" + rest: id,
		"hub1.azure-devices.net/edge1" + rest:            device,
	} {
		got := edge.UserName(edge.Options{
			Identity: id, ModelID: "dtmi:azure:videoanalyzer:WebSocketTunneling;1", Product: "rtsptunnel/1.0 (linux; arm64) a+b=c&d",
		})
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// A server that takes the connection and never says a word must not hold up the end.
func TestRun_endsWhileTheHubIsSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	stop := s.run(t)
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Read(make([]byte, 1)); err != nil { // the TLS hello: the dial is under way
		t.Fatal(err)
	}
	stop()
}

func TestRun_keepsTrying(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	s.run(t)
	for range 3 { // hung up on each time
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}
