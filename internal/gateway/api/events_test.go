package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/stream"
)

// events is one client of GET /api/events.
type events struct {
	t    *testing.T
	in   *bufio.Scanner
	body interface{ Close() error }
}

// subscribe begins to read events. The client ends with the test.
func (g *gateway) subscribe(headers ...string) (*events, *http.Response) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", g.address+"/api/events", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { cancel(); response.Body.Close() })
	e := &events{t: g.t, in: bufio.NewScanner(response.Body), body: response.Body}
	e.in.Buffer(nil, 1<<20)
	return e, response
}

// as are the headers of a client with a token.
func as(token string) []string { return []string{"Authorization", "Bearer " + token} }

// next returns the next event, without comments.
func (e *events) next() (kind, data string, ok bool) {
	for e.in.Scan() {
		line := e.in.Text()
		switch {
		case line == "" && kind != "":
			return kind, data, true
		case strings.HasPrefix(line, "event: "):
			kind = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		}
	}
	return "", "", false
}

// want checks the next event: its kind, the camera's name and its state.
func (e *events) want(kind, name, state string) {
	e.t.Helper()
	got, data, ok := e.next()
	var camera struct{ Name, State string }
	if err := json.Unmarshal([]byte(data), &camera); err != nil || !ok || got != kind || camera.Name != name || camera.State != state {
		e.t.Fatalf("event %q %s, %v; want %s of %s %s", got, data, err, kind, name, state)
	}
}

// change changes the state of a camera's stream main, and tells the API.
func (g *gateway) change(camera string, phase stream.Phase) {
	g.mu.Lock()
	g.states[camera+"/main"] = stream.State{Phase: phase}
	changed := g.changed
	g.mu.Unlock()
	changed(camera)
}

// setCameras replaces the cameras, and tells the API.
func (g *gateway) setCameras(cameras ...api.Camera) {
	g.mu.Lock()
	g.cameras = cameras
	changed := g.changed
	g.mu.Unlock()
	changed("")
}

func (g *gateway) counts() (watches, looks int, watched bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watches, g.looks, g.changed != nil
}

func TestEvents(t *testing.T) {
	c := camera("edge1/front")
	c.Title = "<b>\n</b>"
	g := start(t, camera("edge1/back"), c, camera("edge2/front"))
	e, response := g.subscribe(as(g.wall)...)
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%s, Content-Type %q", response.Status, got)
	}
	e.want("camera", "edge1/back", "idle")
	kind, data, _ := e.next()
	if kind != "camera" || strings.ContainsAny(data, "<>") || !strings.Contains(data, `\n`) {
		t.Errorf("event %s %s", kind, data)
	}
	_, list := g.call("GET", "/api/cameras?after=edge1/back", g.wall)
	if !strings.Contains(list, data) {
		t.Errorf("the event %s is not in the list %s", data, list)
	}
	e.want("snapshot", "", "")
	g.change("edge2/front", stream.PhaseOpening) // is not covered
	g.change("edge1/back", stream.PhaseOpening)
	e.want("camera", "edge1/back", "opening")
	g.change("edge1/back", stream.PhaseOpening) // nothing changes
	g.change("edge1/back", stream.PhaseLive)
	e.want("camera", "edge1/back", "live")
	g.setCameras(camera("edge1/back"), camera("edge1/new"), camera("edge2/front"))
	e.want("camera", "edge1/new", "idle")
	e.want("removed", "edge1/front", "")
	g.change("edge1/new", stream.PhaseLive)
	e.want("camera", "edge1/new", "live")
	g.setCameras(camera("edge1/back"), camera("edge1/front"), camera("edge1/new"))
	e.want("camera", "edge1/front", "idle")
}

// One look at a camera serves all clients, and many changes of a camera make few events.
func TestEvents_shared(t *testing.T) {
	g := start(t, camera("edge1/front"))
	var all []*events
	for range 20 {
		e, _ := g.subscribe(as(g.admin)...)
		e.want("camera", "edge1/front", "idle")
		e.want("snapshot", "", "")
		all = append(all, e)
	}
	watches, before, _ := g.counts()
	const changes = 1000
	began := time.Now()
	for range changes {
		g.change("edge1/front", stream.PhaseOpening)
	}
	g.change("edge1/front", stream.PhaseLive)
	for _, e := range all {
		for state := ""; state != "live"; {
			_, data, ok := e.next()
			if !ok {
				t.Fatal("the events ended")
			}
			state = document[struct{ State string }](t, data).State
		}
	}
	for i := range 6 { // one after the other: they are late, but none is lost
		phase := []stream.Phase{stream.PhaseClosing, stream.PhaseLive}[i%2]
		g.change("edge1/front", phase)
		all[0].want("camera", "edge1/front", string(phase))
	}
	_, after, _ := g.counts()
	if most := 2 + int(time.Since(began)/api.EventsEvery); watches != 1 || after-before > most {
		t.Errorf("%d watches, and %d looks at the camera for %d changes, want %d", watches, after-before, changes, most)
	}
}

// The watching ends with the last client, and begins with the next one.
func TestEvents_lifecycle(t *testing.T) {
	g := start(t, camera("edge1/front"))
	for round := 1; round <= 3; round++ {
		e, _ := g.subscribe(as(g.admin)...)
		e.want("camera", "edge1/front", "idle")
		if watches, _, watched := g.counts(); watches != round || !watched {
			t.Errorf("round %d: %d watches, now %v", round, watches, watched)
		}
		e.body.Close()
		g.log.AwaitFields(t, round, "path=/api/events", "status=200") // is written when the handler has returned
		if _, _, watched := g.counts(); watched {
			t.Errorf("round %d: watched without a client", round)
		}
	}
	if response, body := g.call("HEAD", "/api/events", g.admin); response.StatusCode != 200 || body != "" {
		t.Errorf("HEAD: %s", response.Status)
	}
}

// The events end when the token is removed, loses cameras or expires, and when all browsers
// are logged out.
func TestEvents_end(t *testing.T) {
	const nothing = ""
	for name, c := range map[string]struct {
		act  func(g *gateway)
		want reason.Code
	}{
		"removed": {func(g *gateway) { g.access.Set(g.tokens[:2]) }, reason.AccessLogin},
		"other rights": {func(g *gateway) {
			g.tokens[2].Cameras = []string{"edge2/*"}
			g.access.Set(g.tokens)
		}, nothing},
		"expired": {func(g *gateway) {
			g.tokens[2].Expires = time.Now()
			g.access.Set(g.tokens)
		}, reason.AccessExpired},
		"unchanged": {func(*gateway) {}, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			g := start(t, camera("edge1/front"))
			e, _ := g.subscribe(as(g.wall)...)
			e.want("camera", "edge1/front", "idle")
			e.want("snapshot", "", "")
			c.act(g)
			g.api.Review()
			if c.want == "none" {
				g.change("edge1/front", stream.PhaseLive)
				e.want("camera", "edge1/front", "live")
				return
			}
			kind, data, ok := e.next()
			if c.want == nothing {
				if ok {
					t.Errorf("event %s %s", kind, data)
				}
				return
			}
			if kind != "failure" || document[problem](t, data).Reason != string(c.want) {
				t.Errorf("event %s %s", kind, data)
			}
			if _, _, ok := e.next(); ok {
				t.Error("the events go on")
			}
		})
	}
}

func TestEvents_logout(t *testing.T) {
	g := start(t, camera("edge1/front"))
	cookie := g.loggedIn(g.wall)
	e, _ := g.subscribe("Cookie", cookie.Name+"="+cookie.Value)
	e.want("camera", "edge1/front", "idle")
	e.want("snapshot", "", "")
	g.send("POST", "/logout", `{"all":true}`, g.page(cookie)...)
	kind, data, _ := e.next()
	if kind != "failure" || document[problem](t, data).Reason != string(reason.AccessLogin) {
		t.Errorf("event %s %s", kind, data)
	}
}

// A token that expires ends the events without another change.
func TestEvents_expiry(t *testing.T) {
	g := start(t, camera("edge1/front"))
	began := time.Now()
	g.tokens[2].Expires = began.Add(time.Second)
	g.access.Set(g.tokens)
	e, _ := g.subscribe(as(g.wall)...)
	e.want("camera", "edge1/front", "idle")
	e.want("snapshot", "", "")
	kind, data, _ := e.next()
	if kind != "failure" || document[problem](t, data).Reason != string(reason.AccessExpired) {
		t.Errorf("event %s %s", kind, data)
	}
	if took := time.Since(began); took > 15*time.Second { // the next comment would end them, too
		t.Errorf("the events of an expired token ended after %s", took)
	}
}

// One client that opens a thousand connections gets 64, and all clients together a thousand.
func TestEvents_limits(t *testing.T) {
	g := start(t, camera("edge1/front"))
	for i := range 70 {
		_, response := g.subscribe(append(as(g.admin), "X-Test-Client", "2001:db8::"+fmt.Sprint(i+1))...) // of one network
		want := http.StatusOK
		if i >= 64 {
			want = http.StatusTooManyRequests
		}
		if response.StatusCode != want || want != 200 && response.Header.Get("Retry-After") == "" {
			t.Fatalf("connection %d of a client: %s", i+1, response.Status)
		}
	}
	granted := 64
	tokens := []string{g.wall, g.site, g.admin}
	for _, clear := range tokens[:2] {
		for i := range 300 {
			_, response := g.subscribe(append(as(clear), "X-Test-Client", fmt.Sprintf("10.%d.%d.1", i/256, i%256))...)
			if response.StatusCode == http.StatusOK {
				granted++
			}
		}
	}
	if granted != 64+2*256 {
		t.Errorf("%d connections of three tokens", granted)
	}
}

// A client that does not read is ended, and costs the others nothing.
func TestEvents_slow(t *testing.T) {
	var cameras []api.Camera
	for i := range 5000 {
		c := camera(fmt.Sprintf("edge1/c%04d", i))
		c.Title = strings.Repeat("x", 1000)
		cameras = append(cameras, c)
	}
	g := start(t, cameras...)
	g.api.SetEventStall(time.Second)
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n", g.admin); err != nil {
		t.Fatal(err)
	}
	e, _ := g.subscribe(as(g.admin)...)
	for range cameras {
		if kind, _, _ := e.next(); kind != "camera" {
			t.Fatalf("event %s", kind)
		}
	}
	e.want("snapshot", "", "")
	g.change("edge1/c0007", stream.PhaseLive)
	e.want("camera", "edge1/c0007", "live")
	g.log.AwaitFields(t, 1, "path=/api/events") // the slow one's
	g.change("edge1/c0007", stream.PhaseClosing)
	e.want("camera", "edge1/c0007", "closing")
}
