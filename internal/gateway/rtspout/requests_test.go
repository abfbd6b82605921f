package rtspout_test

import (
	"context"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/stream"
)

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Each refusal has its status, its reason in the header, and no reader.
func TestServer_refuses(t *testing.T) {
	later := time.Now().Add(25 * time.Second)
	for _, test := range []struct {
		name, method, path string
		headers            []string
		feedErr            error
		status             base.StatusCode
		reason, retry      string
	}{
		{name: "no login", path: "/edge1/front", status: 401, reason: "viewer; ACCESS_LOGIN; "},
		{name: "wrong login", path: "/edge1/front", headers: []string{basic("wall", "x")}, status: 401, reason: "viewer; ACCESS_LOGIN; "},
		{name: "unreadable login", path: "/edge1/front", headers: []string{"Authorization: Basic %%%"}, status: 401, reason: "viewer; ACCESS_LOGIN; "},
		{name: "wrong token", path: "/edge1/front?token=x", status: 401, reason: "viewer; ACCESS_LOGIN; "},
		{name: "no grant", path: "/edge1/secret?token=rtt_wall", status: 403, reason: "viewer; ACCESS_DENIED; "},
		{name: "unknown", path: "/edge1/back?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "throttled", path: "/edge1/front?token=rtt_throttled", status: 453, reason: "viewer; ACCESS_THROTTLED; ", retry: "25"},
		{name: "up", path: "/edge1/../edge1/front?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "escaped up", path: "/edge1/%2e%2e/front?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "slashes", path: "//edge1/front?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "escaped slash", path: "/edge1%2ffront?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "backslash", path: "/edge1/front%5c?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "escaped NUL", path: "/edge1/front%00?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "no name", path: "/?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "not UTF-8", path: "/edge1/%ff?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "four segments", path: "/edge1/front/main/x?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "long segment", path: "/edge1/" + strings.Repeat("x", 300) + "?token=rtt_wall", status: 404, reason: "viewer; CAM_UNKNOWN; "},
		{name: "query", path: "/edge1/front?%zz", status: 400, reason: "viewer; REQ_TYPE; "},
		{
			name: "camera", path: "/edge1/front?token=rtt_wall", status: 503, reason: "rtsp; RTSP_AUTH; the camera refused", retry: "25",
			feedErr: failure.New(failure.RTSP, reason.RTSPLogin, nil).At(time.Now(), later),
		},
		{
			name: "hub", path: "/edge1/front?token=rtt_wall", status: 503, reason: "hub; MODULE_OFFLINE; line one line two",
			feedErr: &failure.Failure{Hop: failure.Hub, Reason: reason.ModuleOffline, Message: "line one\nline two"},
		},
		{
			name: "too slow", path: "/edge1/front?token=rtt_wall", status: 503, reason: "gateway; OPENING_TIMEOUT; ",
			feedErr: context.DeadlineExceeded,
		},
		{
			name: "limit", path: "/edge1/front?token=rtt_wall", status: 453, reason: "gateway; LIMIT_OPENINGS; ", retry: "10",
			feedErr: failure.New(failure.Gateway, reason.LimitOpenings, nil),
		},
		{name: "announce", method: "ANNOUNCE", path: "/edge1/front?token=rtt_ops", status: 405},
		{name: "record", method: "RECORD", path: "/edge1/front?token=rtt_ops", headers: []string{"Session: 1"}, status: 405},
		{name: "session", method: "PLAY", path: "/edge1/front?token=rtt_ops", headers: []string{"Session: 1"}, status: 454},
		{name: "UDP", method: "SETUP", path: "/edge1/front/trackID=0?token=rtt_ops", headers: []string{"Transport: RTP/AVP;unicast;client_port=4000-4001"}, status: 461, reason: "viewer; VIEWER_TRANSPORT; "},
		{name: "multicast", method: "SETUP", path: "/edge1/front/trackID=0?token=rtt_ops", headers: []string{"Transport: RTP/AVP;multicast"}, status: 461, reason: "viewer; VIEWER_TRANSPORT; "},
		{name: "SRTP", method: "SETUP", path: "/edge1/front/trackID=0?token=rtt_ops", headers: []string{"Transport: RTP/SAVP/TCP;unicast;interleaved=0-1"}, status: 461, reason: "viewer; VIEWER_TRANSPORT; "},
		{name: "channel", method: "SETUP", path: "/edge1/front/trackID=0?token=rtt_ops", headers: []string{"Transport: RTP/AVP/TCP;unicast;interleaved=300-301"}, status: 461, reason: "viewer; VIEWER_TRANSPORT; "},
		{name: "setup without login", method: "SETUP", path: "/edge1/front/trackID=0", headers: []string{transport}, status: 401, reason: "viewer; ACCESS_LOGIN; "},
		{name: "track", method: "SETUP", path: "/edge1/front/trackID=7?token=rtt_ops", headers: []string{transport}, status: 400},
		{name: "method", method: "SET_PARAMETER", path: "/edge1/front", status: 501},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, _, _ := front(t)
			g := newGateway(t, f, func(o *rtspout.Options) {
				if test.feedErr != nil {
					o.Find = func(context.Context, string) (*stream.Stream, error) { return nil, test.feedErr }
				}
				o.Authorize = func(l rtspout.Login, camera string) (rtspout.Principal, error) {
					if l.From != netip.MustParseAddr("127.0.0.1") {
						t.Errorf("login from %v", l.From)
					}
					if l.Token == "rtt_throttled" {
						return rtspout.Principal{}, failure.New(failure.Viewer, reason.AccessThrottled, nil).At(time.Time{}, later)
					}
					return authorize(l, camera)
				}
			})
			c := g.dial(t)
			method := "DESCRIBE"
			if test.method != "" {
				method = test.method
			}
			res := c.want(c.do(method, "rtsp://"+g.address+test.path, test.headers...), test.status)
			if got := strings.Join(res.Header["X-Reason"], "|"); !strings.HasPrefix(got, test.reason) || (got == "") != (test.reason == "") {
				t.Errorf("X-Reason: %q, want %q", got, test.reason)
			}
			if got := strings.Join(res.Header["Retry-After"], "|"); got != test.retry {
				t.Errorf("Retry-After: %q, want %q", got, test.retry)
			}
			if got := strings.Join(res.Header["Www-Authenticate"], "|") + strings.Join(res.Header["WWW-Authenticate"], "|"); (got == `Basic realm="tunnelgateway"`) != (test.status == 401) {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			c.Close()
			f.awaitReaders(t, 0)
			if strings.Contains(g.log.String(), "rtt_") {
				t.Errorf("a token is in the log: %s", g.log)
			}
		})
	}
}

// A message that gortsplib cannot parse, or that is too long, ends in status 400.
func TestServer_unreadableRequests(t *testing.T) {
	g := newGateway(t, nil, nil)
	for name, text := range map[string]string{
		"long URL":     "DESCRIBE rtsp://h/" + strings.Repeat("x", 10<<10) + " RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"NUL":          "DESCRIBE rtsp://h/\x00 RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"scheme":       "DESCRIBE http://h/ RTSP/1.0\r\nCSeq: 1\r\n\r\n",
		"version":      "DESCRIBE rtsp://h/ RTSP/2.0\r\nCSeq: 1\r\n\r\n",
		"no CSeq":      "DESCRIBE rtsp://h/ RTSP/1.0\r\n\r\n",
		"long header":  "OPTIONS rtsp://h/ RTSP/1.0\r\nA: " + strings.Repeat("x", 4<<10) + "\r\n\r\n",
		"many headers": "OPTIONS rtsp://h/ RTSP/1.0\r\n" + strings.Repeat("A: x\r\n", 300) + "\r\n",
		"big headers":  "OPTIONS rtsp://h/ RTSP/1.0\r\n" + strings.Repeat("A: "+strings.Repeat("x", 1000)+"\r\n", 100) + "\r\n",
		"big body":     "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
		"huge body":    "OPTIONS rtsp://h/ RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999999\r\n\r\n",
		"garbage":      strings.Repeat("x", 100000),
		"HTTP":         "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HTTP tunnel":  "GET /edge1/front HTTP/1.0\r\nAccept: application/x-rtsp-tunnelled\r\nX-Sessioncookie: 1\r\n\r\n",
		"frame":        "$\x00\x00\x04abcd",
	} {
		t.Run(name, func(t *testing.T) {
			c := g.dial(t)
			go func() { _, _ = c.Write([]byte(text)) }()
			c.want(c.answer(), 400)
			if _, err := c.r.ReadByte(); err == nil {
				t.Error("the connection is open")
			}
		})
	}
}

// Three failed logins end a connection. A request without a login is none.
func TestServer_failedLogins(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Request: time.Hour, Login: time.Hour})
	c := g.dial(t)
	for range 5 {
		c.want(c.do("DESCRIBE", g.url("")), 401)
	}
	for range 3 {
		c.want(c.do("DESCRIBE", g.url(""), basic("wall", "wrong")), 401)
	}
	c.wantClosed()
	g.log.AwaitFields(t, 3, "message=viewer refused", "reason=ACCESS_LOGIN")
	if n := g.log.CountFields(t, "message=viewer refused"); n != 3 {
		t.Errorf("%d lines, want 3", n)
	}
}

// gortsplib writes each answer with one Write: media are written between the writes.
func TestServer_oneWritePerAnswer(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	counted := &countingListener{Listener: ln}
	go func() { _ = g.Serve(counted) }()
	g.address = ln.Addr().String()

	c := g.dial(t)
	url := g.url("?token=rtt_wall")
	c.want(c.do("OPTIONS", url), 200)
	c.want(c.do("DESCRIBE", g.url("")), 401)
	c.want(c.do("DESCRIBE", url), 200)
	session := sessionID(c.want(c.do("SETUP", trackURL(g.url("")), transport), 200))
	c.want(c.do("GET_PARAMETER", url, "Session: "+session), 200)
	c.want(c.do("TEARDOWN", url, "Session: "+session), 200)
	if n := counted.writes.Load(); n != 6 {
		t.Errorf("%d writes for 6 answers", n)
	}
}

type countingListener struct {
	net.Listener
	writes atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countingConn{Conn: c, writes: &l.writes}, err
}

type countingConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// The token of the URL, the start and the camera are remembered for the connection, and
// requests may be pipelined.
func TestServer_pipelined(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.send("OPTIONS", "*")
	c.send("DESCRIBE", g.url("?token=rtt_wall"))
	c.send("SETUP", trackURL(g.url("")), transport)
	c.want(c.answer(), 200)
	if got, want := c.want(c.answer(), 200).Header["Content-Base"][0], g.url("/"); got != want {
		t.Errorf("Content-Base %q, want %q", got, want)
	}
	session := sessionID(c.want(c.answer(), 200))
	c.send("PLAY", g.url(""), "Session: "+session)
	c.send("GET_PARAMETER", g.url(""), "Session: "+session)
	c.send("TEARDOWN", g.url(""), "Session: "+session)
	c.want(c.answer(), 200)
	c.want(c.answer(), 200)
	c.want(c.answer(), 200)
	// A second session on the connection.
	c.play(g.url("?token=rtt_ops"))
}

// gortsplib makes a GStreamer that sets up wait for one second; players do not wait.
func TestServer_userAgent(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.want(c.do("DESCRIBE", g.url("?token=rtt_wall"), "User-Agent: GStreamer/1.22"), 200)
	begin := time.Now()
	session := sessionID(c.want(c.do("SETUP", trackURL(g.url("")), transport, "User-Agent: GStreamer/1.22"), 200))
	if took := time.Since(begin); took >= time.Second {
		t.Errorf("SETUP took %v", took)
	}
	c.want(c.do("PLAY", g.url(""), "Session: "+session), 200)
	g.log.AwaitFields(t, 1, "message=viewer started", "agent=GStreamer/1.22")
}

func sessionID(res *base.Response) string {
	id, _, _ := strings.Cut(res.Header["Session"][0], ";")
	return id
}
