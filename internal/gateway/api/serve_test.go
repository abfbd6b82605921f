package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/gateway/stream"
)

// Actions reach the camera whose name the client encoded, whatever characters ids have.
func TestActOnCamera_names(t *testing.T) {
	names := []string{"edge1/front", "a:b/m:n.c", "100%/c%2Fd", "site.7/mod.a.front", "a:close/b:diagnose", "x?#/y!", "...a/b..", "a+b/c=d@e"}
	var cameras []api.Camera
	for _, n := range names {
		cameras = append(cameras, camera(n))
	}
	g := start(t, cameras...)
	for _, n := range names {
		path := "/api/cameras/" + name.Escape(n)
		if response, body := g.call("GET", path, g.admin); response.StatusCode != 200 {
			t.Errorf("GET %s: %s", path, body)
		}
		if response, body := g.call("POST", path+":close", g.admin); response.StatusCode != 204 || body != "" {
			t.Errorf("close %s: %s %s", path, response.Status, body)
		}
		if response, body := g.call("POST", path+"/sub:diagnose", g.admin); response.StatusCode != 200 || response.Header.Get("ETag") != "" {
			t.Errorf("diagnose %s: %s %s", path, response.Status, body)
		}
		g.checkDone("close "+n, "diagnose "+n+" sub")
	}
	// Clients need not encode a colon.
	if response, body := g.call("POST", "/api/cameras/a:b/m:n.c:close", g.admin); response.StatusCode != 204 {
		t.Errorf("colons as they are: %s", body)
	}
	g.checkDone("close a:b/m:n.c")
	if response, body := g.call("POST", "/api/cameras/door:close", g.admin); response.StatusCode != 204 {
		t.Errorf("an alias: %s", body)
	}
	g.checkDone("close edge1/front")
}

// What a token does not cover is denied alike, whether it exists or not.
func TestRights(t *testing.T) {
	g := start(t, camera("edge2/front"), camera("edge1/front"))
	for _, c := range []struct {
		method, path string
		wall, site   int
	}{
		{"GET", "/api/cameras/edge1/front", 200, 200},
		{"GET", "/api/cameras/edge1/other", 404, 404},
		{"GET", "/api/cameras/edge2/front", 403, 403},
		{"GET", "/api/cameras/edge2/other", 403, 403},
		{"GET", "/api/cameras/door", 403, 403}, // of edge2/front
		{"GET", "/api/cameras/window", 403, 403},
		{"POST", "/api/cameras/edge1/front:close", 403, 204},
		{"POST", "/api/cameras/edge1/other:close", 403, 404},
		{"POST", "/api/cameras/edge2/front:diagnose", 403, 403},
		{"POST", "/api/cameras/edge2/other:diagnose", 403, 403},
		{"GET", "/api/viewers", 403, 200},
		{"DELETE", "/api/viewers/v1", 403, 404},
	} {
		for token, want := range map[string]int{g.wall: c.wall, g.site: c.site} {
			if response, body := g.call(c.method, c.path, token); response.StatusCode != want {
				t.Errorf("%s %s: %s %s, want %d", c.method, c.path, response.Status, body, want)
			}
		}
		g.checkProblem(c.method, c.path, "", 401, reason.AccessLogin)
	}
	g.checkDone("close edge1/front")
}

func TestViewers(t *testing.T) {
	g := start(t)
	since := time.Date(2026, 11, 29, 20, 0, 0, 0, time.FixedZone("", 3600))
	g.viewers = []api.Viewer{
		{ID: "v2", Camera: "edge1/front", Stream: "main", Principal: "wall", RemoteAddr: "192.0.2.1:5000", Output: "rtsp", Since: since.Add(time.Second), Bytes: 5, Skipped: 1},
		{ID: "v1", Camera: "edge1/back", Since: since},
		{ID: "v3", Camera: "edge2/front", Since: since},
	}
	want := `{"viewers":[` +
		`{"id":"v1","camera":"edge1/back","stream":"","principal":"","remoteAddress":"","output":"","since":"2026-11-29T19:00:00Z","bytes":0,"skippedGroups":0},` +
		`{"id":"v2","camera":"edge1/front","stream":"main","principal":"wall","remoteAddress":"192.0.2.1:5000","output":"rtsp","since":"2026-11-29T19:00:01Z","bytes":5,"skippedGroups":1}]}` + "\n"
	if _, body := g.call("GET", "/api/viewers", g.site); body != want {
		t.Errorf("viewers of a site: %s, want %s", body, want)
	}
	g.checkProblem("DELETE", "/api/viewers/v3", g.site, 404, reason.ViewerUnknown)
	g.checkProblem("DELETE", "/api/viewers/v9", g.admin, 404, reason.ViewerUnknown)
	g.checkProblem("GET", "/api/viewers/v1", g.admin, 405, reason.RequestMethod)
	g.checkDone()
	if response, body := g.call("DELETE", "/api/viewers/v3", g.admin); response.StatusCode != 204 {
		t.Errorf("disconnect: %s %s", response.Status, body)
	}
	g.checkDone("disconnect v3")
}

func TestRoutes(t *testing.T) {
	g := start(t, camera("edge1/front"))
	for _, c := range []struct {
		method, path string
		status       int
		why          reason.Code
		allow        string
	}{
		{"GET", "/", 404, reason.RequestRoute, ""},
		{"GET", "/api", 404, reason.RequestRoute, ""},
		{"GET", "/api/other", 404, reason.RequestRoute, ""},
		{"GET", "/api/viewers/", 404, reason.RequestRoute, ""},
		{"POST", "/api/cameras/edge1/front:open", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1/front:close", 404, reason.CameraUnknown, ""},
		{"GET", "/api/cameras/", 404, reason.CameraUnknown, ""},
		{"GET", "/%61pi/cameras/edge1/front", 404, reason.CameraUnknown, ""},
		{"POST", "/api/cameras", 405, reason.RequestMethod, "GET, HEAD"},
		{"DELETE", "/api/cameras/edge1/front", 405, reason.RequestMethod, "GET, HEAD, POST"},
		{"POST", "/api/cameras/edge1/front", 405, reason.RequestMethod, "GET, HEAD"},
		{"OPTIONS", "/api/viewers", 405, reason.RequestMethod, "GET, HEAD"},
		{"BREW", "/api/viewers/v1", 405, reason.RequestMethod, "DELETE"},
		// No path leads to another one.
		{"GET", "/api/cameras/edge1/../edge1/front", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1/%2e%2e/front", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/./edge1/front", 404, reason.RequestRoute, ""},
		{"GET", "//", 404, reason.RequestRoute, ""},
		{"GET", "/api//cameras", 404, reason.RequestRoute, ""},
		{"GET", "//evil.example.com/api/cameras", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1//front", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1%2Ffront", 404, reason.CameraUnknown, ""},
		{"GET", "/api/cameras/edge1/%2Ffront", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1/front%00", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/edge1/front%5C..%5Cx", 404, reason.RequestRoute, ""},
		{"GET", "/api/cameras/a/b/c/d", 404, reason.CameraUnknown, ""},
		{"GET", "/api/cameras/" + strings.Repeat("a", 5000), 404, reason.CameraUnknown, ""},
	} {
		response := g.checkProblem(c.method, c.path, g.admin, c.status, c.why)
		if got := response.Header.Get("Allow"); got != c.allow {
			t.Errorf("%s %s allows %q, want %q", c.method, c.path, got, c.allow)
		}
	}
	g.checkDone()
}

func TestLogin(t *testing.T) {
	g := start(t)
	for name, c := range map[string]struct {
		header string
		want   int
	}{
		"bearer":         {"Bearer " + g.wall, 200},
		"in lower case":  {"bearer  " + g.wall, 200},
		"another scheme": {"Basic " + g.wall, 401},
		"no scheme":      {g.wall, 401},
		"nothing":        {"", 401},
		"another token":  {"Bearer " + g.wall[:46] + "!", 401},
	} {
		response, _ := g.call("GET", "/api/cameras", "", "Authorization", c.header)
		if response.StatusCode != c.want || (response.Header.Get("WWW-Authenticate") == "") != (c.want == 200) {
			t.Errorf("%s: %s", name, response.Status)
		}
	}
	if response, _ := g.call("GET", "/api/cameras?token="+g.wall, ""); response.StatusCode != 401 {
		t.Errorf("a token in the URL: %s", response.Status)
	}
	for range 9 {
		g.checkProblem("GET", "/api/cameras", "rtt_x", 401, reason.AccessLogin)
	}
	response := g.checkProblem("GET", "/api/cameras", "rtt_x", 429, reason.AccessThrottled)
	if after := response.Header.Get("Retry-After"); after < "1" || after > "6" {
		t.Errorf("Retry-After is %q", after)
	}
	if response, _ := g.call("GET", "/api/cameras", g.wall); response.StatusCode != 200 {
		t.Errorf("a valid token from a throttled address: %s", response.Status)
	}
}

// Two headers could mean one thing to a proxy and another to the gateway.
func TestLogin_twoHeaders(t *testing.T) {
	g := start(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	header := "Authorization: Bearer " + g.wall + "\r\n"
	if _, err := io.WriteString(conn, "GET /api/cameras HTTP/1.1\r\nHost: x\r\n"+header+header+"\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("two tokens: %s", response.Status)
	}
}

func TestServeHTTP_largeBody(t *testing.T) {
	g := start(t, camera("edge1/front"))
	r, err := http.NewRequestWithContext(t.Context(), "POST", g.address+"/api/cameras/edge1/front:close", strings.NewReader(strings.Repeat("x", 200<<10)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.admin)
	r.Header.Set("Expect", "100-continue")
	response, err := (&http.Transport{ExpectContinueTimeout: time.Minute, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 200 KiB: %s", response.Status)
	}
	g.checkDone()
}

// Four diagnoses run at once. A fifth is refused, and one more runs when one has ended.
func TestDiagnose_limit(t *testing.T) {
	g := start(t, camera("edge1/front"))
	entered, release := make(chan struct{}), make(chan struct{})
	g.diagnose = func(ctx context.Context) (any, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("a diagnosis has no deadline")
		}
		entered <- struct{}{}
		<-release
		return "ok", nil
	}
	const path = "/api/cameras/edge1/front:diagnose"
	ended := make(chan int)
	for range 4 {
		go func() { r, _ := g.call("POST", path, g.admin); ended <- r.StatusCode }()
		<-entered
	}
	response := g.checkProblem("POST", path, g.admin, 429, reason.LimitOpenings)
	if response.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	close(release)
	for range 4 {
		if status := <-ended; status != 200 {
			t.Errorf("a diagnosis ended with %d", status)
		}
	}
	go func() { <-entered }()
	if response, body := g.call("POST", path, g.admin); response.StatusCode != 200 || body != `"ok"`+"\n" {
		t.Errorf("one more: %s %s", response.Status, body)
	}
}

// Errors of the gateway's functions are problems without their causes.
func TestProblem_cause(t *testing.T) {
	g := start(t, camera("edge1/front"))
	const path = "/api/cameras/edge1/front:diagnose"
	for _, c := range []struct {
		result any
		err    error
		status int
		why    reason.Code
	}{
		{nil, failure.New(failure.Hub, reason.HubLogin, errors.New("cause")), 502, reason.HubLogin},
		{nil, errors.New("cause"), 500, reason.Internal},
		{nil, context.DeadlineExceeded, 504, reason.OpeningTimeout},
		{nil, failure.New(failure.Gateway, reason.ShuttingDown, errors.New("cause")), 503, reason.ShuttingDown},
		{make(chan int), nil, 500, reason.Internal}, // nothing that encodes
	} {
		g.diagnose = func(context.Context) (any, error) { return c.result, c.err }
		g.checkProblem("POST", path, g.admin, c.status, c.why)
		if _, body := g.call("POST", path, g.admin); strings.Contains(body, "cause") {
			t.Errorf("the answer has a cause: %s", body)
		}
	}
}

// Whatever the path is, the answer is a problem or the camera that the path spells.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/api/cameras/edge1/front:close", "/api/cameras/a%2Fb/%2e%2e", "//x", "/api/viewers/%00", "/api/cameras/a:b/c:close:close"} {
		f.Add("POST", path)
		f.Add("GET", path)
	}
	token, hash := access.Generate()
	policy, err := browser.New(browser.Options{})
	if err != nil {
		f.Fatal(err)
	}
	handler := func(seen *string) http.Handler {
		return api.New(api.Options{
			Access:  access.New([]access.Token{{Name: "ops", Role: access.Admin, Hash: hash}}),
			Browser: policy,
			Log:     zerolog.Nop(),
			Lookup: func(n string) (api.Camera, string, error) {
				*seen = n
				_, _, _, err := name.Split(n)
				return api.Camera{Name: n}, "", err
			},
			Cameras:    func() []api.Camera { return nil },
			State:      func(string, string) stream.State { return stream.State{} },
			Viewers:    func() []api.Viewer { return nil },
			Disconnect: func(string) bool { return false },
			Close:      func(string, string) {},
			Diagnose:   func(context.Context, string, string) (any, error) { return nil, nil },
			Watch:      func(ctx context.Context, _ func(string)) { <-ctx.Done() },
		}).Handler(func(*http.Request) netip.Addr { return netip.Addr{} })
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			return
		}
		var seen string
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL = method, u
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		handler(&seen).ServeHTTP(w, r)
		if w.Code >= 500 || w.Code >= 300 && w.Code < 400 {
			t.Errorf("%s %q: %d", method, path, w.Code)
		}
		if seen == "" {
			return
		}
		escaped := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/api/cameras/"), "/")
		if method == http.MethodPost {
			escaped = escaped[:strings.LastIndexByte(escaped, ':')]
		}
		if decoded, err := name.Decode(escaped); err != nil || decoded != seen {
			t.Errorf("%q: the camera is %q, the path spells %q, %v", path, seen, decoded, err)
		}
	})
}
