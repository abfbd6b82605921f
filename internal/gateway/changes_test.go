package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// cameraEvent is what these tests read of an event.
type cameraEvent struct {
	kind, Name, State string
	Failure           struct{ Hop, Reason string }
}

// events reads the events of cameras of a running gateway until the test ends.
func (r *running) events(t *testing.T, token string) (next func() cameraEvent) {
	t.Helper()
	request, err := http.NewRequestWithContext(within(t, time.Minute), "GET", "http://"+r.address(t, "public")+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() cameraEvent {
		var e cameraEvent
		for lines.Scan() {
			line := lines.Text()
			switch {
			case strings.HasPrefix(line, "event: "):
				e.kind = line[len("event: "):]
			case strings.HasPrefix(line, "data: "):
				if err := json.Unmarshal([]byte(line[len("data: "):]), &e); err != nil {
					t.Fatal(err)
				}
			case line == "" && e.kind != "":
				return e
			}
		}
		t.Fatalf("the events ended: %v", lines.Err())
		return e
	}
}

// until reads events to the first one of a kind with a name and a state.
func until(t *testing.T, next func() cameraEvent, kind, name, state string) {
	t.Helper()
	for {
		if e := next(); e.kind == kind && e.Name == name && e.State == state {
			return
		}
	}
}

// A client that reads events sees a camera open, play and close, and cameras that the file adds
// and removes.
func TestEvents(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	cameras := "cameras: { lab/front: { url: '" + camera.URL() + "' }"
	r := start(t, cameras+" }\nlive: { grace: 0s }\n")
	next := r.events(t, r.wall)
	until(t, next, "camera", "lab/front", "idle")
	until(t, next, "snapshot", "", "")
	for range 2 {
		ctx, leave := context.WithCancel(within(t, time.Minute))
		left := make(chan struct{})
		go func() {
			defer close(left)
			_, _ = rtsptest.Pull(ctx, r.url(t, "lab/front", "wall", r.wall), 1<<20) // ends with ctx
		}()
		until(t, next, "camera", "lab/front", "live")
		leave()
		<-left
		until(t, next, "camera", "lab/front", "idle")
	}
	r.write(t, r.configuration(t, cameras+", lab/back: { url: '"+camera.URL()+"' } }\nlive: { grace: 0s }\n"))
	r.reload <- struct{}{}
	until(t, next, "camera", "lab/back", "idle")
	r.write(t, r.configuration(t, "cameras: { lab/back: { url: '"+camera.URL()+"' } }\nlive: { grace: 0s }\n"))
	r.reload <- struct{}{}
	until(t, next, "removed", "lab/front", "")
}

// A camera that does not answer is an event with its hop and reason.
func TestEvents_failure(t *testing.T) {
	camera := startCamera(t, rtsptest.Options{})
	url := camera.URL()
	camera.Close()
	r := start(t, "cameras: { lab/front: { url: '"+url+"' } }\n")
	next := r.events(t, r.wall)
	until(t, next, "snapshot", "", "")
	if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 1); err == nil {
		t.Fatal("a closed camera plays")
	}
	for {
		if e := next(); e.Failure.Reason == "CAM_REFUSED" && e.Failure.Hop == "camera" {
			return
		}
	}
}
