package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gateway is what the API shows and acts on in a test, and three tokens.
type gateway struct {
	t       *testing.T
	log     *logtest.Record
	cameras []api.Camera
	states  map[string]stream.State // by camera/stream
	// pictures are the times of last pictures, by camera/stream.
	pictures map[string]time.Time

	api    *api.API
	access *access.Access
	tokens []access.Token

	mu      sync.Mutex // guards cameras and states, too, once events are read
	viewers []api.Viewer
	done    []string     // what the API did
	changed func(string) // nil while no client reads events
	watches int          // how often Watch was called
	looks   int          // at a state

	diagnose func(ctx context.Context) (any, error)

	admin, site, wall string // tokens: all cameras; admin of edge1; viewer of edge1
	address           string
}

func camera(full string) api.Camera {
	return api.Camera{Name: full, Hub: "main", Streams: []api.Stream{{Name: "main", Default: true, Codec: "H264"}}}
}

// start serves the API on a loopback port.
func start(t *testing.T, cameras ...api.Camera) *gateway {
	t.Helper()
	g := &gateway{t: t, log: logtest.New(), cameras: cameras, states: map[string]stream.State{}}
	token := func(name string, role access.Role, globs ...string) (string, access.Token) {
		clear, hash := access.Generate()
		return clear, access.Token{Name: name, Role: role, Cameras: globs, Hash: hash}
	}
	var tokens [3]access.Token
	g.admin, tokens[0] = token("ops", access.Admin)
	g.site, tokens[1] = token("site", access.Admin, "edge1/*")
	g.wall, tokens[2] = token("wall", access.Viewer, "edge1/*")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.address = "http://" + ln.Addr().String()
	g.access, _ = access.Open(access.Options{PublicURL: "https://gw.example.com"})
	g.tokens = tokens[:]
	g.access.Set(g.tokens)
	policy, err := browser.New(browser.Options{PublicURL: "https://gw.example.com", Origins: []string{portal}})
	if err != nil {
		t.Fatal(err)
	}
	g.api = api.New(api.Options{
		Access:  g.access,
		Browser: policy,
		Log:     zerolog.New(g.log),
		Cameras: g.listed,
		Lookup:  g.lookup,
		State:   g.state,
		Watch:   g.watch,
		LastPicture: func(camera, stream string) time.Time {
			g.mu.Lock()
			defer g.mu.Unlock()
			return g.pictures[camera+"/"+stream]
		},
		Outputs:    []string{api.OutputMSE, api.OutputHLS, api.OutputStill, api.OutputRTSP},
		Viewers:    g.watching,
		Disconnect: func(id string) bool { g.did("disconnect " + id); return true },
		Close:      func(camera, stream string) { g.did(strings.TrimSpace("close " + camera + " " + stream)) },
		Diagnose: func(ctx context.Context, camera, stream string) (any, error) {
			g.did(strings.TrimSpace("diagnose " + camera + " " + stream))
			if g.diagnose != nil {
				return g.diagnose(ctx)
			}
			return map[string]string{"camera": camera}, nil
		},
		Links: map[string]string{"rtsp": "rtsp://gw.example.com:8554"},
	})
	server := httpd.Serve(ln, policy.CORS(g.api.Handler(g.client)), zerolog.Nop())
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return g
}

// portal is a page of another origin that may use tokens.
const portal = "https://portal.example"

// client returns the address of a client: a header that the tests send, or one for all.
func (g *gateway) client(r *http.Request) netip.Addr {
	if text := r.Header.Get("X-Test-Client"); text != "" {
		return netip.MustParseAddr(text)
	}
	return netip.MustParseAddr("192.0.2.1")
}

func (g *gateway) listed() []api.Camera {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cameras
}

func (g *gateway) state(camera, stream string) stream.State {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looks++
	return g.states[camera+"/"+stream]
}

// watch is api.Options.Watch.
func (g *gateway) watch(ctx context.Context, changed func(string)) {
	g.mu.Lock()
	g.changed = changed
	g.watches++
	g.mu.Unlock()
	<-ctx.Done()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changed = nil
}

// lookup knows the cameras by their names, and the first one as the alias "door".
func (g *gateway) lookup(asked string) (api.Camera, string, error) {
	for i, c := range g.cameras {
		for _, n := range []string{c.Name, map[int]string{0: "door"}[i]} {
			if asked == n {
				return c, "", nil
			}
			if stream, ok := strings.CutPrefix(asked, n+"/"); ok && n != "" {
				return c, stream, nil
			}
		}
	}
	return api.Camera{}, "", failure.New(failure.Viewer, reason.CameraUnknown, nil)
}

func (g *gateway) watching() []api.Viewer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.viewers)
}

func (g *gateway) did(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.done = append(g.done, what)
}

func (g *gateway) checkDone(want ...string) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := cmp.Diff(want, g.done); d != "" {
		g.t.Errorf("the API did: %s", d)
	}
	g.done = nil
}

// call sends a request with a token. path is percent-encoded.
func (g *gateway) call(method, path, token string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return g.send(method, path, "", headers...)
}

// send sends a request with a body and headers.
func (g *gateway) send(method, path, content string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.address+path, strings.NewReader(content))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	r.Host = r.Header.Get("Host")
	response, err := http.DefaultTransport.RoundTrip(r) // without redirects
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return response, string(body)
}

// document decodes a body.
func document[T any](t *testing.T, body string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return v
}

// problem is the body of an error.
type problem struct {
	Type, Title, Detail, Hop, Reason, Message string
	Status                                    int
	Since, RetryAt                            *time.Time
}

// checkProblem checks that a request ends with a problem document.
func (g *gateway) checkProblem(method, path, token string, status int, why reason.Code) *http.Response {
	g.t.Helper()
	response, body := g.call(method, path, token)
	if response.StatusCode != status || response.Header.Get("Content-Type") != "application/problem+json" {
		g.t.Errorf("%s %s: %s %s, want %d", method, path, response.Status, body, status)
		return response
	}
	p := document[problem](g.t, body)
	if p.Status != status || p.Reason != string(why) || p.Hop == "" || p.Message == "" || p.Detail != p.Message || p.Type != "about:blank" || p.Title == "" {
		g.t.Errorf("%s %s: %+v, want %s", method, path, p, why)
	}
	return response
}

// list is the body of GET /api/cameras.
type list struct {
	Cameras []struct{ Name string }
	Next    string
}

func (l list) names() []string {
	var names []string
	for _, c := range l.Cameras {
		names = append(names, c.Name)
	}
	return names
}

func TestListCameras(t *testing.T) {
	g := start(t, camera("edge1/back"), camera("edge1/front"), camera("edge2/front"))
	for token, want := range map[string][]string{
		g.admin: {"edge1/back", "edge1/front", "edge2/front"},
		g.wall:  {"edge1/back", "edge1/front"},
	} {
		response, body := g.call("GET", "/api/cameras", token)
		if d := cmp.Diff(want, document[list](t, body).names()); d != "" || response.StatusCode != 200 {
			t.Errorf("%s: %s", response.Status, d)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
	}
	g.cameras = nil
	if _, body := g.call("GET", "/api/cameras", g.admin); body != `{"cameras":[]}`+"\n" {
		t.Errorf("without cameras: %s", body)
	}
}

// The lists of ten thousand cameras follow each other, also for a token that covers some.
func TestListCameras_pages(t *testing.T) {
	var cameras []api.Camera
	for i := range 10_000 {
		cameras = append(cameras, camera(fmt.Sprintf("edge%d/c%05d", i/5000, i)))
	}
	g := start(t, cameras...)
	for token, want := range map[string]int{g.admin: 10_000, g.wall: 5000} {
		seen, after := 0, ""
		for pages := 0; ; pages++ {
			_, body := g.call("GET", "/api/cameras?limit=3000&after="+after, token)
			l := document[list](t, body)
			for _, n := range l.names() {
				if n <= after || len(l.Cameras) > 3000 {
					t.Fatalf("%s after %s, in a list of %d", n, after, len(l.Cameras))
				}
				after = n
			}
			if seen += len(l.Cameras); l.Next == "" {
				break
			}
			if l.Next != after {
				t.Fatalf("next is %q, the last camera %q", l.Next, after)
			}
		}
		if seen != want {
			t.Errorf("%d cameras, want %d", seen, want)
		}
	}
	if _, body := g.call("GET", "/api/cameras?limit=2&after=edge0/c00001x", g.admin); !cmp.Equal(document[list](t, body).names(), []string{"edge0/c00002", "edge0/c00003"}) {
		t.Errorf("after a name that is no camera: %s", body)
	}
	if _, body := g.call("GET", "/api/cameras", g.admin); len(document[list](t, body).Cameras) != 500 {
		t.Error("without limit, a list does not have 500 cameras")
	}
	for _, limit := range []string{"0", "-1", "5001", "x"} {
		g.checkProblem("GET", "/api/cameras?limit="+limit, g.admin, 400, reason.RequestQuery)
	}
}

func TestETag(t *testing.T) {
	g := start(t, camera("edge1/front"))
	first, _ := g.call("GET", "/api/cameras", g.wall)
	tag := first.Header.Get("ETag")
	for value, want := range map[string]int{tag: 304, `"x", W/` + tag: 304, "*": 304, `"x"`: 200} {
		response, body := g.call("GET", "/api/cameras", g.wall, "If-None-Match", value)
		if response.StatusCode != want || want == 304 && body != "" || response.Header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %s, %q", value, response.Status, body)
		}
	}
	g.states["edge1/front/main"] = stream.State{Phase: stream.PhaseOpening}
	if second, _ := g.call("GET", "/api/cameras", g.wall, "If-None-Match", tag); second.StatusCode != 200 {
		t.Errorf("after a change: %s", second.Status)
	}
	if head, body := g.call("HEAD", "/api/cameras", g.wall); head.StatusCode != 200 || head.Header.Get("ETag") == "" || body != "" {
		t.Errorf("HEAD: %s, %q", head.Status, body)
	}
}

// links returns the outputs and links of a stream in the answer for its camera.
func (g *gateway) links(path string) string {
	socket := "ws" + strings.TrimPrefix(g.address, "http")
	return `"outputs":[{"name":"mse"},{"name":"hls"},{"name":"still"},{"name":"ws"}],"links":{` +
		`"embed":"` + g.address + `/embed` + path + `","hls":"` + g.address + `/live` + path + `/hls/index.m3u8","mse":"` + socket + `/live` + path +
		`/mse","rtsp":"rtsp://gw.example.com:8554` + path + `","still":"` + g.address + `/live` + path + `/still.mp4","ws":"` + socket + `/live` + path + `/rtsp"}`
}

func TestShowCamera(t *testing.T) {
	began := time.Date(2026, 11, 29, 20, 15, 0, 123456789, time.FixedZone("", 3600))
	lost := failure.New(failure.Camera, reason.CameraTimeout, errors.New("10.0.0.9 has a secret")).At(began, began.Add(time.Minute))
	c := camera("edge_1+/rtsptunnel.front:1%")
	c.Title, c.Video, c.GUID = "Front", "front-door", "3c0f"
	c.Streams = append(c.Streams, api.Stream{Name: "sub", Failure: failure.New(failure.RTSP, reason.PathUnknown, nil)})
	g := start(t, c)
	g.viewers = []api.Viewer{{ID: "v1", Camera: c.Name}, {ID: "v2", Camera: "edge1/front"}}
	g.states[c.Name+"/main"] = stream.State{
		Phase: stream.PhaseLive, Since: began, Readers: 2, Bytes: 123, BitsPerSecond: 4e6, FramesPerSecond: 24.96, KeyInterval: 2 * time.Second,
		Epoch: &media.Epoch{Tracks: []media.Track{
			{Codec: media.AAC, SampleRate: 48000, Channels: 2},
			{Codec: media.H265, Width: 1920, Height: 1080, SPS: []byte{1}},
		}},
		OpenPhases: map[stream.OpenPhase]time.Duration{stream.OpenHub: 12 * time.Millisecond},
	}
	g.states[c.Name+"/sub"] = stream.State{Phase: stream.PhaseReopening, Hop: failure.Hub, Failure: lost}
	want := `{"name":"edge_1+/rtsptunnel.front:1%","title":"Front","video":"front-door","guid":"3c0f","hub":"main","state":"live",` +
		`"failure":{"hop":"camera","reason":"CAM_TIMEOUT","message":"the camera did not answer in time","since":"2026-11-29T19:15:00.123Z","retryAt":"2026-11-29T19:16:00.123Z"},` +
		`"viewers":1,"streams":[` +
		`{"name":"main","default":true,"state":"live","since":"2026-11-29T19:15:00.123Z","readers":2,"codec":"H265","width":1920,"height":1080,"audio":"AAC",` +
		`"tracks":[{"codec":"AAC","sampleRate":48000,"channels":2},{"codec":"H265","width":1920,"height":1080}],` +
		`"bitsPerSecond":4000000,"framesPerSecond":25,"keyFrameIntervalMs":2000,"bytes":123,"openMs":{"hub":12},` +
		g.links("/edge_1%2B/rtsptunnel.front%3A1%25") + `},` +
		`{"name":"sub","state":"reopening","hop":"hub",` +
		`"failure":{"hop":"camera","reason":"CAM_TIMEOUT","message":"the camera did not answer in time","since":"2026-11-29T19:15:00.123Z","retryAt":"2026-11-29T19:16:00.123Z"},` +
		`"readers":0,"bytes":0,` + g.links("/edge_1%2B/rtsptunnel.front%3A1%25/sub") + `}]}`
	_, body := g.call("GET", "/api/cameras/"+name.Escape(c.Name), g.admin)
	if d := cmp.Diff(want+"\n", body); d != "" {
		t.Error(d)
	}
	if _, byAlias := g.call("GET", "/api/cameras/door", g.admin); byAlias != body {
		t.Errorf("by its alias: %s", byAlias)
	}
	_, body = g.call("GET", "/api/cameras/door/sub", g.admin)
	if got := document[struct{ Streams []struct{ Name string } }](t, body); len(got.Streams) != 1 || got.Streams[0].Name != "sub" {
		t.Errorf("one stream: %s", body)
	}
	_, body = g.call("GET", "/api/cameras", g.admin)
	for _, details := range []string{"tracks", "bitsPerSecond", "bytes", "links"} {
		if strings.Contains(body, details) {
			t.Errorf("%s is in a list: %s", details, body)
		}
	}
	g.states = map[string]stream.State{}
	_, body = g.call("GET", "/api/cameras/door", g.admin)
	got := document[struct {
		State   string
		Failure problem
	}](t, body)
	if got.State != "idle" || got.Failure.Reason != string(reason.PathUnknown) {
		t.Errorf("a camera that was never open: %s", body)
	}
}

// A camera has the time of its newest picture. A live stream's changes once a minute, so that
// lists change with the states.
func TestListCameras_lastPicture(t *testing.T) {
	c := camera("edge1/front")
	c.Streams = append(c.Streams, api.Stream{Name: "sub"})
	g := start(t, c, camera("edge1/never"))
	at := time.Date(2026, 11, 29, 20, 15, 30, 0, time.UTC)
	g.pictures = map[string]time.Time{"edge1/front/main": at, "edge1/front/sub": at.Add(-time.Hour)}
	for phase, want := range map[stream.Phase]string{stream.PhaseIdle: "2026-11-29T20:15:30Z", stream.PhaseLive: "2026-11-29T20:15:00Z"} {
		g.states["edge1/front/main"] = stream.State{Phase: phase}
		_, body := g.call("GET", "/api/cameras", g.wall)
		got := document[struct {
			Cameras []struct {
				LastPicture string
				Streams     []struct{ LastPicture string }
			}
		}](t, body).Cameras
		if got[0].LastPicture != want || got[0].Streams[0].LastPicture != want || got[0].Streams[1].LastPicture != "2026-11-29T19:15:30Z" || got[1].LastPicture != "" {
			t.Errorf("%s: %s", phase, body)
		}
	}
}

// An output that cannot carry a stream's codec is named with the reason.
func TestShowCamera_outputs(t *testing.T) {
	c := camera("edge1/front")
	c.Streams = []api.Stream{{Name: "main", Default: true, Codec: "h265"}, {Name: "old", Codec: "MJPEG"}, {Name: "unknown"}, {Name: "sound"}, {Name: "changed", Codec: "H264"}}
	g := start(t, c)
	g.states["edge1/front/sound"] = stream.State{Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.Opus}}}}
	g.states["edge1/front/changed"] = stream.State{Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.MJPEG}}}}
	_, body := g.call("GET", "/api/cameras/door", g.wall)
	got := map[string]string{} // the outputs of a stream that cannot carry it
	for _, s := range document[struct {
		Streams []struct {
			Name    string
			Outputs []struct {
				Name    string
				Failure *problem
			}
		}
	}](t, body).Streams {
		for _, o := range s.Outputs {
			if o.Failure != nil {
				got[s.Name] += o.Name + " " + o.Failure.Reason + " "
			}
		}
	}
	const no = " CODEC_NOT_FOR_OUTPUT "
	want := map[string]string{"old": "mse" + no + "hls" + no + "still" + no, "sound": "still" + no, "changed": "mse" + no + "hls" + no + "still" + no}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
