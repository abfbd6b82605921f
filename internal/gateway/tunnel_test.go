package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/testkit/rtsptest"
)

// A player gets the camera's pictures through hub, module and tunnel. 100 players are one
// tunnel and one session of the camera, which close after the last one.
func TestTunnel(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	first, leave := context.WithCancel(t.Context())
	var players sync.WaitGroup
	players.Go(func() { // holds the stream open while the others come and go
		_, _ = rtsptest.Pull(first, s.url(t, "edge1/front", "ops", s.admin), 1_000_000)
	})
	s.log.AwaitFields(t, 1, "camera=edge1/front", "message=viewer started")
	var others sync.WaitGroup
	for range 99 {
		others.Go(func() {
			got, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "edge1/front", "ops", s.admin), 5)
			if err == nil {
				err = got.MatchClip("front")
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	others.Wait()
	if n := s.front.Sessions(); n != 1 {
		t.Errorf("the camera has %d sessions", n)
	}
	if _, body := s.get(t, "/metrics"); !strings.Contains(body, "\ntunnelgateway_tunnels{state=\"open\"} 1\n") {
		t.Error("there is not one tunnel")
	}
	leave()
	players.Wait()
	s.log.AwaitFields(t, 1, "stream=edge1/front/main", "message=stream closed")
	if n := s.log.CountFields(t, "message=tunnel opened"); n != 1 {
		t.Errorf("%d tunnels were opened", n)
	}
	if got, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "door", "ops", s.admin), 1); err != nil || got.Frames != 1 {
		t.Errorf("by the video's name: %v", err)
	}
}

// A drain closes tunnels in order, and the player ends with a reason.
func TestTunnel_drain(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	ended := make(chan error, 1)
	go func() {
		_, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "edge1/yard", "ops", s.admin), 1_000_000)
		ended <- err
	}()
	s.log.AwaitFields(t, 1, "camera=edge1/yard", "message=viewer started")
	if err := s.end(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the player was not ended")
	}
	s.log.AwaitFields(t, 1, "message=viewer ended", "reason=SHUTTING_DOWN")
	s.log.AwaitFields(t, 1, "message=tunnel closed", "reason=SHUTTING_DOWN")
	s.moduleLog.AwaitFields(t, 1, "closedBy=remote", "reason=WS_CLOSED")
}

// Operators see cameras and viewers, and end both.
func TestAPI(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	ended := make(chan error, 1)
	watch := func() {
		_, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "edge1/yard", "ops", s.admin), 1_000_000)
		ended <- err
	}
	go watch()
	s.log.AwaitFields(t, 1, "stream=edge1/yard/main", "message=stream opened")
	status, body := s.api(t, http.MethodGet, "/api/cameras/edge1/yard", s.admin)
	if status != http.StatusOK || !strings.Contains(body, `"state":"live"`) || !strings.Contains(body, `"codec":"H264"`) {
		t.Errorf("%d %s", status, body)
	}
	if status, body := s.api(t, http.MethodPost, "/api/cameras/edge1/yard:close", s.admin); status >= 300 {
		t.Errorf("%d %s", status, body)
	}
	if err := <-ended; err == nil {
		t.Error("the viewer of a closed stream ended without an error")
	}
	for _, path := range []string{"/api//cameras", "//api/cameras", "/api/cameras/edge1/../edge1/yard", "/tunnel/../api/cameras"} {
		if status, body := s.api(t, http.MethodGet, path, s.admin); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/api/cameras", "/api/viewers"} {
		if status, body := s.api(t, http.MethodGet, path, "rtt_wrong"); status != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token: %d %s", path, status, body)
		}
	}
}

// A diagnosis asks all hops: by the API, and where no gateway runs.
func TestDiagnose(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	hops := func(r diagnose.Result) (list []failure.Hop) {
		for _, step := range r.Steps {
			list = append(list, step.Hop)
		}
		return list
	}
	want := []failure.Hop{failure.Hub, failure.Module, failure.Camera, failure.Gateway, failure.RTSP, failure.Media}
	status, body := s.api(t, http.MethodPost, "/api/cameras/edge1/front:diagnose", s.admin)
	var result diagnose.Result
	if err := json.Unmarshal([]byte(body), &result); err != nil || status != http.StatusOK || !result.OK || !slices.Equal(hops(result), want) {
		t.Errorf("%d %s, %v", status, body, err)
	}
	if status, body := s.api(t, http.MethodPost, "/api/cameras/edge1/front:diagnose", s.wall); status != http.StatusForbidden {
		t.Errorf("a viewer's diagnosis: %d %s", status, body)
	}
	c, err := config.Load(config.Options{File: s.file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Diagnose(t.Context(), c, "door"); !errors.Is(err, gateway.ErrRunning) {
		t.Errorf("beside a running gateway: %v", err)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if result, err = gateway.Diagnose(t.Context(), c, "door"); err != nil || !result.OK || !slices.Equal(hops(result), want) {
		t.Errorf("%+v, %v", result, err)
	}
	for _, f := range gateway.Check(t.Context(), c) {
		if f.State != gateway.OK && !strings.HasSuffix(f.Text, " lab/*") || f.What == "hubs.main.discover" && f.Text != "cameras: 2, modules: 1" {
			t.Errorf("%+v", f)
		}
	}
	s.hub.Stop(t)
	if result, err := gateway.Diagnose(t.Context(), c, "lab/none"); failure.Of(err).Reason != reason.HubRefused {
		t.Errorf("without the hub: %+v, %v", result, err)
	}
}

// Check names what the file expects of the cameras, and is not there.
func TestCheck_cameras(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	s.desire(t, map[string]any{"garden": map[string]any{"host": "127.0.0.1", "localPort": 99, "streams": map[string]any{"main": map[string]any{"path": "no"}}}})
	if _, err := rtsptest.Pull(within(t, time.Minute), s.url(t, "edge1/none", "ops", s.admin), 1); err == nil { // makes the gateway read the hub
		t.Error("a camera that is not there was pulled")
	}
	s.log.AwaitFields(t, 1, "module=edge1/"+s.hub.ID.Module, "message=a module's twin has cameras with faults; their last valid configuration stays")
	s.reload <- struct{}{} // a turn of the loop
	s.reload <- struct{}{}
	if _, body := s.get(t, "/readyz"); !strings.Contains(body, `"part":"twins"`) || !strings.Contains(body, "cameras/garden/streams/main/path") {
		t.Errorf("no fault of a twin in %s", body)
	}
	c, err := config.Load(config.Options{File: s.file})
	if err != nil {
		t.Fatal(err)
	}
	c.Cameras["edge1/gate"] = config.Camera{Title: "is in no twin"}
	c.Credentials["none"] = config.Credentials{Username: "x", Cameras: []string{"edge1/*", "edge9/*"}}
	var seen []string
	for _, f := range gateway.Check(t.Context(), c) {
		if f.State != gateway.OK {
			seen = append(seen, string(f.State)+" "+f.What+" "+f.Text)
		}
	}
	all := strings.Join(seen, "\n")
	for _, want := range []string{
		"warning hubs.main.discover modules whose twins have cameras with faults: 1; the first: edge1/", "cameras/garden/streams/main/path",
		"warning cameras edge1/gate is in the file, but no hub", "warning credentials.none no camera has a name like edge9/*", "warning access.tokens[1] no camera has a name like lab/*",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q", want)
		}
	}
	if len(seen) != 4 || strings.Contains(all, "edge1/*") {
		t.Errorf("got\n%s", all)
	}
}
