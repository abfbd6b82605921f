package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/hub/hubclient"
)

// fakeHub returns a client of a hub that answers as the handler does.
func fakeHub(t *testing.T, handler http.HandlerFunc) *hubclient.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	client, err := hubclient.New("HostName="+strings.TrimPrefix(server.URL, "https://")+";SharedAccessKeyName=p;SharedAccessKey=a2V5",
		hubclient.Options{Roots: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// hubWith returns a client of a hub with these rows of devices.modules.
func hubWith(t *testing.T, rows ...string) *hubclient.Client {
	t.Helper()
	return fakeHub(t, func(w http.ResponseWriter, r *http.Request) {
		var request struct{ Query string }
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			t.Error(err)
		}
		if !strings.Contains(request.Query, "devices.modules") {
			_, _ = io.WriteString(w, "[]")
			return
		}
		_, _ = fmt.Fprintf(w, "[%s]", strings.Join(rows, ","))
	})
}

// read returns a fleet with a configuration, after one read of its hubs.
func read(t *testing.T, c fleet.Config) *fleet.Fleet {
	t.Helper()
	f := fleet.New(fleet.Options{})
	f.Set(c)
	if err := f.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	return f
}

func twinRow(device, module, cameras string) string {
	return fmt.Sprintf(`{"deviceId":%q,"moduleId":%q,"connectionState":"Connected","cameras":%s}`, device, module, cameras)
}

// Cameras of the file need no hub.
func TestSet_configured(t *testing.T) {
	f := fleet.New(fleet.Options{})
	f.Set(fleet.Config{
		Hubs: map[string]fleet.Hub{"main": {}},
		Cameras: map[string]fleet.Settings{
			"lab/bench":   {URL: "rtsp://10.0.0.9/live?a=b", Alias: "bench", Title: "Bench", Streams: map[string]fleet.StreamInfo{"sub": {Path: "low"}}},
			"lab/six":     {URL: "rtsp://[2001:db8::1]:8554"},
			"lab/login":   {URL: "rtsp://u:canary@10.0.0.9/live"},
			"lab/web":     {URL: "http://10.0.0.9/live"},
			"edge1/front": {Hub: "main", Module: "rtsptunnel", LocalPort: 5541, Streams: map[string]fleet.StreamInfo{"main": {Path: "/m"}}, KeepOpen: true},
			"edge1/later": {Hub: "main", Module: "rtsptunnel"},
		},
	})
	var names []string
	for _, c := range f.Cameras() {
		names = append(names, c.Name)
	}
	if d := cmp.Diff([]string{"edge1/front", "lab/bench", "lab/six"}, names); d != "" {
		t.Error(d)
	}
	var problems []string
	for _, p := range f.Problems() {
		problems = append(problems, p.Camera)
		if strings.Contains(p.Text, "canary") {
			t.Errorf("%v", p)
		}
	}
	if d := cmp.Diff([]string{"edge1/later", "lab/login", "lab/web"}, problems); d != "" {
		t.Error(d)
	}
	for path, want := range map[string][2]string{
		"lab/bench": {"10.0.0.9:554", "rtsp://10.0.0.9/live?a=b"}, "bench": {"10.0.0.9:554", "rtsp://10.0.0.9/live?a=b"}, "bench/sub": {"10.0.0.9:554", "rtsp://10.0.0.9/low"},
		"lab/six": {"[2001:db8::1]:8554", "rtsp://[2001:db8::1]:8554/"}, "edge1/front/main": {"", "rtsp://localhost:554/m"},
	} {
		c, stream, err := f.Lookup(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		address, url := c.Source(stream)
		if d := cmp.Diff(want, [2]string{address, url}); d != "" {
			t.Errorf("%s: %s", path, d)
		}
	}
	if c, _, _ := f.Lookup("edge1/front"); c.Identity != (hubclient.Identity{Device: "edge1", Module: "rtsptunnel"}) || !c.KeepOpen || c.Hub != "main" || c.Trouble() != nil {
		t.Errorf("%+v", c)
	}
	for _, unknown := range []string{"bench/far", "edge1/later", "lab", "lab/bench/sub/x"} {
		if _, _, err := f.Lookup(unknown); failure.Of(err).Reason != reason.CameraUnknown {
			t.Errorf("%s: %v", unknown, err)
		}
	}
}

// The file's settings win over what is discovered.
func TestSet_settings(t *testing.T) {
	f := read(t, fleet.Config{
		Hubs: map[string]fleet.Hub{
			"a": {Discover: true, Client: hubWith(t, twinRow("edge1", "m", `{"front":{"host":"h","localPort":1,"streams":{"main":{"path":"/twin"},"sub":{"path":"/sub"}}},"yard":{"host":"h","localPort":2}}`))},
			"b": {Discover: true, Client: hubWith(t, twinRow("edge1", "m", `{"front":{"host":"h","localPort":3},"yard":{"host":"h","localPort":4},"gate":{"host":"h","localPort":5}}`))},
		},
		Cameras: map[string]fleet.Settings{
			"edge1/front": {Title: "Front", Module: "ignored", Streams: map[string]fleet.StreamInfo{"main": {Path: "/file"}, "far": {Path: "/far"}}},
			"edge1/yard":  {Hub: "b", LocalPort: 44},
			"edge1/gate":  {URL: "rtsp://10.0.0.9/"},
		},
	})
	front, _, err := f.Lookup("edge1/front")
	if d := cmp.Diff(map[string]fleet.StreamInfo{"main": {Path: "/file"}, "sub": {Path: "/sub"}, "far": {Path: "/far"}}, front.Streams); d != "" || err != nil || front.Title != "Front" {
		t.Errorf("%s %v %+v", d, err, front)
	}
	if front.Hub != "a" || front.LocalPort != 1 || front.Identity.Module != "m" {
		t.Errorf("%+v", front)
	}
	if yard, _, _ := f.Lookup("edge1/yard"); yard.Hub != "b" || yard.LocalPort != 44 {
		t.Errorf("%+v", yard)
	}
	if gate, _, _ := f.Lookup("edge1/gate"); gate.URL == "" || gate.Hub != "" {
		t.Errorf("%+v", gate)
	}
	var problems []string
	for _, p := range f.Problems() {
		problems = append(problems, p.Camera)
	}
	if d := cmp.Diff([]string{"edge1/front", "edge1/gate"}, problems); d != "" {
		t.Errorf("%s\n%v", d, f.Problems())
	}
}

// A camera has the login that the file names, else the most precise glob's.
func TestSet_credentials(t *testing.T) {
	login := func(user string, globs ...string) fleet.Login {
		return fleet.Login{Credentials: fleet.Credentials{Username: user, Password: "canary"}, Cameras: globs}
	}
	f := fleet.New(fleet.Options{})
	f.Set(fleet.Config{
		Cameras: map[string]fleet.Settings{
			"edge1/front": {URL: "rtsp://h/"}, "edge1/yard": {URL: "rtsp://h/"}, "edge2/x": {URL: "rtsp://h/", Credentials: "named"}, "edge3/x": {URL: "rtsp://h/"}, "lab/y": {URL: "rtsp://h/", Credentials: "nothere"},
		},
		Credentials: map[string]fleet.Login{
			"all": login("all", "*"), "edges": login("edges", "edge*/*"), "one": login("one", "edge1/*"), "front": login("front", "*/x", "edge1/front"), "named": login("named"),
		},
	})
	got := map[string]string{}
	for _, c := range f.Cameras() {
		got[c.Name] = c.Credentials.Username
		text, _ := json.Marshal(c)
		if all := fmt.Sprintf("%v %+v %#v %s", c, c, c, text); strings.Contains(all, "canary") {
			t.Errorf("printed: %s", all)
		}
	}
	if d := cmp.Diff(map[string]string{"edge1/front": "front", "edge1/yard": "one", "edge2/x": "named", "edge3/x": "edges", "lab/y": ""}, got); d != "" {
		t.Error(d)
	}
}

// Aliases and videos are unique, and no camera gets one that another could have.
func TestSet_videos(t *testing.T) {
	f := fleet.New(fleet.Options{})
	set := func(aliases map[string]string) {
		c := fleet.Config{Cameras: map[string]fleet.Settings{}}
		for camera, alias := range aliases {
			c.Cameras[camera] = fleet.Settings{URL: "rtsp://h/", Alias: alias}
		}
		f.Set(c)
	}
	videos := func() map[string]string {
		got := map[string]string{}
		for _, c := range f.Cameras() {
			got[c.Name] = c.Video
			if (c.Video == "") != (c.GUID == "") || c.GUID != "" && c.GUID != fleet.GUID(c.Video) {
				t.Errorf("%s: video %q, guid %q", c.Name, c.Video, c.GUID)
			}
		}
		return got
	}
	set(map[string]string{"a/b": "door", "a/c": "door", "a.b/c": "", "a-b/c": "", "d/o": "", "x/y": "d-o", "m_n/o.p": "", "q/r": "not valid"})
	want := map[string]string{"a/b": "door", "a/c": "a-c", "a.b/c": "", "a-b/c": "", "d/o": "", "x/y": "d-o", "m_n/o.p": "m-n-o-p", "q/r": "q-r"}
	if d := cmp.Diff(want, videos()); d != "" {
		t.Error(d)
	}
	if n := len(f.Problems()); n != 5 {
		t.Errorf("%v", f.Problems())
	}
	set(map[string]string{"a.b/c": "gate", "a-b/c": ""})
	if d := cmp.Diff(map[string]string{"a.b/c": "gate", "a-b/c": "a-b-c"}, videos()); d != "" {
		t.Error(d)
	}
	if c, _, err := f.Lookup("gate"); err != nil || c.Name != "a.b/c" {
		t.Errorf("%+v %v", c, err)
	}
}

// The UUID of a video never changes: recordings and tokens have it.
func TestGUID(t *testing.T) {
	if got, want := fleet.GUID("edge1-front"), "6aed5e27-18d7-5ba0-9dc8-53a265c459ef"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A hub that answers late does not delay the cameras of another. A read that its caller
// abandons is no failure of the hub.
func TestRefresh_slowHub(t *testing.T) {
	released := make(chan struct{})
	slow := fakeHub(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-released:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(released) }) // before the hub closes
	f := fleet.New(fleet.Options{})
	f.Set(fleet.Config{Hubs: map[string]fleet.Hub{
		"fast": {Discover: true, Client: hubWith(t, twinRow("edge1", "m", `{"front":{"host":"h"}}`))}, "slow": {Discover: true, Client: slow},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Refresh(ctx) }()
	tick, late := time.NewTicker(time.Millisecond), time.NewTimer(time.Minute)
	defer tick.Stop()
	defer late.Stop()
	for len(f.Cameras()) == 0 {
		select {
		case <-tick.C:
		case err := <-done: // the slow hub's request has its own limit
			t.Fatal("the cameras wait for the slow hub: ", err)
		case <-late.C:
			t.Fatal("no cameras within a minute")
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, h := range f.Hubs() {
		if h.Failure != nil {
			t.Errorf("%+v", h)
		}
	}
}
