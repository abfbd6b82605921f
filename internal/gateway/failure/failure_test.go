package failure_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

func TestFailure_json(t *testing.T) {
	f := failure.New(failure.Camera, reason.CameraRefused, errors.New("dial 10.0.0.9: canary"))
	since := time.Date(2026, 11, 29, 14, 2, 0, 123456789, time.FixedZone("", 3600))
	for want, f := range map[string]*failure.Failure{
		`{"hop":"camera","reason":"CAM_REFUSED","message":"the camera refused the connection or is unreachable"}`: f,
		`{"hop":"camera","reason":"CAM_REFUSED","message":"the camera refused the connection or is unreachable",` +
			`"since":"2026-11-29T13:02:00.123Z","retryAt":"2026-11-29T13:02:30.123Z"}`: f.At(since, since.Add(30*time.Second)),
		`{"hop":"rtsp","reason":"RTSP_BUSY","message":"text"}`:                      {Hop: failure.RTSP, Reason: reason.RTSPBusy, Message: "text"},
		`{"hop":"hub","reason":"HUB_DNS","message":"` + reason.HubDNS.Text() + `"}`: {Hop: failure.Hub, Reason: reason.HubDNS},
	} {
		if got, err := json.Marshal(f); string(got) != want || err != nil {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
	if !f.Since.IsZero() {
		t.Error("At changes its receiver")
	}
}

func TestFailure_error(t *testing.T) {
	f := failure.New(failure.Camera, reason.CameraClosed, io.EOF)
	if got, want := f.Error(), "camera: the camera closed the connection in order (CAM_CLOSED): EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := failure.New(failure.Hub, reason.HubDNS, nil).Error(), "hub: "+reason.HubDNS.Text()+" (HUB_DNS)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(f, io.EOF) {
		t.Error("the cause is not matched")
	}
}

func TestOf(t *testing.T) {
	f := failure.New(failure.Hub, reason.HubDNS, nil)
	if got := failure.Of(fmt.Errorf("open: %w", f)); got != f {
		t.Errorf("a wrapped failure becomes %v", got)
	}
	if got := failure.Of(nil); got != nil {
		t.Errorf("nil becomes %v", got)
	}
	if got := failure.Of(fmt.Errorf("open: %w", context.DeadlineExceeded)); got.Hop != failure.Gateway || got.Reason != reason.OpeningTimeout {
		t.Errorf("a deadline becomes %v", got)
	}
	if got := failure.Of(io.EOF); got.Hop != failure.Gateway || got.Reason != reason.Internal || !errors.Is(got, io.EOF) {
		t.Errorf("another error becomes %v", got)
	}
}

// The statuses that differ from 502 at a hop beyond the viewer.
func TestHTTPStatus(t *testing.T) {
	want := map[reason.Code]int{
		reason.AccessLogin: 401, reason.AccessExpired: 401, reason.AccessDenied: 403, reason.AccessThrottled: 429,
		reason.CameraUnknown: 404, reason.CameraRemoved: 404, reason.ViewerUnknown: 404, reason.RequestRoute: 404,
		reason.AccessOrigin: 403, reason.AccessHost: 421, reason.NoPicture: 404, reason.CodecNotForOutput: 409,
		reason.RequestMethod: 405, reason.RequestSize: 413, reason.RequestMediaType: 415, reason.RequestUpgrade: 426, reason.LimitEvents: 429,
		reason.LimitViewers: 429, reason.LimitOpenings: 429, reason.LimitConnections: 429, reason.LimitTunnels: 429,
		reason.ShareUnknown: 404, reason.LimitShares: 429, reason.DataFolder: 507,
		reason.ShuttingDown: 503, reason.StreamClosed: 503, reason.OpeningTimeout: 504, reason.Internal: 500,
	}
	for _, code := range reason.Codes() {
		status := want[code]
		if status == 0 {
			status = 502
		}
		if got := failure.New(failure.Gateway, code, nil).HTTPStatus(); got != status {
			t.Errorf("%s is answered %d, want %d", code, got, status)
		}
	}
	if got := failure.New(failure.Viewer, reason.ViewerTransport, nil).HTTPStatus(); got != 400 {
		t.Errorf("a viewer's fault is answered %d", got)
	}
}

func TestHops_areInOrder(t *testing.T) {
	want := []failure.Hop{"viewer", "gateway", "hub", "module", "camera", "rtsp", "media"}
	if got := failure.Hops(); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// What waiting does not heal is a configuration, a login or a limit: none of it breaks or is
// late.
func TestLasting(t *testing.T) {
	for _, code := range reason.Codes() {
		f := failure.New(failure.Camera, code, nil)
		passing := strings.Contains(string(code), "TIMEOUT") || strings.Contains(string(code), "LOST") || strings.Contains(string(code), "BUSY")
		if f.Lasting() && passing {
			t.Errorf("%s lasts", code)
		}
	}
	if !failure.New(failure.RTSP, reason.RTSPLogin, nil).Lasting() || failure.New(failure.Module, reason.ModuleOffline, nil).Lasting() {
		t.Error("a wrong password lasts, and a module that is offline does not")
	}
}
