package opener_test

import (
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
	*opener.Gateway
	public *httptest.Server // where modules dial the gateway
	hub    *httptest.Server
	module func(r tunnelopen.Request) (status int, body string)
	events chan opener.Event
	log    *logtest.Record
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{events: make(chan opener.Event, 16), log: logtest.New()}
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
	c.public = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ServeHTTP(w, r) }))
	t.Cleanup(c.public.Close)
	c.Gateway = opener.New(opener.Options{
		Hub: client, BaseURL: "wss" + strings.TrimPrefix(c.public.URL, "https"), Log: zerolog.New(c.log),
		Observe: func(e opener.Event) { c.events <- e },
	})
	return c
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

var front = opener.Camera{Name: "front", Identity: hubclient.Identity{Device: "d", Module: "m"}, LocalPort: 554}

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
		conn, err := c.Open(t.Context(), front)
		if err != nil {
			t.Fatal(err)
		}
		edge := <-far
		go func() { _, _ = edge.Write([]byte("RTSP/1.0")); _ = edge.Close() }()
		if got, err := io.ReadAll(conn); string(got) != "RTSP/1.0" || err != nil {
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
	conn, err := c.Open(t.Context(), front)
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

func TestOpen_namesTheHop(t *testing.T) {
	for _, try := range []struct {
		name, body string
		status     int
		want       opener.Hop
	}{
		{"module offline", "", 0, opener.HopModule},
		{"camera off", `{"code":"400","target":"10.0.0.21:554","message":"Could not connect to RTSP endpoint"}`, 400, opener.HopCamera},
		{"no such port", `{"code":"400","target":"localhost:554","message":"Local port is not available"}`, 400, opener.HopCamera},
		{"gateway unreachable", `{"code":"502","target":"wss://gw/tunnel/1","message":"Could not connect to remote endpoint"}`, 502, opener.HopGateway},
		{"shutting down", `{"code":"503","target":"tunnelOpen","message":"Shutting down"}`, 503, opener.HopModule},
		{"another implementation's error", `"no"`, 500, opener.HopModule},
		{"200 without a WebSocket", `{}`, 200, opener.HopGateway},
	} {
		t.Run(try.name, func(t *testing.T) {
			c := newCloud(t)
			var late tunnelopen.Request
			c.module = func(r tunnelopen.Request) (int, string) { late = r; return try.status, try.body }
			_, err := c.Open(t.Context(), front)
			if e, ok := errors.AsType[*opener.OpenError](err); !ok || e.Hop != try.want {
				t.Errorf("got %v, want hop %s", err, try.want)
			}
			if got := c.status(t, late); got != 404 {
				t.Errorf("the token of an abandoned tunnel is answered %d", got)
			}
		})
	}
	t.Run("hub gone", func(t *testing.T) {
		c := newCloud(t)
		c.hub.Close()
		_, err := c.Open(t.Context(), front)
		if e, ok := errors.AsType[*opener.OpenError](err); !ok || e.Hop != opener.HopHub {
			t.Errorf("got %v, want hop hub", err)
		}
	})
}

// If a module opens its WebSocket and then reports a failure, the WebSocket is closed.
func TestOpen_closesTheWebSocketAfterAnError(t *testing.T) {
	c := newCloud(t)
	far := make(chan net.Conn, 1)
	c.module = func(r tunnelopen.Request) (int, string) {
		conn, err := c.dial(t, r)
		if err != nil {
			t.Error(err)
		}
		far <- conn
		return 500, `{}`
	}
	if _, err := c.Open(t.Context(), front); err == nil {
		t.Fatal("no error")
	}
	edge := <-far
	if _, err := edge.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the module reads %v, want EOF", err)
	}
	edge.Close()
}
