package rtsptest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

func TestCamera_requests(t *testing.T) {
	t.Parallel()
	open := newCamera(t, rtsptest.Options{})
	closed := newCamera(t, rtsptest.Options{User: "viewer", Password: "example-only"})
	const (
		tcp = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
		udp = "Transport: RTP/AVP;unicast;client_port=5000-5001"
	)
	for _, test := range []struct {
		name   string
		camera *rtsptest.Camera
		method string
		path   string
		header string
		want   string
	}{
		{"describe", open, "DESCRIBE", "/front", "Accept: application/sdp", "RTSP/1.0 200 OK"},
		{"describe wrong path", open, "DESCRIBE", "/yard", "Accept: application/sdp", "RTSP/1.0 404 Not Found"},
		{"describe without path", open, "DESCRIBE", "/", "Accept: application/sdp", "RTSP/1.0 404 Not Found"},
		{"setup", open, "SETUP", "/front/trackID=0", tcp, "RTSP/1.0 200 OK"},
		{"setup wrong path", open, "SETUP", "/yard/trackID=0", tcp, "RTSP/1.0 404 Not Found"},
		{"setup wrong track", open, "SETUP", "/front/trackID=7", tcp, "RTSP/1.0 400 Bad Request"},
		{"setup udp", open, "SETUP", "/front/trackID=0", udp, "RTSP/1.0 461 Unsupported Transport"},
		{"describe without credentials", closed, "DESCRIBE", "/front", "Accept: application/sdp", "RTSP/1.0 401 Unauthorized"},
		{"setup without credentials", closed, "SETUP", "/front/trackID=0", tcp, "RTSP/1.0 401 Unauthorized"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn := newConn(t, test.camera)
			got, _ := request(t, conn, test.method, "rtsp://"+test.camera.Addr()+test.path, test.header)
			if got != test.want {
				t.Errorf("status = %q, want %q", got, test.want)
			}
		})
	}
}

// The camera offers only Digest, in the one form that ffmpeg understands.
func TestCamera_challenge(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{User: "viewer", Password: "example-only"})
	_, header := request(t, newConn(t, camera), "DESCRIBE", camera.URL(), "Accept: application/sdp")
	got := header.Values("WWW-Authenticate")
	if len(got) != 1 || !strings.HasPrefix(got[0], "Digest ") || !strings.Contains(got[0], `algorithm="MD5"`) {
		t.Errorf("challenges = %q, want one for Digest with MD5", got)
	}
}

func TestCamera_description(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "yard"})
	conn := newConn(t, camera)
	_, header := request(t, conn, "DESCRIBE", camera.URL(), "Accept: application/sdp")
	if got, want := header.Get("Content-Base"), camera.URL()+"/"; got != want {
		t.Errorf("content base = %q, want %q", got, want)
	}
	body := make([]byte, 1000)
	n, err := conn.Read(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"s=yard\r\n", "a=control:trackID=0\r\n", "a=rtpmap:96 H264/90000\r\n", "packetization-mode=1", "sprop-parameter-sets=",
	} {
		if !strings.Contains(string(body[:n]), want) {
			t.Errorf("description lacks %q:\n%s", want, body[:n])
		}
	}
}

// conn is a connection for requests that the test writes as text.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func (c *conn) Read(p []byte) (int, error) { return c.r.Read(p) }

func newConn(t *testing.T, camera *rtsptest.Camera) *conn {
	t.Helper()
	c, err := net.Dial("tcp", camera.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &conn{Conn: c, r: bufio.NewReader(c)}
}

// request sends a request and returns the status line and the header of the response.
// The caller can read the body from c.
func request(t *testing.T, c *conn, method, target, header string) (string, textproto.MIMEHeader) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "%s %s RTSP/1.0\r\nCSeq: 1\r\n%s\r\n\r\n", method, target, header); err != nil {
		t.Fatal(err)
	}
	r := textproto.NewReader(c.r)
	status, err := r.ReadLine()
	if err != nil {
		t.Fatal(err)
	}
	h, err := r.ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	return status, h
}
