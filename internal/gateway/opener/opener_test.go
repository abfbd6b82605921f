package opener_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/wire/wsconn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cloud is a gateway and a hub. The module behind the hub is a function of the test, which
// returns the status and body of tunnelOpen.
type cloud struct {
	*opener.Opener
	public *httptest.Server // where modules dial the gateway
	hub    *httptest.Server
	front  opener.Target
	module func(r tunnelopen.Request) (status int, body string)
	far    chan *wsconn.Conn // the module's ends of tunnels, from accept
	log    *logtest.Record
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{far: make(chan *wsconn.Conn, 16), log: logtest.New()}
	c.hub = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var call struct {
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.NewDecoder(r.Body).Decode(&call); err != nil {
			t.Error(err)
		}
		request, err := tunnelopen.Decoder{}.Decode(call.Payload)
		if err != nil {
			t.Errorf("the gateway's request violates the contract: %v", err)
		}
		status, body := c.module(request)
		if status == 0 { // the hub cannot reach the module
			w.Header().Set("iothub-errorcode", "DeviceNotOnline")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "payload": json.RawMessage(body)})
	}))
	t.Cleanup(c.hub.Close)
	client, err := hubclient.New("HostName="+strings.TrimPrefix(c.hub.URL, "https://")+";SharedAccessKeyName=p;SharedAccessKey=a2V5",
		hubclient.Options{Roots: c.hub.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	c.front = opener.Target{Name: "front", Hub: client, Identity: hubclient.Identity{Device: "d", Module: "m"}, LocalPort: 554}
	c.public = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeHTTP(w, r) }))
	t.Cleanup(c.public.Close)
	c.restart(t, opener.Options{})
	return c
}

// restart replaces the opener, which has no tunnels yet.
func (c *cloud) restart(t *testing.T, o opener.Options) {
	t.Helper()
	o.Endpoint = "wss" + strings.TrimPrefix(c.public.URL, "https") + o.Endpoint
	o.Log = zerolog.New(c.log)
	c.Opener = opener.New(o)
	t.Cleanup(func() { c.Shutdown(context.Background()) })
}

// dial opens the WebSocket of a request, as the module does.
func (c *cloud) dial(t *testing.T, r tunnelopen.Request) (*wsconn.Conn, error) {
	t.Helper()
	dialer := wsconn.Dialer{Roots: c.public.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	u, err := url.Parse(r.RemoteEndpoint)
	if err != nil {
		return nil, err
	}
	return dialer.Dial(t.Context(), u, tunnelopen.Header(r.Token, "test"))
}

// accept opens the WebSocket of a request, and answers as the module does. The test closes
// the WebSocket.
func (c *cloud) accept(t *testing.T, r tunnelopen.Request) (status int, body string) {
	t.Helper()
	conn, err := c.dial(t, r)
	if err != nil {
		t.Error(err)
		return 502, `{}`
	}
	t.Cleanup(func() { conn.Close() })
	c.far <- conn
	return 200, `{}`
}

// status returns the status of the gateway's answer to dial.
func (c *cloud) status(t *testing.T, r tunnelopen.Request) int {
	t.Helper()
	conn, err := c.dial(t, r)
	if err == nil {
		conn.Close()
		return http.StatusSwitchingProtocols
	}
	answer, ok := errors.AsType[*wsconn.HandshakeError](err)
	if !ok {
		t.Fatal(err)
	}
	status, _ := answer.HTTPStatus()
	return status
}

func TestOpen_returnsTheModulesWebSocket(t *testing.T) {
	c := newCloud(t)
	var requests []tunnelopen.Request
	far := make(chan net.Conn, 2)
	c.module = func(r tunnelopen.Request) (int, string) {
		requests = append(requests, r)
		conn, err := c.dial(t, r)
		if err != nil {
			return 502, `{"code":"502"}`
		}
		far <- conn
		return 200, `{}`
	}
	for range 2 {
		conn, err := c.Open(t.Context(), c.front)
		if err != nil {
			t.Fatal(err)
		}
		edge := <-far
		go func() { _, _ = edge.Write([]byte("RTSP/1.0")); _ = edge.Close() }()
		if got, err := io.ReadAll(conn); string(got) != "RTSP/1.0" || !errors.Is(err, io.EOF) {
			t.Errorf("read %q, %v", got, err)
		}
		conn.Close()
	}
	if requests[0].LocalPort != 554 {
		t.Errorf("local port %d", requests[0].LocalPort)
	}
	if len(requests[0].Token) != 43 || requests[0].Token == requests[1].Token || requests[0].RemoteEndpoint == requests[1].RemoteEndpoint {
		t.Error("ids and tokens are not fresh 256-bit values")
	}
}

// Only the correct token on the correct path is accepted, and only once.
func TestServeHTTP_acceptsATokenOnce(t *testing.T) {
	c := newCloud(t)
	c.module = func(r tunnelopen.Request) (int, string) {
		wrong := r
		wrong.Token = tunnelopen.Token(strings.Repeat("A", 43))
		unknown := r
		unknown.RemoteEndpoint += "0"
		elsewhere := r
		elsewhere.RemoteEndpoint = strings.Replace(r.RemoteEndpoint, "/tunnel/", "/", 1)
		for name, try := range map[string]struct {
			r    tunnelopen.Request
			want int
		}{"wrong token": {wrong, 401}, "unknown id": {unknown, 404}, "another path": {elsewhere, 404}} {
			if got := c.status(t, try.r); got != try.want {
				t.Errorf("%s is answered %d, want %d", name, got, try.want)
			}
		}
		plain, err := http.NewRequest(http.MethodGet, "https"+strings.TrimPrefix(r.RemoteEndpoint, "wss"), nil)
		if err != nil {
			t.Error(err)
		}
		plain.Header = tunnelopen.Header(r.Token, "test")
		if resp, err := c.public.Client().Do(plain); err != nil || resp.StatusCode != 404 {
			t.Errorf("a plain GET with the right token: %v, %v", resp, err)
		} else {
			resp.Body.Close()
		}
		bare, err := http.NewRequest(http.MethodGet, "https"+strings.TrimPrefix(r.RemoteEndpoint, "wss"), nil)
		if err != nil {
			t.Error(err)
		}
		bare.Header.Set("Authorization", string(r.Token))
		if resp, err := c.public.Client().Do(bare); err != nil || resp.StatusCode != 401 {
			t.Errorf("a token without its scheme: %v, %v", resp, err)
		} else {
			resp.Body.Close()
		}
		conn, err := c.dial(t, r) // the token is still valid
		if err != nil {
			t.Errorf("the right token is refused: %v", err)
			return 502, `{}`
		}
		t.Cleanup(func() { conn.Close() })
		if got := c.status(t, r); got != 404 {
			t.Errorf("the second use of a token is answered %d, want 404", got)
		}
		return 200, `{}`
	}
	conn, err := c.Open(t.Context(), c.front)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got := strings.Count(c.log.String(), "request refused"); got != 6 {
		t.Errorf("%d refusals are logged, want 6:\n%s", got, c.log)
	}
	if strings.Contains(c.log.String(), strings.Repeat("A", 43)) {
		t.Error("a token is logged")
	}
}

// Modules reach the endpoint below its own path, and without it behind a reverse proxy that
// removes it.
func TestServeHTTP_belowAPath(t *testing.T) {
	c := newCloud(t)
	c.restart(t, opener.Options{Endpoint: "/sites/north/"})
	for _, path := range []string{"/sites/north/tunnel/", "/tunnel/"} {
		c.module = func(r tunnelopen.Request) (int, string) {
			if !strings.Contains(r.RemoteEndpoint, "/sites/north/tunnel/") {
				t.Errorf("endpoint %s", r.RemoteEndpoint)
			}
			r.RemoteEndpoint = strings.Replace(r.RemoteEndpoint, "/sites/north/tunnel/", path, 1)
			return c.accept(t, r)
		}
		conn, err := c.Open(t.Context(), c.front)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

// Strangers cannot fill the log, and no line holds what they sent.
func TestServeHTTP_boundsItsLog(t *testing.T) {
	c := newCloud(t)
	for range 200 {
		answer := httptest.NewRecorder()
		c.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/tunnel/canary", nil))
		if answer.Code != 404 || answer.Header().Get("Connection") != "close" {
			t.Fatalf("answered %d, %v", answer.Code, answer.Header())
		}
	}
	if got := strings.Count(c.log.String(), "request refused"); got == 0 || got > 11 {
		t.Errorf("%d lines for 200 requests", got)
	}
	if strings.Contains(c.log.String(), "canary") {
		t.Errorf("the path is logged:\n%s", c.log)
	}
}
