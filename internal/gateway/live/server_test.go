package live_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is an Output of one function.
type output func(w http.ResponseWriter, r *http.Request, v live.Request)

func (f output) ServeLive(w http.ResponseWriter, r *http.Request, v live.Request) { f(w, r, v) }

// gateway is a server whose token "wall" covers edge1/front, which has the alias door.
type gateway struct {
	*live.Server
	log *logtest.Record

	mu     sync.Mutex
	served []live.Request
	seen   int // WebSockets, while a request was served
	denied []string
	logins []string
}

// video is the UUID of edge1/front.
const video = "5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0b7"

var from = netip.MustParseAddr("192.0.2.1")

func newGateway(change func(o *live.Options)) *gateway {
	g := &gateway{log: logtest.New()}
	serve := output(func(w http.ResponseWriter, _ *http.Request, v live.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.served = append(g.served, v)
		g.seen = max(g.seen, g.Sockets())
		_, _ = io.WriteString(w, "media")
	})
	o := live.Options{
		Outputs: map[string]live.Output{live.MSE: serve, live.HLS: serve},
		Login: func(r *http.Request, output, camera string, client netip.Addr) (access.Principal, error) {
			g.logins = append(g.logins, fmt.Sprint(output, " ", camera, " ", client))
			if r.URL.Query().Get("token") != "wall" {
				return access.Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
			}
			return access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"edge1/front"}}, nil
		},
		Playback: func(_ *http.Request, p access.Principal, camera string) string { return "p=" + p.Name + "@" + camera },
		Resolve: func(asked string) (camera, stream, title string) {
			if asked == "door" || asked == "edge1/front" {
				return "edge1/front", "main", "Front door"
			}
			return asked, "main", asked
		},
		Video: func(id string) (camera, stream, title string) {
			if id == video {
				return "edge1/front", "main", "Front door"
			}
			return id, "main", id
		},
		Denied: func(output string, f *failure.Failure) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.denied = append(g.denied, output+" "+string(f.Reason))
		},
		Log: zerolog.New(g.log),
	}
	if change != nil {
		change(&o)
	}
	g.Server = live.New(o)
	return g
}

func (g *gateway) handler() http.Handler {
	return g.Handler(func(*http.Request) netip.Addr { return from })
}

func (g *gateway) call(method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	g.handler().ServeHTTP(w, r)
	return w
}

func TestServer(t *testing.T) {
	g := newGateway(nil)
	w := g.call("GET", "/live/door/hls/index.m3u8?token=wall")
	if w.Code != http.StatusOK || w.Body.String() != "media" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	g.call("HEAD", "/live/edge1/front/mse?token=wall")
	if g.seen > 0 {
		t.Errorf("%d WebSockets", g.seen)
	}
	principal := access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"edge1/front"}}
	for i, want := range []live.Request{
		{File: "index.m3u8", Playback: "p=wall@edge1/front"},
		{},
	} {
		want.Camera, want.Stream, want.Title, want.Principal, want.From = "edge1/front", "main", "Front door", principal, from
		if got := g.served[i]; !slices.Equal(got.Principal.Cameras, principal.Cameras) || got.Camera != want.Camera || got.Stream != want.Stream ||
			got.Title != want.Title || got.From != want.From || got.File != want.File || got.Playback != want.Playback {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if want := []string{"hls edge1/front 192.0.2.1", "mse edge1/front 192.0.2.1"}; !slices.Equal(g.logins, want) {
		t.Errorf("logins %q", g.logins)
	}
	g.log.AwaitFields(t, 1, "level=debug", "message=live request", "path=/live/door/hls/index.m3u8?token=***", "status=200", "user=wall", "remote=192.0.2.1")
}

func TestServer_video(t *testing.T) {
	g := newGateway(func(o *live.Options) { o.Outputs[live.RTSP] = o.Outputs[live.MSE] })
	if w := g.call("GET", "/rtsp-tunnel/"+strings.ToUpper(video)+"?token=wall"); w.Code != http.StatusOK || g.served[0].Camera != "edge1/front" {
		t.Errorf("%d, served %+v", w.Code, g.served)
	}
	for path, want := range map[string]bool{"/live/x": true, "/rtsp-tunnel/x": true, "/live": false, "/api/live/": false, "/": false} {
		if live.Serves(path) != want {
			t.Errorf("%s is served: %t", path, !want)
		}
	}
}

// A camera that the token does not cover is refused alike whether it exists or not, and the
// output sees none of these requests.
func TestServer_refuses(t *testing.T) {
	for name, c := range map[string]struct {
		method, target string
		header         []string
		status         int
		reason         reason.Code
		denied         string
	}{
		"no token":               {"GET", "/live/door/mse", nil, 401, reason.AccessLogin, "mse ACCESS_LOGIN"},
		"another camera":         {"GET", "/live/edge1/yard/mse?token=wall", nil, 403, reason.AccessDenied, "mse ACCESS_DENIED"},
		"an unknown camera":      {"GET", "/live/edge1/none/hls/x?token=wall", nil, 403, reason.AccessDenied, "hls ACCESS_DENIED"},
		"an unknown output":      {"GET", "/live/door/webrtc?token=wall", nil, 404, reason.RequestRoute, ""},
		"an output switched off": {"GET", "/live/door/rtsp?token=wall", nil, 404, reason.RequestRoute, ""},
		"an impossible name":     {"GET", "/live/a%20b/mse?token=wall", nil, 404, reason.CameraUnknown, ""},
		"a method":               {"POST", "/live/door/mse?token=wall", nil, 405, reason.RequestMethod, ""},
		"an extended CONNECT":    {"CONNECT", "/live/door/mse?token=wall", nil, 405, reason.RequestMethod, ""},
		"an unknown video":       {"GET", "/rtsp-tunnel/00000000-0000-0000-0000-000000000000?token=wall", nil, 403, reason.AccessDenied, "rtsp ACCESS_DENIED"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(func(o *live.Options) {
				if c.denied == "rtsp ACCESS_DENIED" {
					o.Outputs[live.RTSP] = o.Outputs[live.MSE]
				}
			})
			w := g.call(c.method, c.target, c.header...)
			if w.Code != c.status || !strings.Contains(w.Body.String(), `"reason":"`+string(c.reason)+`"`) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if got := strings.Join(g.denied, ", "); got != c.denied {
				t.Errorf("denied: %q", got)
			}
			if len(g.served) > 0 {
				t.Errorf("the output served %+v", g.served)
			}
			g.log.AwaitFields(t, 1, "level=warn", "message=live request", "reason="+string(c.reason))
		})
	}
}

// echo upgrades, and waits for the client's end.
var echo = output(func(w http.ResponseWriter, r *http.Request, _ live.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
	}
})

func TestServer_sockets(t *testing.T) {
	g := newGateway(func(o *live.Options) { o.Outputs[live.MSE] = echo })
	server := httptest.NewServer(g.handler())
	defer server.Close()
	target := "ws" + strings.TrimPrefix(server.URL, "http") + "/live/door/mse?token=wall"
	dial := func() (*websocket.Conn, *http.Response) {
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), target, nil)
		if err != nil && response == nil {
			t.Fatal(err)
		}
		return conn, response
	}
	first, _ := dial()
	g.SetSockets(1)
	if n := g.Sockets(); n != 1 {
		t.Errorf("%d sockets", n)
	}
	if _, response := dial(); response.StatusCode != http.StatusTooManyRequests {
		t.Errorf("beyond the limit: %d", response.StatusCode)
	}
	if w := g.call("GET", "/live/door/hls/x?token=wall"); w.Code != http.StatusOK {
		t.Errorf("a request beside it: %d", w.Code)
	}
	g.SetSockets(2)
	second, _ := dial()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		g.Shutdown(context.Background())
	}()
	for g.call("GET", "/live/door/hls/x?token=wall").Code != http.StatusServiceUnavailable {
		select { // until Shutdown has begun
		case <-ended:
			t.Fatal("Shutdown did not wait for the sockets")
		default:
		}
	}
	first.Close()
	select {
	case <-ended:
		t.Error("Shutdown did not wait for the second socket")
	default:
	}
	second.Close()
	<-ended
	if n := g.Sockets(); n != 0 {
		t.Errorf("%d sockets", n)
	}
	g.Shutdown(t.Context())
	newGateway(nil).Shutdown(t.Context())
	g.log.AwaitFields(t, 2, "level=debug", "status=101", "user=wall")
}

func TestShutdown_bounded(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{})
	g := newGateway(func(o *live.Options) {
		o.Outputs[live.MSE] = output(func(http.ResponseWriter, *http.Request, live.Request) { close(entered); <-release })
	})
	var running sync.WaitGroup
	running.Go(func() { g.call("GET", "/live/door/mse?token=wall") })
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	g.Shutdown(ctx)
	close(release)
	running.Wait()
	g.Shutdown(t.Context())
}

// piped is a server with a client that is connected in memory. closed has a value when the
// server has closed the connection.
func piped(t *testing.T, handler http.Handler) (client net.Conn, closed chan struct{}) {
	t.Helper()
	near, far := net.Pipe()
	ln := &once{conns: make(chan net.Conn, 1)}
	ln.conns <- far
	closed = make(chan struct{}, 1)
	server := &http.Server{Handler: handler, ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(ln) })
	t.Cleanup(func() {
		near.Close()
		server.Close()
		serving.Wait()
	})
	return near, closed
}

func ask(t *testing.T, client net.Conn, path string) {
	t.Helper()
	if _, err := io.WriteString(client, "GET "+path+"?token=wall HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
}

// A client that takes nothing ends its request after 30 s, be the answer large or small.
func TestServer_writeBound(t *testing.T) {
	for name, size := range map[string]int{"large": 1 << 20, "small": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(func(o *live.Options) {
					o.Outputs[live.MSE] = output(func(w http.ResponseWriter, _ *http.Request, _ live.Request) {
						_, _ = w.Write(make([]byte, size))
					})
				})
				client, closed := piped(t, g.handler())
				begun := time.Now()
				ask(t, client, "/live/door/mse")
				<-closed
				if took := time.Since(begun); took != 30*time.Second {
					t.Errorf("it ended after %v", took)
				}
			})
		})
	}
}

// The bound of one answer does not cut a later one of the same connection.
func TestServer_laterRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(nil)
		mux := http.NewServeMux()
		mux.Handle("/live/", g.handler())
		mux.HandleFunc("/other", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "media") })
		client, _ := piped(t, mux)
		in := bufio.NewReader(client)
		for _, path := range []string{"/live/door/mse", "/other"} {
			ask(t, client, path)
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(response.Body); err != nil || string(body) != "media" {
				t.Fatalf("%s: %q, %v", path, body, err)
			}
			response.Body.Close()
			later, cancel := context.WithTimeout(t.Context(), time.Minute)
			<-later.Done()
			cancel()
		}
	})
}

// once is a listener of given connections.
type once struct {
	conns  chan net.Conn
	closed sync.Once
}

func (l *once) Accept() (net.Conn, error) {
	conn, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l *once) Close() error {
	l.closed.Do(func() { close(l.conns) })
	return nil
}

func (l *once) Addr() net.Addr { return &net.TCPAddr{} }
