package fleet_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a hub emulator with modules, and a fleet that discovers their cameras.
type site struct {
	*fleet.Fleet
	hub     *hubtest.Hub
	log     *logtest.Record
	changes chan []fleet.Change
}

func newSite(t *testing.T, o fleet.Options) *site {
	t.Helper()
	s := &site{hub: hubtest.Start(t, io.Discard), log: logtest.New(), changes: make(chan []fleet.Change, 100)}
	o.Log, o.Changed = zerolog.New(s.log), func(c []fleet.Change) { s.changes <- c }
	s.Fleet = fleet.New(o)
	s.Set(s.config())
	return s
}

func (s *site) config() fleet.Config {
	return fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: s.hub.Client, Discover: true}}}
}

// module makes a module that announces the model, or a device if module is empty, and sets
// its desired property cameras.
func (s *site) module(t *testing.T, device, module, cameras string) {
	t.Helper()
	added := module
	if module == "" {
		added = "unrelated"
	}
	if _, err := s.hub.AddModule(device, added); err != nil {
		t.Fatal(err)
	}
	if err := s.hub.Announce(device, module, tunnelopen.ModelID); err != nil {
		t.Fatal(err)
	}
	s.desired(t, device, module, cameras)
}

func (s *site) desired(t *testing.T, device, module, cameras string) {
	t.Helper()
	if _, err := s.hub.Client.PatchDesired(t.Context(), hubclient.Identity{Device: device, Module: module}, json.RawMessage(`{"cameras":`+cameras+`}`)); err != nil {
		t.Fatal(err)
	}
}

func (s *site) refresh(t *testing.T) {
	t.Helper()
	if err := s.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (s *site) names() []string {
	var names []string
	for _, c := range s.Cameras() {
		names = append(names, c.Name)
	}
	return names
}

func (s *site) changed(t *testing.T) []fleet.Change {
	t.Helper()
	select {
	case c := <-s.changes:
		return c
	default:
		return nil
	}
}

func TestDiscovery(t *testing.T) {
	s := newSite(t, fleet.Options{})
	s.module(t, "edge1", "rtsptunnel", `{"front":{"host":"10.0.0.1","port":"8554","localPort":5541,"streams":{
		"main":{"path":"/live?x=1","codec":"H264","width":"1920"},"sub":{"path":"/sub"}}},
		"yard":{"host":"yard.local","enabled":"False"},"bad":{"host":""},"gone":null}`)
	s.module(t, "edge.2", "", `{"gate":{"host":"10.0.0.2"}}`)
	s.module(t, "edge3", "other-model", `{"no":{"host":"h"}}`)
	if err := s.hub.Announce("edge3", "other-model", "dtmi:example:Thing;1"); err != nil {
		t.Fatal(err)
	}
	s.refresh(t)
	want := []fleet.Camera{
		{
			Name: "edge.2/gate", Video: "edge-2-gate", Hub: "main", Identity: hubclient.Identity{Device: "edge.2"}, LocalPort: 554,
			Report: fleet.Report{Known: true},
		},
		{
			Name: "edge1/front", Video: "edge1-front", Hub: "main", Identity: hubclient.Identity{Device: "edge1", Module: "rtsptunnel"}, LocalPort: 5541,
			Streams: map[string]fleet.StreamInfo{"main": {Path: "/live?x=1", Codec: "H264", Width: 1920}, "sub": {Path: "/sub"}}, Report: fleet.Report{Known: true},
		},
		{
			Name: "edge1/yard", Video: "edge1-yard", Hub: "main", Identity: hubclient.Identity{Device: "edge1", Module: "rtsptunnel"}, LocalPort: 554, Disabled: true,
			Report: fleet.Report{Known: true},
		},
	}
	if d := cmp.Diff(want, s.Cameras(), cmpopts.IgnoreFields(fleet.Camera{}, "GUID")); d != "" {
		t.Error(d)
	}
	if !strings.Contains(s.log.String(), `"module":"edge1/rtsptunnel","fault":"cameras/bad/host: must be`) {
		t.Errorf("the fault is not logged: %s", s.log)
	}
	if h := s.Hubs(); len(h) != 1 || h[0].Modules != 2 || h[0].Cameras != 3 || h[0].Faulty != 1 || h[0].Failure != nil || h[0].ReadAt.IsZero() {
		t.Errorf("%+v", h)
	}
	s.refresh(t)
	if n := strings.Count(s.log.String(), "cameras/bad/host"); n != 1 {
		t.Errorf("the fault is logged %d times", n)
	}
	for path, want := range map[string]reason.Code{
		"edge1/front": "", "edge1/front/sub": "", "edge1/front/main": "", "edge1/front/far": reason.CameraUnknown, "edge.2/gate": reason.PathUnknown,
		"edge.2/gate/sub": reason.PathUnknown, "edge1/yard": reason.CameraDisabled, "edge1/bad": reason.CameraUnknown, "edge1": reason.CameraUnknown, "..": reason.CameraUnknown,
	} {
		camera, _, err := s.Lookup(path)
		if got := failure.Of(err); want == "" && err != nil || want != "" && (got == nil || got.Reason != want) {
			t.Errorf("%s: %v, %v, want %s", path, camera.Name, err, want)
		}
	}
	if camera, stream, err := s.Lookup("edge1/front/sub"); err != nil || stream != "sub" || camera.LocalPort != 5541 {
		t.Errorf("%+v %s %v", camera, stream, err)
	}
}

// Two modules of a device with a camera of one name have longer names. A device's own camera
// has the short one.
func TestDiscovery_sameNames(t *testing.T) {
	s := newSite(t, fleet.Options{})
	s.module(t, "edge1", "a", `{"front":{"host":"h","localPort":1},"yard":{"host":"h","localPort":2}}`)
	s.module(t, "edge1", "b.c", `{"front":{"host":"h","localPort":3},"gate":{"host":"h","localPort":4}}`)
	s.module(t, "edge2", "", `{"front":{"host":"h","localPort":5}}`)
	s.module(t, "edge2", "$m", `{"front":{"host":"h","localPort":6}}`)
	s.refresh(t)
	if d := cmp.Diff([]string{"edge1/a.front", "edge1/b.c.front", "edge1/gate", "edge1/yard", "edge2/$m.front", "edge2/front"}, s.names()); d != "" {
		t.Error(d)
	}
	for name, port := range map[string]int{"edge1/a.front": 1, "edge1/b.c.front": 3, "edge2/front": 5, "edge2/$m.front": 6} {
		if c, _, err := s.Lookup(name); c.LocalPort != port {
			t.Errorf("%s: %d, %v", name, c.LocalPort, err)
		}
	}
	s.desired(t, "edge1", "b.c", `{"front":null}`)
	s.refresh(t)
	if d := cmp.Diff([]string{"edge1/front", "edge1/gate"}, s.names()[:2]); d != "" {
		t.Error(d)
	}
}

func TestDiscovery_paged(t *testing.T) {
	s := newSite(t, fleet.Options{ThrottlePause: time.Millisecond})
	for i := range 260 {
		s.module(t, fmt.Sprintf("edge%03d", i), "rtsptunnel", `{"front":{"host":"h","streams":{"main":{"path":"/"}}}}`)
	}
	s.refresh(t)
	if n := len(s.Cameras()); n != 260 || s.Cameras()[259].Name != "edge259/front" {
		t.Errorf("%d cameras", n)
	}
	if err := s.hub.Faults().Put(faults.Rules{REST: &faults.REST{ThrottleNext: 3}}); err != nil {
		t.Fatal(err)
	}
	s.refresh(t) // throttled requests are sent again
	if n := len(s.Cameras()); n != 260 || s.changed(t) != nil {
		t.Errorf("%d cameras", n)
	}
}

// What a module's twin says changes only its own cameras, and streams end where they must.
func TestChanges(t *testing.T) {
	s := newSite(t, fleet.Options{})
	const before = `{"a":{"host":"h","localPort":1,"streams":{"main":{"path":"/"},"sub":{"path":"/s"}}},"b":{"host":"h","localPort":2},
		"c":{"host":"h","localPort":3},"d":{"host":"h","localPort":4,"streams":{"main":{"path":"/"}}},"e":{"host":"h","localPort":5}}`
	s.module(t, "edge1", "rtsptunnel", before)
	s.refresh(t)
	if c := s.changed(t); c != nil {
		t.Errorf("new cameras are changes: %v", c)
	}
	s.desired(t, "edge1", "rtsptunnel", `{"a":{"host":"other","streams":{"sub":null,"main":{"path":"/new"}}},"b":null,"c":{"localPort":33},"d":{"enabled":false},"e":{"localPort":0},"f":{"host":"h","localPort":6}}`)
	s.refresh(t)
	want := []fleet.Change{
		{Camera: "edge1/a", Stream: "main", Reason: reason.CameraChanged},
		{Camera: "edge1/a", Stream: "sub", Reason: reason.CameraRemoved},
		{Camera: "edge1/b", Reason: reason.CameraRemoved},
		{Camera: "edge1/c", Reason: reason.CameraChanged},
		{Camera: "edge1/d", Reason: reason.CameraDisabled},
	}
	if d := cmp.Diff(want, s.changed(t)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"edge1/a", "edge1/c", "edge1/d", "edge1/e", "edge1/f"}, s.names()); d != "" {
		t.Errorf("a camera with a fault keeps its last valid configuration: %s", d)
	}
	s.desired(t, "edge1", "rtsptunnel", `"none"`)
	s.refresh(t)
	if c := s.changed(t); c != nil || len(s.names()) != 5 {
		t.Errorf("an invalid section: %v, %v", c, s.names())
	}
	if err := s.hub.Announce("edge1", "rtsptunnel", ""); err != nil {
		t.Fatal(err)
	}
	s.refresh(t)
	if c := s.changed(t); c != nil {
		t.Errorf("a module that one read misses: %v", c)
	}
	s.refresh(t)
	if c := s.changed(t); len(c) != 5 || c[4] != (fleet.Change{Camera: "edge1/f", Reason: reason.CameraRemoved}) {
		t.Errorf("a module that is gone: %v", c)
	}
}

// A hub that does not answer keeps its cameras, and tells since when it does not.
func TestOutage(t *testing.T) {
	s := newSite(t, fleet.Options{})
	s.module(t, "edge1", "rtsptunnel", `{"front":{"host":"h","streams":{"main":{"path":"/"}}}}`)
	s.refresh(t)
	s.hub.Stop(t)
	begin := time.Now()
	first, second := failure.Of(s.Refresh(t.Context())), failure.Of(s.Refresh(t.Context()))
	for _, f := range []*failure.Failure{first, second} {
		if f == nil || f.Hop != failure.Hub || f.Reason != reason.HubRefused || f.Since.Before(begin) || !f.Since.Equal(first.Since) {
			t.Fatalf("%+v", f)
		}
	}
	if h := s.Hubs()[0]; !h.Failure.Since.Equal(first.Since) || h.Cameras != 1 || h.ReadAt.IsZero() {
		t.Errorf("%+v", h)
	}
	if _, _, err := s.Lookup("edge1/front"); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Lookup("edge1/side"); failure.Of(err).Reason != reason.CameraUnknown {
		t.Error(err)
	}
	if c := s.changed(t); c != nil {
		t.Errorf("%v", c)
	}
	if n := strings.Count(s.log.String(), "cannot read cameras"); n != 1 {
		t.Errorf("%d lines:\n%s", n, s.log)
	}
	fresh := fleet.New(fleet.Options{})
	fresh.Set(s.config())
	if err := fresh.Refresh(t.Context()); failure.Of(err).Reason != reason.HubRefused {
		t.Error(err)
	}
	if _, _, err := fresh.Lookup("edge1/front"); failure.Of(err).Reason != reason.HubRefused || failure.Of(err).Since.IsZero() {
		t.Errorf("a hub that never answered: %v", err)
	}
	s.hub.StartAgain(t)
	s.refresh(t)
	if h := s.Hubs()[0]; h.Failure != nil || h.Cameras != 1 {
		t.Errorf("%+v", h)
	}
	if !strings.Contains(s.log.String(), "can be read again") {
		t.Error(s.log)
	}
}

// A hub that refuses the credentials is another failure.
func TestOutage_denied(t *testing.T) {
	s := newSite(t, fleet.Options{})
	parts := strings.SplitAfter(s.hub.OwnerConnectionString(), "SharedAccessKey=")
	client, err := hubclient.New(parts[0]+"Y2FuYXJ5", hubclient.Options{Roots: s.hub.CA().Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s.Set(fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: client, Discover: true}}})
	if f := failure.Of(s.Refresh(t.Context())); f.Reason != reason.HubLogin || strings.Contains(f.Error()+s.log.String(), "Y2FuYXJ5") {
		t.Errorf("%v\n%s", f, s.log)
	}
}

// Only so many cameras and modules of a hub are kept.
func TestDiscovery_bounded(t *testing.T) {
	s := newSite(t, fleet.Options{MaxCameras: 5})
	for _, device := range []string{"a", "b", "c"} {
		s.module(t, device, "m", `{"x":{"host":"h","localPort":1},"y":{"host":"h","localPort":2}}`)
	}
	s.refresh(t)
	if h := s.Hubs()[0]; h.Cameras != 4 || !h.Cut || len(s.Cameras()) != 4 {
		t.Errorf("%+v", h)
	}
	if !strings.Contains(s.log.String(), "more cameras than the gateway keeps") {
		t.Error(s.log)
	}
	for i := range 6 {
		s.module(t, fmt.Sprintf("a%d", i), "m", `{}`)
	}
	s.refresh(t)
	if h := s.Hubs()[0]; h.Modules != 5 || !h.Cut {
		t.Errorf("%+v", h)
	}
}

// A lookup of an unknown name makes Run read the hubs, but not more often than MinInterval.
func TestRun_onDemand(t *testing.T) {
	s := newSite(t, fleet.Options{Interval: time.Hour, MinInterval: 50 * time.Millisecond})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(t.Context())
	}()
	t.Cleanup(func() { <-done })
	s.await(t, func() bool { return !s.Hubs()[0].ReadAt.IsZero() })
	s.module(t, "edge1", "rtsptunnel", `{"front":{"host":"h","streams":{"main":{"path":"/"}}}}`)
	s.await(t, func() bool {
		_, _, err := s.Lookup("edge1/front")
		return err == nil
	})
}

func (s *site) await(t *testing.T, reached func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.NewTimer(time.Minute)
	defer tick.Stop()
	defer late.Stop()
	for !reached() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("not reached within a minute: %+v", s.Cameras())
		}
	}
}

// A hub may answer anything: what is no twin of a module is left out.
func TestDiscovery_garbage(t *testing.T) {
	rows := []string{
		`7`, `null`, `[]`, `{}`, `{"deviceId":7}`, `{"deviceId":"a b","moduleId":"m","cameras":{"x":{"host":"h"}}}`,
		`{"deviceId":"d1","moduleId":"m","connectionState":"Connected","lastActivityTime":"x","cameras":[],"cameraStatus":[],"condition":7}`,
		`{"deviceId":"d2","moduleId":"m","connectionState":"Connected","cameras":{"x":{"host":"h","localPort":9},"y":{"host":"h"}},"condition":"canary","cameraStatus":{
			"x":{"state":"canary","since":"2026-11-30T01:00:00Z","lastReason":"canary","open":-3},"y":{"state":"unreachable","since":"2026-11-30T01:00:00Z","lastReason":"CAM_TIMEOUT","open":2},
			"z":{"state":"ok"},"w":7}}`,
		`{"deviceId":"..","moduleId":"m","cameras":{"x":{"host":"h"}}}`,
		`{"deviceId":"d2","moduleId":"m","cameras":{"again":{"host":"h"}}}`,
		`{"deviceId":"d3","moduleId":"m","connectionState":"Disconnected","lastActivityTime":"2026-11-29T23:00:00","cameras":{"x":{"host":"h"}}}`,
	}
	log := logtest.New()
	s := fleet.New(fleet.Options{Log: zerolog.New(log), ThrottlePause: time.Millisecond})
	throttled := 0
	s.Set(fleet.Config{Hubs: map[string]fleet.Hub{"main": {Discover: true, Client: fakeHub(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case !strings.Contains(string(body), "devices.modules"):
			_, _ = io.WriteString(w, `[]`)
		case r.Header.Get("x-ms-continuation") == "":
			w.Header().Set("x-ms-continuation", "more")
			_, _ = io.WriteString(w, `[`+strings.Join(rows[:3], ",")+`]`)
		case throttled < 3:
			throttled++
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			_, _ = io.WriteString(w, `[`+strings.Join(rows[3:], ",")+`]`)
		}
	})}}})
	if err := s.Refresh(t.Context()); err != nil || throttled != 3 {
		t.Fatalf("%v, throttled %d times", err, throttled)
	}
	reports := map[string]fleet.Report{}
	for _, c := range s.Cameras() {
		reports[c.Name] = c.Report
	}
	when := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	if d := cmp.Diff(map[string]fleet.Report{
		"d2/x": {Known: true, Connected: true, StateSince: when},
		"d2/y": {Known: true, Connected: true, State: "unreachable", StateSince: when, LastReason: reason.CameraTimeout, OpenTunnels: 2},
		"d3/x": {Known: true, Since: when.Add(-2 * time.Hour)},
	}, reports); d != "" {
		t.Error(d)
	}
	if strings.Contains(log.String(), "canary") {
		t.Error(log)
	}
	for _, c := range s.Cameras() {
		f := c.Trouble()
		switch want := map[string]reason.Code{"d2/y": reason.CameraTimeout, "d3/x": reason.ModuleOffline}[c.Name]; {
		case want == "" && f != nil, want != "" && (f == nil || f.Reason != want || f.Since.IsZero()):
			t.Errorf("%s: %v", c.Name, f)
		}
	}
	if p := s.Problems(); len(p) != 2 || p[0].Camera != "../x" || p[1].Camera != "a b/x" {
		t.Errorf("%v", p)
	}
}

// A read logs at most 20 new faults by name, then their number.
func TestDiscovery_manyFaults(t *testing.T) {
	var rows []string
	for i := range 30 {
		rows = append(rows, twinRow(fmt.Sprintf("edge%d", i), "m", `{"x":7}`))
	}
	log := logtest.New()
	f := fleet.New(fleet.Options{Log: zerolog.New(log)})
	f.Set(fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: hubWith(t, rows...), Discover: true}}})
	for range 2 {
		if err := f.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), `"fault":"cameras/x: must be an object"`); n != 20 || log.CountFields(t, "modules=30") != 1 {
		t.Errorf("%d faults are logged:\n%s", n, log)
	}
	if h := f.Hubs()[0]; h.Faulty != 30 || h.Modules != 30 {
		t.Errorf("%+v", h)
	}
}

// A new file keeps the cameras of a hub that it still has, and removes the others at once.
func TestSet_keepsDiscovered(t *testing.T) {
	s := newSite(t, fleet.Options{})
	s.module(t, "edge1", "rtsptunnel", `{"front":{"host":"h","streams":{"main":{"path":"/"}}}}`)
	s.refresh(t)
	client, err := hubclient.New(s.hub.OwnerConnectionString(), hubclient.Options{Roots: s.hub.CA().Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c := fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: client, Discover: true}}}
	s.Set(c)
	if n := len(s.Cameras()); n != 1 || s.changed(t) != nil {
		t.Errorf("%d cameras", n)
	}
	c.Cameras = map[string]fleet.Settings{"edge1/front": {Title: "x", KeepOpen: true}}
	s.Set(c)
	if front, _, err := s.Lookup("edge1/front"); err != nil || front.Title != "x" || s.changed(t) != nil {
		t.Errorf("%+v %v", front, err)
	}
	c.Hubs["main"] = fleet.Hub{Client: client}
	s.Set(c)
	if d := cmp.Diff([]fleet.Change{{Camera: "edge1/front", Reason: reason.CameraRemoved}}, s.changed(t)); d != "" {
		t.Error(d)
	}
}
