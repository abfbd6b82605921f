package rtspout_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/testkit/nettest"
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

// Connections that have logged in, and neither play nor hold a stream, keep no player out.
func TestServer_connectionsWithoutStream(t *testing.T) {
	f, _, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) { o.Limits.Connections = 3 }, rtspout.Times{Hold: brief})
	player, idle, holds := g.dial(t), g.dial(t), g.dial(t)
	session, _ := player.play(g.url("?token=rtt_wall"))
	idle.want(idle.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
	idle.want(idle.do("SETUP", trackURL(g.url("")), transport), 200)
	f.awaitReaders(t, 2)
	f.awaitReaders(t, 1) // the time of idle has passed
	await(t, func() bool {
		holds.want(holds.do("DESCRIBE", g.url("?token=rtt_wall")), 200)
		other := g.dial(t)
		_, _ = io.WriteString(other, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
		return other.answer().StatusCode == 200
	})
	idle.wantClosed()
	holds.want(holds.do("OPTIONS", "*"), 200)
	player.want(player.do("GET_PARAMETER", g.url(""), "Session: "+session), 200)
}

// A handshake of TLS that does not come, or comes a byte at a time, ends with the time of the
// first request, and delays no other client.
func TestServer_slowHandshake(t *testing.T) {
	g := newGateway(t, nil, nil, rtspout.Times{Request: time.Second})
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(ln) }()
	var slow [2]net.Conn
	for i := range slow {
		if slow[i], err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer slow[i].Close()
	}
	nc, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	c := newRawClient(t, nc)
	c.want(c.do("OPTIONS", "*"), 200)

	ticker := time.NewTicker(brief / 10)
	defer ticker.Stop()
	for _, b := range append([]byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3}, make([]byte, 500)...) { // a ClientHello's begin
		<-ticker.C
		if _, err := slow[0].Write([]byte{b}); err != nil {
			break
		}
	}
	newRawClient(t, slow[1]).wantClosed()
	await(t, func() bool { return g.Counters().Connections <= 1 })
	g.Shutdown(t.Context())
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// Many connections of one network do not end another network's slow player, which is older.
func TestServer_connectionsOfOneNetwork(t *testing.T) {
	nettest.NeedSecondLoopback(t)
	f, _, _ := front(t)
	g := newGateway(t, f, func(o *rtspout.Options) { o.Limits.Connections = 4 })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	nc, err := dialer.Dial("tcp", g.address)
	if err != nil {
		t.Fatal(err)
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
