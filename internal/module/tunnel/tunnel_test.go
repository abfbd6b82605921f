package tunnel_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a Set whose camera and remote end are TCP listeners of the test.
type site struct {
	*tunnel.Set
	camera, remote net.Listener
	log            *logtest.Record
}

func newSite(t *testing.T, change func(*tunnel.Options)) *site {
	t.Helper()
	s := &site{camera: listen(t), remote: listen(t), log: logtest.New()}
	dial := func(ln net.Listener) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
		}
	}
	o := tunnel.Options{
		Camera: func(localPort int) (camera.Camera, bool) {
			return camera.Camera{Name: "front", Host: "10.0.0.21", Port: 554, LocalPort: 554}, localPort == 554
		},
		DialCamera: func(ctx context.Context, _ camera.Camera) (net.Conn, error) { return dial(s.camera)(ctx) },
		Remote:     func(ctx context.Context, _ tunnelopen.Request) (net.Conn, error) { return dial(s.remote)(ctx) },
		Log:        zerolog.New(s.log),
	}
	if change != nil {
		change(&o)
	}
	s.Set = tunnel.New(o)
	t.Cleanup(func() { s.shutdown(t) })
	return s
}

func (s *site) shutdown(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func accept(t *testing.T, ln net.Listener) net.Conn {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// remoteURL is the endpoint of request.
var remoteURL = &url.URL{Scheme: "wss", Host: "gw.example.com", Path: "/t", RawQuery: "sig=canary-query"}

func request() tunnelopen.Request {
	return tunnelopen.Request{RemoteEndpoint: remoteURL.String(), URL: remoteURL, Token: "canary-token", LocalPort: 554}
}

func TestOpen_relays(t *testing.T) {
	s := newSite(t, nil)
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	camera, remote := accept(t, s.camera), accept(t, s.remote)
	if _, err := remote.Write([]byte("DESCRIBE")); err != nil { // the remote end sends first
		t.Fatal(err)
	}
	got := make([]byte, 8)
	if _, err := io.ReadFull(camera, got); err != nil || string(got) != "DESCRIBE" {
		t.Fatalf("the camera read %q, %v", got, err)
	}
	if _, err := camera.Write([]byte("200 OK")); err != nil {
		t.Fatal(err)
	}
	camera.Close()
	if answer, err := io.ReadAll(remote); string(answer) != "200 OK" || err != nil {
		t.Errorf("the remote end read %q, %v", answer, err)
	}
	remote.Close()
	s.shutdown(t)
	for _, want := range []string{
		`"message":"tunnel opened"`, `"camera":"front"`, `"remote":"gw.example.com"`, `"message":"tunnel closed"`,
		`"closedBy":"camera"`, `"reason":"CAM_CLOSED"`, `"bytesUp":6`, `"bytesDown":8`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, s.log)
		}
	}
	if strings.Contains(s.log.String(), "canary") {
		t.Errorf("a secret is in the log:\n%s", s.log)
	}
}

// httpError is a response of the remote end that is no WebSocket.
type httpError struct{}

func (httpError) Error() string             { return "handshake answered 403" }
func (httpError) HTTPStatus() (int, string) { return 403, "No entry" }

// pause waits for a time in which something must not happen, or is measured.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

// receive returns the next value of a channel, or fails the test after the timeout.
func receive[T any](t *testing.T, from <-chan T, timeout time.Duration, what string) (value T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	select {
	case value = <-from:
	case <-ctx.Done():
		t.Fatalf("%s does not come", what)
	}
	return value
}

// dialFails makes the dial of a camera fail.
func dialFails(err error) func(*tunnel.Options) {
	return func(o *tunnel.Options) {
		o.DialCamera = func(context.Context, camera.Camera) (net.Conn, error) { return nil, err }
	}
}

// remoteFails makes the dial of a remote end fail.
func remoteFails(code reason.Code, err error) func(*tunnel.Options) {
	return func(o *tunnel.Options) {
		o.Remote = func(context.Context, tunnelopen.Request) (net.Conn, error) { return nil, reason.New(code, err) }
	}
}

// openErrors are the failures of Open, each with the contract's error.
var openErrors = []struct {
	name   string
	change func(*tunnel.Options)
	want   tunnelopen.Error
}{
	{
		"address not allowed", remoteFails(reason.PolicyRemote, errors.New("loopback")),
		tunnelopen.Error{Status: 403, Target: remoteURL.String(), Message: "Remote endpoint is not allowed", Reason: reason.PolicyRemote},
	},
	{
		"no such port", func(o *tunnel.Options) {
			o.Camera = func(int) (camera.Camera, bool) { return camera.Camera{}, false }
		},
		tunnelopen.Error{Status: 400, Target: "localhost:554", Message: "Local port is not available", Reason: reason.PortNotAllowed},
	},
	{
		"camera", dialFails(reason.New(reason.CameraRefused, errors.New("refused"))),
		tunnelopen.Error{Status: 400, Target: "10.0.0.21:554", Message: "Could not connect to RTSP endpoint", Reason: reason.CameraRefused},
	},
	{
		"remote end responds", remoteFails(reason.RemoteHTTP, httpError{}),
		tunnelopen.Error{Status: 403, Target: remoteURL.String(), Message: "No entry", Reason: reason.RemoteHTTP},
	},
	{
		"remote end does not respond", remoteFails(reason.RemoteTimeout, errors.New("deadline")),
		tunnelopen.Error{Status: 504, Target: remoteURL.String(), Message: "Timed out connecting to remote endpoint", Reason: reason.RemoteTimeout},
	},
	{
		"remote end refuses", remoteFails(reason.RemoteRefused, errors.New("refused")),
		tunnelopen.Error{Status: 502, Target: remoteURL.String(), Message: "Could not connect to remote endpoint", Reason: reason.RemoteRefused},
	},
}

func TestOpen_errors(t *testing.T) {
	for _, c := range openErrors {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, c.change)
			err := s.Open(t.Context(), request())
			got, ok := errors.AsType[*tunnelopen.Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if got.Status != c.want.Status || got.Target != c.want.Target || got.Message != c.want.Message || got.Reason != c.want.Reason {
				t.Errorf("got %d %s %q %s", got.Status, got.Target, got.Message, got.Reason)
			}
			if s.Len() != 0 {
				t.Errorf("%d tunnels are left", s.Len())
			}
			if log := s.log.String(); strings.Count(log, "\n") != 1 || strings.Contains(log, "canary") {
				t.Errorf("not one line without secrets:\n%s", log)
			}
		})
	}
}

// The camera's connection is closed at once when the remote end's dial fails: cameras have
// few sessions.
func TestOpen_closesTheCameraWhenTheRemoteFails(t *testing.T) {
	s := newSite(t, func(o *tunnel.Options) {
		o.Remote = func(context.Context, tunnelopen.Request) (net.Conn, error) {
			return nil, reason.New(reason.RemoteRefused, nil)
		}
	})
	if err := s.Open(t.Context(), request()); err == nil {
		t.Fatal("no error")
	}
	if _, err := accept(t, s.camera).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the camera reads %v, want EOF", err)
	}
}

// The call's context bounds the dials, not the tunnel.
func TestOpen_outlivesItsContext(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Open(ctx, request()); err != nil {
		t.Fatal(err)
	}
	cancel()
	camera, remote := accept(t, s.camera), accept(t, s.remote)
	if _, err := camera.Write([]byte("still open")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(remote, make([]byte, 10)); err != nil {
		t.Errorf("the tunnel ended with the call: %v", err)
	}
	remote.Close()
	camera.Close()
}

// silent makes the dial of a site's remote end block until its context is done. dialing
// is closed when the dial begins.
func silent() (dialing <-chan struct{}, change func(*tunnel.Options)) {
	begun := make(chan struct{})
	return begun, func(o *tunnel.Options) {
		o.Remote = func(ctx context.Context, _ tunnelopen.Request) (net.Conn, error) {
			close(begun)
			<-ctx.Done()
			return nil, reason.New(reason.RemoteTimeout, ctx.Err())
		}
	}
}

func TestOpen_dialEndsWithItsContext(t *testing.T) {
	dialing, change := silent()
	s := newSite(t, change)
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan error, 1)
	go func() { opened <- s.Open(ctx, request()) }()
	<-dialing
	cancel()
	if err := <-opened; err == nil {
		t.Error("no error")
	}
}

// The default timeouts of the dials.
func TestOpen_defaultLimits(t *testing.T) {
	limits := make(chan time.Duration, 2)
	dial := func(ctx context.Context) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		limits <- time.Until(deadline).Round(time.Second)
		near, far := net.Pipe()
		t.Cleanup(func() { near.Close(); far.Close() })
		return near, nil
	}
	s := newSite(t, func(o *tunnel.Options) {
		o.DialCamera = func(ctx context.Context, _ camera.Camera) (net.Conn, error) { return dial(ctx) }
		o.Remote = func(ctx context.Context, _ tunnelopen.Request) (net.Conn, error) { return dial(ctx) }
	})
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	if camera, remote := <-limits, <-limits; camera != 5*time.Second || remote != 10*time.Second {
		t.Errorf("camera %s, remote %s; want 5s and 10s", camera, remote)
	}
}

// A panic in a dial reaches the caller, and nothing of the tunnel is left.
func TestOpen_panicLeavesNothing(t *testing.T) {
	s := newSite(t, func(o *tunnel.Options) {
		o.Remote = func(context.Context, tunnelopen.Request) (net.Conn, error) { panic("a bug") }
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = s.Open(t.Context(), request())
	}()
	if s.Len() != 0 {
		t.Errorf("%d tunnels are left", s.Len())
	}
	if _, err := accept(t, s.camera).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the camera reads %v, want EOF", err)
	}
}

// A dial that blocks ends after its own timeout, and after the timeout of both dials.
func TestOpen_isBounded(t *testing.T) {
	var left []time.Duration
	hang := func(ctx context.Context) (net.Conn, error) {
		deadline, _ := ctx.Deadline()
		left = append(left, time.Until(deadline))
		<-ctx.Done()
		return nil, reason.New(reason.CameraTimeout, ctx.Err())
	}
	s := newSite(t, func(o *tunnel.Options) {
		o.Limits = tunnel.Limits{Enabled: true, CameraTimeout: 50 * time.Millisecond, OpenTimeout: time.Hour}
		o.DialCamera = func(ctx context.Context, _ camera.Camera) (net.Conn, error) { return hang(ctx) }
	})
	if err := s.Open(t.Context(), request()); err == nil {
		t.Fatal("no error")
	}
	whole := newSite(t, func(o *tunnel.Options) {
		o.Limits = tunnel.Limits{Enabled: true, CameraTimeout: time.Hour, OpenTimeout: 50 * time.Millisecond}
		o.DialCamera = func(ctx context.Context, _ camera.Camera) (net.Conn, error) { return hang(ctx) }
	})
	if err := whole.Open(t.Context(), request()); err == nil {
		t.Fatal("no error")
	}
	for _, d := range left {
		if d > 50*time.Millisecond {
			t.Errorf("a dial had %s", d)
		}
	}
}

// causeConn is a remote connection that gets the cause of its close.
type causeConn struct {
	net.Conn
	cause chan error
}

func (c *causeConn) CloseCause(err error) error { c.cause <- err; return c.Close() }

// Shutdown closes the remote end with reason.ShuttingDown.
func TestShutdown_tellsTheRemoteEnd(t *testing.T) {
	cause := make(chan error, 1)
	s := newSite(t, func(o *tunnel.Options) {
		dial := o.Remote
		o.Remote = func(ctx context.Context, r tunnelopen.Request) (net.Conn, error) {
			c, err := dial(ctx, r)
			return &causeConn{c, cause}, err
		}
	})
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	s.shutdown(t)
	if got := reason.Of(<-cause); got != reason.ShuttingDown {
		t.Errorf("the remote end got %s", got)
	}
	if _, err := io.ReadAll(accept(t, s.camera)); err != nil {
		t.Errorf("the camera was cut: %v", err)
	}
	status, _ := tunnelopen.Response(s.Open(t.Context(), request()))
	if status != 503 {
		t.Errorf("status %d after Shutdown, want 503", status)
	}
}

// Shutdown ends an open that is dialing, with 503.
func TestShutdown_endsADial(t *testing.T) {
	dialing, change := silent()
	s := newSite(t, change)
	opened := make(chan error, 1)
	go func() { opened <- s.Open(t.Context(), request()) }()
	<-dialing
	s.shutdown(t)
	if status, _ := tunnelopen.Response(<-opened); status != 503 {
		t.Errorf("status %d, want 503", status)
	}
}
