package tunnel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
)

// counted counts a site's dials.
func counted(cameras, remotes *atomic.Int32) func(*tunnel.Options) {
	return func(o *tunnel.Options) {
		dialCamera, dialRemote := o.DialCamera, o.Remote
		o.DialCamera = func(ctx context.Context, c camera.Camera) (net.Conn, error) {
			cameras.Add(1)
			return dialCamera(ctx, c)
		}
		o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
			remotes.Add(1)
			return dialRemote(ctx, r)
		}
	}
}

// all selects every tunnel.
func all(tunnel.Info) bool { return true }

// wantRefused fails the test unless err is this error of the contract.
func wantRefused(t *testing.T, err error, status int, why reason.Code, target string) {
	t.Helper()
	e, ok := errors.AsType[*tunnelopen.Error](err)
	if !ok || e.Status != status || e.Reason != why || e.Target != target {
		t.Errorf("got %+v, want %d %s for %s", e, status, why, target)
	}
}

// The error is the first one in the order of the checks, and nothing is dialed.
func TestOpen_checksInOrder(t *testing.T) {
	var cameras, remotes atomic.Int32
	allowed, known := false, false
	s := newSite(t, func(o *tunnel.Options) {
		counted(&cameras, &remotes)(o)
		find := o.Camera
		o.Camera = func(localPort int) (camera.Camera, bool) {
			c, _ := find(localPort)
			c.MaxTunnels = 1
			return c, known
		}
		o.Allow = func(r tunnelopen.Request) (*url.URL, error) {
			if r != request() || !allowed {
				return nil, errors.New("not in the map")
			}
			return r.URL, nil
		}
		o.Limits = tunnel.Limits{Max: 1} // not enabled
	})
	open := func() error { return s.Open(t.Context(), request()) }
	endpoint, front := request().RemoteEndpoint, "10.0.0.21:554"
	wantRefused(t, open(), 503, reason.Disabled, "tunnelOpen")
	s.Limit(tunnel.Limits{Enabled: true, Max: 1})
	wantRefused(t, open(), 400, reason.PortNotAllowed, "localhost:554")
	known = true
	wantRefused(t, open(), 403, reason.PolicyRemote, endpoint)
	if n := cameras.Load() + remotes.Load(); n != 0 {
		t.Errorf("%d dials for nothing", n)
	}
	allowed = true
	if err := open(); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, open(), 429, reason.CameraBusy, front)
	allowed = false // the policy comes before the caps
	wantRefused(t, open(), 403, reason.PolicyRemote, endpoint)
	known = false
	wantRefused(t, open(), 400, reason.PortNotAllowed, "localhost:554")
	s.shutdown(t)
	wantRefused(t, open(), 503, reason.ShuttingDown, "tunnelOpen")
	if cameras.Load() != 1 || remotes.Load() != 1 {
		t.Errorf("%d and %d dials for one tunnel", cameras.Load(), remotes.Load())
	}
	if got := s.Totals(); got.Opened != 1 || got.Failed != 7 {
		t.Errorf("%+v", got)
	}
}

// A camera's cap limits its own tunnels, and Max limits all tunnels.
func TestOpen_caps(t *testing.T) {
	s := newSite(t, func(o *tunnel.Options) {
		find := o.Camera
		o.Camera = func(localPort int) (camera.Camera, bool) {
			c, _ := find(554)
			c.Name, c.Host, c.LocalPort = fmt.Sprint("cam", localPort), "cam", localPort
			c.MaxTunnels = map[int]int{1: 2}[localPort]
			return c, true
		}
		o.Limits = tunnel.Limits{Enabled: true, Max: 4}
	})
	open := func(port int) error {
		r := request()
		r.LocalPort = port
		return s.Open(t.Context(), r)
	}
	for _, port := range []int{1, 1, 2} {
		if err := open(port); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, open(1), 429, reason.CameraBusy, "cam:1")
	if err := open(3); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, open(2), 429, reason.LimitTunnels, "cam:2")
	if s.Count("cam1") != 2 || s.Count("cam2") != 1 || s.Count("cam9") != 0 || s.Len() != 4 {
		t.Errorf("%d, %d and %d of %d", s.Count("cam1"), s.Count("cam2"), s.Count("cam9"), s.Len())
	}
	infos := s.Tunnels()
	if len(infos) != 4 || infos[3].Camera != "cam3" || infos[3].LocalPort != 3 || !infos[3].Open ||
		infos[3].URL.String() != request().RemoteEndpoint || infos[0].Since.After(infos[3].Since) {
		t.Errorf("%+v", infos)
	}
	s.Limit(tunnel.Limits{Enabled: true, Max: 2}) // ends none
	if s.Len() != 4 {
		t.Errorf("a lower cap left %d of 4 tunnels", s.Len())
	}
	s.Limit(tunnel.Limits{Enabled: true, Max: 5})
	if err := open(2); err != nil {
		t.Error(err)
	}
}

// Of a thousand calls at once the cap succeeds, and the others cause no dial.
func TestOpen_aThousandAtOnce(t *testing.T) {
	const opens, limit = 1000, 64
	var cameras, remotes atomic.Int32
	s := newSite(t, counted(&cameras, &remotes))
	s.Limit(tunnel.Limits{Enabled: true, Max: limit})
	for round := range 2 { // the second finds all slots free again
		var start, done sync.WaitGroup
		var opened, refused atomic.Int32
		start.Add(1)
		for range opens {
			done.Go(func() {
				start.Wait()
				switch status, _ := tunnelopen.Response(s.Open(t.Context(), request())); status {
				case 200:
					opened.Add(1)
				case 429:
					refused.Add(1)
				}
			})
		}
		begin := time.Now()
		start.Done()
		done.Wait()
		if opened.Load() != limit || refused.Load() != opens-limit {
			t.Fatalf("round %d: %d opened, %d refused", round, opened.Load(), refused.Load())
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("round %d: it took %s", round, took)
		}
		if want := int32(limit * (round + 1)); cameras.Load() != want || remotes.Load() != want {
			t.Errorf("round %d: %d dials of the camera, %d of the remote end", round, cameras.Load(), remotes.Load())
		}
		if n := s.End(all, reason.CameraChanged); n != limit {
			t.Errorf("round %d: %d were ended", round, n)
		}
		s.log.Await(t, `"closedBy"`, limit*(round+1))
		if s.Len() != 0 {
			t.Errorf("round %d: %d tunnels are left", round, s.Len())
		}
	}
}

// Every failure of an open and every end of a tunnel gives the slot back, once.
func TestOpen_slotsComeBack(t *testing.T) {
	var remote func() (net.Conn, error)
	s := newSite(t, func(o *tunnel.Options) {
		dial := o.Remote
		o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
			if remote != nil {
				return remote()
			}
			return dial(ctx, r)
		}
		o.Limits = tunnel.Limits{Enabled: true, Max: 1}
	})
	open := func() error { return s.Open(t.Context(), request()) }
	for round := range 3 {
		remote = func() (net.Conn, error) { return nil, reason.New(reason.RemoteDNS, nil) }
		wantRefused(t, open(), 502, reason.RemoteDNS, request().RemoteEndpoint)
		remote = func() (net.Conn, error) { panic("a bug") }
		func() {
			defer func() { _ = recover() }()
			_ = open()
		}()
		remote = nil
		if err := open(); err != nil {
			t.Fatal(err)
		}
		wantRefused(t, open(), 429, reason.LimitTunnels, "10.0.0.21:554")
		if first, second := s.End(all, reason.CameraChanged), s.End(all, reason.CameraRemoved); first != 1 || second != 0 {
			t.Errorf("ended %d, then %d", first, second)
		}
		s.log.Await(t, `"closedBy"`, round+1)
		if s.Count("front") != 0 || len(s.Tunnels()) != 0 {
			t.Errorf("%d of front, %v", s.Count("front"), s.Tunnels())
		}
	}
}

// The default of Max.
func TestOpen_defaultCaps(t *testing.T) {
	s := newSite(t, nil)
	for range 64 {
		if err := s.Open(t.Context(), request()); err != nil {
			t.Fatal(err)
		}
	}
	wantRefused(t, s.Open(t.Context(), request()), 429, reason.LimitTunnels, "10.0.0.21:554")
}

// The counters include tunnels that have ended.
func TestTotals(t *testing.T) {
	s := newSite(t, nil)
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	camera, remote := accept(t, s.camera), accept(t, s.remote)
	if _, err := camera.Write([]byte("200 OK")); err != nil {
		t.Fatal(err)
	}
	camera.Close()
	remote.Close()
	s.log.Await(t, `"closedBy"`, 1)
	if got := s.Totals(); got != (tunnel.Totals{Opened: 1, BytesUp: 6}) {
		t.Errorf("%+v", got)
	}
}
