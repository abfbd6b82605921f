package rtspout_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/gateway/rtspout"
)

// A session that ends does not make a stranger known: gortsplib gives it one for a SETUP that
// is refused.
func TestServer_neverLogsInButTearsDown(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Login: brief})
	c := g.dial(t)
	session := sessionID(c.want(c.do("SETUP", trackURL(g.url("")), transport), 401))
	c.want(c.do("TEARDOWN", g.url(""), "Session: "+session), 200)
	ticker := time.NewTicker(brief / 10)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := io.WriteString(c, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"); err != nil {
			return
		}
	}
}

// A session is of the connection that made it: another one that has its id cannot use it, and
// a SETUP makes a new one.
func TestServer_sessionOfAnother(t *testing.T) {
	f, first, _ := front(t)
	g := newGateway(t, f, nil)
	c := g.dial(t)
	c.want(c.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
	session := "Session: " + sessionID(c.want(c.do("SETUP", trackURL(g.url("")), transport), 200))
	for _, method := range []string{"PLAY", "PAUSE", "TEARDOWN", "GET_PARAMETER", "OPTIONS", "PLAY"} {
		other := g.dial(t)
		other.want(other.do(method, g.url(""), session), base.StatusSessionNotFound)
	}
	other := g.dial(t)
	if got := "Session: " + sessionID(other.want(other.do("SETUP", trackURL(g.url("?token=rtt_ops")), transport, session), 200)); got == session {
		t.Error("a session has two connections")
	}
	c.want(c.do("PLAY", g.url(""), session), 200)
	c.unit(0, first)
}

// Many connections of one network do not end another network's slow player, which is older.
func TestServer_connectionsOfOneNetwork(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) { o.Limits.Connections = 4 })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	nc, err := dialer.Dial("tcp", g.address)
	if err != nil {
		t.Skip(err) // macOS: loopback has one address
	}
	defer nc.Close()
	slow := newRawClient(t, nc)
	slow.want(slow.do("DESCRIBE", g.url("")), 401)
	var flood []*rawClient
	for range 12 {
		flood = append(flood, g.dial(t))
	}
	for _, c := range flood[:9] {
		c.wantClosed()
	}
	slow.want(slow.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
}
