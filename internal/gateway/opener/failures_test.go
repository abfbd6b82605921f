package opener_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/opener"
)

// want fails unless err is a failure with this hop and code, and a message.
func want(t *testing.T, err error, hop failure.Hop, code reason.Code) {
	t.Helper()
	f, ok := errors.AsType[*failure.Failure](err)
	if !ok || f.Hop != hop || f.Reason != code || f.Message == "" {
		t.Errorf("got %v, want %s at %s", err, code, hop)
	}
}

// answers are all errors of the contract, as a module builds them, and where each of them
// is at fault for a viewer.
func answers(r tunnelopen.Request) map[error]place {
	at := map[error]place{
		tunnelopen.PortUnavailable(r.LocalPort):                               {failure.Module, reason.PortNotAllowed},
		tunnelopen.RemoteForbidden(r.RemoteEndpoint, nil):                     {failure.Module, reason.PolicyRemote},
		tunnelopen.TooManyTunnels("10.0.0.9:554", reason.CameraBusy):          {failure.Module, reason.LimitTunnels},
		tunnelopen.TooManyTunnels("10.0.0.9:554", reason.LimitTunnels):        {failure.Module, reason.LimitTunnels},
		tunnelopen.TooManyCalls(tunnelopen.MethodName):                        {failure.Module, reason.LimitCalls},
		tunnelopen.ShuttingDown():                                             {failure.Module, reason.ShuttingDown},
		tunnelopen.Disabled():                                                 {failure.Module, reason.Disabled},
		tunnelopen.UnknownMethod(tunnelopen.MethodName):                       {failure.Module, reason.UnknownMethod},
		tunnelopen.RemoteAnswered(r, 503, "No backend", nil):                  {failure.Gateway, reason.RemoteHTTP},
		tunnelopen.RemoteAnswered(r, 404, "Not Found", nil):                   {failure.Gateway, reason.RemoteHTTP},
		errors.New("a panic"):                                                 {failure.Module, reason.Internal},
		unreachableCamera(reason.NoResources):                                 {failure.Module, reason.NoResources},
		tunnelopen.RemoteUnreachable("", reason.New(reason.NoResources, nil)): {failure.Module, reason.NoResources},
	}
	for _, code := range []reason.Code{reason.CameraRefused, reason.CameraTimeout, reason.CameraDNS} {
		at[unreachableCamera(code)] = place{failure.Camera, reason.CameraRefused}
	}
	for code, answered := range map[reason.Code]reason.Code{
		reason.RemoteDNS: reason.RemoteRefused, reason.RemoteRefused: reason.RemoteRefused, reason.RemoteTLSExpiry: reason.RemoteRefused,
		reason.RemoteTLSName: reason.RemoteRefused, reason.RemoteTLSCA: reason.RemoteRefused, reason.RemoteUpgrade: reason.RemoteRefused,
		reason.RemoteTimeout: reason.RemoteTimeout,
		reason.ProxyLogin:    reason.ProxyHTTP, reason.ProxyHTTP: reason.ProxyHTTP, reason.ProxyDown: reason.ProxyHTTP,
	} {
		at[tunnelopen.RemoteUnreachable(r.RemoteEndpoint, reason.New(code, nil))] = place{failure.Gateway, answered}
	}
	for payload, code := range map[string]reason.Code{
		`[]`: reason.RequestJSON, `{}`: reason.RequestEndpoint,
		`{"remoteEndpoint":"wss://gw/1"}`:                                               reason.RequestToken,
		`{"remoteEndpoint":"wss://gw/1","remoteAuthorizationToken":"t","localPort":""}`: reason.RequestType,
	} {
		_, err := tunnelopen.Decoder{}.Decode([]byte(payload))
		at[err] = place{failure.Gateway, code}
	}
	return at
}

type place struct {
	hop  failure.Hop
	code reason.Code
}

func unreachableCamera(code reason.Code) error {
	return tunnelopen.CameraUnreachable("10.0.0.9:554", reason.New(code, nil))
}

// Each error of the contract has its hop and code, and leaves no tunnel behind.
func TestOpen_namesTheFailure(t *testing.T) {
	c := newCloud(t)
	for i := range len(answers(tunnelopen.Request{})) {
		var at place
		var sent tunnelopen.Request
		n := 0
		c.module = func(r tunnelopen.Request) (int, string) {
			sent = r
			for err, p := range answers(r) { // in any order: each round takes another number of them
				if n++; n > i {
					at = p
					status, body := tunnelopen.Response(err)
					return status, string(body)
				}
			}
			return 500, `{}`
		}
		_, err := c.Open(t.Context(), c.front)
		want(t, err, at.hop, at.code)
		if got := c.status(t, sent); got != 404 {
			t.Errorf("the token of a tunnel that did not open is answered %d", got)
		}
	}
}

// What is none of the contract's answers: the hub's, an edge hub's, another module's.
func TestOpen_namesTheFailureOfOthers(t *testing.T) {
	for name, try := range map[string]struct {
		status int
		body   string
		want   place
	}{
		"the module is offline":                      {0, "", place{failure.Module, reason.ModuleOffline}},
		"an edge hub without the module":             {404, `null`, place{failure.Module, reason.ModuleOffline}},
		"an edge hub whose module does not answer":   {504, `null`, place{failure.Module, reason.ModuleTimeout}},
		"an answer of another form":                  {400, `"no"`, place{failure.Module, reason.ModuleAnswer}},
		"an unknown message":                         {409, `{"code":"409","target":"tunnelOpen","message":"Not now"}`, place{failure.Module, reason.ModuleAnswer}},
		"success without a WebSocket":                {200, `{}`, place{failure.Gateway, reason.TunnelMissing}},
		"success with another number than the hub's": {201, `{}`, place{failure.Module, reason.ModuleAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			c.module = func(tunnelopen.Request) (int, string) { return try.status, try.body }
			_, err := c.Open(t.Context(), c.front)
			want(t, err, try.want.hop, try.want.code)
		})
	}
	t.Run("the hub is gone", func(t *testing.T) {
		c := newCloud(t)
		c.hub.Close()
		_, err := c.Open(t.Context(), c.front)
		want(t, err, failure.Hub, reason.HubRefused)
	})
}

// The reader learns how the module ended the tunnel, from any reason that a module has.
func TestRead_tellsHowTheTunnelEnded(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	for _, code := range append(reason.Codes(), "") {
		conn, err := c.Open(t.Context(), c.front)
		if err != nil {
			t.Fatal(err)
		}
		edge := <-c.far
		cause := reason.New(code, nil)
		if code == "" {
			cause = nil
		}
		_ = edge.CloseCause(cause)
		_, err = conn.Read(make([]byte, 1))
		at := place{failure.Gateway, reason.TunnelLost}
		switch {
		case code == "":
			at = place{failure.Camera, reason.CameraClosed}
		case code == reason.ShuttingDown:
			at = place{failure.Module, reason.TunnelClosed}
		case code == reason.CameraLost:
			at = place{failure.Camera, reason.CameraLost}
		case code.Class() == reason.PolicyEnd:
			at = place{failure.Module, code}
		}
		want(t, err, at.hop, at.code)
		if errors.Is(err, io.EOF) != (code == "" || code == reason.ShuttingDown) {
			t.Errorf("%s: %v", code, err)
		}
		_, again := conn.Write([]byte("x"))
		want(t, again, at.hop, at.code)
		conn.Close()
	}
	c.log.Await(t, `"reason":"LIMIT_IDLE"`, 1)
}

func TestRead_tellsABreak(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	_ = (<-c.far).Reset()
	_, err = conn.Read(make([]byte, 1))
	want(t, err, failure.Gateway, reason.TunnelLost)
	conn.Close()
}

// A deadline and the owner's Close are no failures of the tunnel.
func TestRead_ownEnds(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now())
	_, err = conn.Read(make([]byte, 1))
	if _, isFailure := errors.AsType[*failure.Failure](err); isFailure || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after a deadline: %v", err)
	}
	conn.Close()
	_, err = conn.Write([]byte("x"))
	if _, isFailure := errors.AsType[*failure.Failure](err); isFailure || err == nil {
		t.Errorf("after Close: %v", err)
	}
	if _, err := (<-c.far).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the module reads %v, want EOF", err)
	}
}

// If a module opens its WebSocket and then reports a failure, the WebSocket is closed.
func TestOpen_closesTheWebSocketAfterAnError(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) {
		c.accept(t, r)
		return 500, `{}`
	}
	if _, err := c.Open(t.Context(), c.front); err == nil {
		t.Fatal("no error")
	}
	if _, err := (<-c.far).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the module reads %v, want EOF", err)
	}
	c.empty(t)
}

// empty fails if the opener keeps a tunnel. A handshake that has just been answered may
// still return.
func (c *cloud) empty(t *testing.T) {
	t.Helper()
	var pending, open int
	if !eventually(func() bool { pending, open, _, _ = c.Counts(); return pending == 0 && open == 0 }) {
		t.Errorf("%d tunnels are pending and %d open", pending, open)
	}
}

// An opening that is canceled leaves nothing, wherever it was.
func TestOpen_canceled(t *testing.T) {
	for name, module := range map[string]func(c *cloud, r tunnelopen.Request, cancel func()){
		"before the module dials": func(c *cloud, r tunnelopen.Request, cancel func()) {
			cancel()
			if !eventually(func() bool { return c.status(t, r) == 404 }) {
				t.Error("the token stays valid")
			}
		},
		"after the module has dialed": func(c *cloud, r tunnelopen.Request, cancel func()) {
			c.accept(t, r)
			cancel()
			if _, err := (<-c.far).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the module reads %v, want EOF", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCloud(t)
			ctx, cancel := context.WithCancel(t.Context())
			answered := make(chan struct{})
			c.module = func(r tunnelopen.Request) (int, string) {
				defer close(answered)
				module(c, r, cancel)
				return 200, `{}`
			}
			_, err := c.Open(ctx, c.front)
			want(t, err, failure.Viewer, reason.OpeningEnded)
			<-answered
			c.empty(t)
		})
	}
}

func TestOpen_late(t *testing.T) {
	c := newCloud(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	c.module = func(tunnelopen.Request) (int, string) { <-ctx.Done(); return 200, `{}` }
	_, err := c.Open(ctx, c.front)
	want(t, err, failure.Module, reason.OpeningTimeout)
	c.empty(t)
}

// slowHijack is a request whose handshake is answered when the test allows it.
type slowHijack struct {
	http.ResponseWriter
	claimed chan<- struct{}
	answer  <-chan struct{}
}

func (s slowHijack) Unwrap() http.ResponseWriter {
	close(s.claimed)
	<-s.answer
	return s.ResponseWriter
}

// A tunnel whose handshake ends after the opening was canceled is closed, and holds its slot
// until then.
func TestOpen_canceledDuringTheHandshake(t *testing.T) {
	c := newCloud(t)
	claimed, answer := make(chan struct{}), make(chan struct{})
	c.public.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.ServeHTTP(slowHijack{w, claimed, answer}, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	dialed := make(chan struct{})
	c.module = func(r tunnelopen.Request) (int, string) {
		go func() { c.accept(t, r); close(dialed) }()
		<-claimed
		return 200, `{}`
	}
	opened := make(chan error, 1)
	go func() { _, err := c.Open(ctx, c.front); opened <- err }()
	<-claimed
	cancel()
	want(t, <-opened, failure.Viewer, reason.OpeningEnded)
	if pending, _, _, _ := c.Counts(); pending != 1 {
		t.Errorf("%d tunnels are pending during the handshake", pending)
	}
	close(answer)
	<-dialed
	if _, err := (<-c.far).Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the module reads %v, want EOF", err)
	}
	c.empty(t)
}

// eventually tells whether ok becomes true.
func eventually(ok func() bool) bool {
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return true
		}
		runtime.Gosched()
	}
	return false
}

func TestOpen_limit(t *testing.T) {
	c := newCloud(t)
	c.restart(t, opener.Options{MaxTunnels: 1})
	inside := make(chan struct{})
	proceed := make(chan struct{})
	c.module = func(r tunnelopen.Request) (int, string) {
		close(inside)
		<-proceed
		return c.accept(t, r)
	}
	first := make(chan error, 1)
	var conn io.Closer
	go func() {
		tunnel, err := c.Open(t.Context(), c.front)
		conn = tunnel
		first <- err
	}()
	<-inside
	_, err := c.Open(t.Context(), c.front) // one is being opened
	want(t, err, failure.Gateway, reason.LimitTunnels)
	close(proceed)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	_, err = c.Open(t.Context(), c.front) // one is open
	want(t, err, failure.Gateway, reason.LimitTunnels)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	c.SetMaxTunnels(2)
	second, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
	c.SetMaxTunnels(1)
	conn.Close()
	again, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	c.empty(t)
}

func TestCounts_bytes(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	edge := <-c.far
	if _, err := conn.Write([]byte("DESCRIBE")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(edge, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Write([]byte("200")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	if pending, open, up, down := c.Counts(); pending != 0 || open != 1 || up != 3 || down != 8 {
		t.Errorf("pending %d, open %d, up %d, down %d", pending, open, up, down)
	}
	conn.Close()
	conn.Close() // harmless
	c.empty(t)
}

// Shutdown ends open tunnels with 1001, and openings wherever they are.
func TestShutdown(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() { _, err := conn.Read(make([]byte, 1)); read <- err }()
	inside, ended := make(chan struct{}), make(chan struct{})
	c.module = func(tunnelopen.Request) (int, string) { close(inside); <-ended; return 200, `{}` }
	opened := make(chan error, 1)
	go func() { _, err := c.Open(t.Context(), c.front); opened <- err }()
	<-inside

	c.Shutdown(t.Context())
	want(t, <-read, failure.Gateway, reason.ShuttingDown)
	want(t, <-opened, failure.Gateway, reason.ShuttingDown)
	close(ended)
	edge := <-c.far
	if _, err := edge.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the module reads %v, want EOF", err)
	}
	if code, text, _ := edge.PeerClose(); code != 1001 || text != "SHUTTING_DOWN" {
		t.Errorf("the module reads Close %d %q, want 1001", code, text)
	}
	_, err = c.Open(t.Context(), c.front)
	want(t, err, failure.Gateway, reason.ShuttingDown)
	c.empty(t)
	if conn.Close() != nil {
		t.Error("Close after Shutdown fails")
	}
}

// A module that reads nothing does not delay Shutdown beyond its context.
func TestShutdown_resetsWhatIsBlocked(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) { return c.accept(t, r) }
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	<-c.far
	progress, written := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		for {
			if _, err := conn.Write(make([]byte, 32<<10)); err != nil {
				written <- err
				return
			}
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}()
	for blocked := false; !blocked; {
		quiet, end := context.WithTimeout(t.Context(), 300*time.Millisecond)
		select {
		case <-progress:
		case <-quiet.Done():
			blocked = true
		}
		end()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	c.Shutdown(ctx)
	if took := time.Since(begun); took > 4*time.Second { // without a reset, Close waits 5 s
		t.Errorf("took %s", took)
	}
	want(t, <-written, failure.Gateway, reason.ShuttingDown)
	c.empty(t)
}
