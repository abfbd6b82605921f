package broker_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/faults"
)

// startWithOther starts a broker and connects the module other, which answers methods.
func startWithOther(t *testing.T) *env {
	t.Helper()
	e := start(t)
	answerMethods(t, connect(t, e.options(t, other)), echo(200))
	mustInvoke(t, e, other)
	return e
}

// mustBeCut waits until the broker cuts conn.
func mustBeCut(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection was not cut")
	}
}

func garbage(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	b[0] = 0x99 // neither MQTT nor TLS
	return b
}

// encode returns the wire form of packets.
func encode(tb testing.TB, list ...packets.ControlPacket) []byte {
	tb.Helper()
	var buf bytes.Buffer
	for _, p := range list {
		if err := p.Write(&buf); err != nil {
			tb.Fatal(err)
		}
	}
	return buf.Bytes()
}

func publishPacket(topic string, payload []byte) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	return p
}

func subscribePacket(filter string) *packets.SubscribePacket {
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID, s.Topics, s.Qoss = 2, []string{filter}, []byte{0}
	return s
}

func TestHostile_invalidBytesCutOnlyTheirConnection(t *testing.T) {
	e := startWithOther(t)
	tests := []struct {
		name     string
		loggedIn bool
		bytes    []byte
	}{
		{"garbage", false, garbage(1000)},
		{"much garbage", false, garbage(1 << 20)},
		{"CONNECT of 256 MB", false, []byte{0x10, 0xff, 0xff, 0xff, 0x7f, 0, 4, 'M', 'Q', 'T', 'T'}},
		{"CONNECT with an endless length", false, []byte{0x10, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"empty CONNECT", false, []byte{0x10, 0}},
		{"PUBLISH before CONNECT", false, encode(t, publishPacket("a", nil))},
		{"garbage after CONNECT", true, garbage(1000)},
		{"CONNECT twice", true, encode(t, connectPacket(t, e, module, true))},
		{"PUBLISH to #", true, encode(t, publishPacket("#", []byte("x")))},
		{"PUBLISH to a method topic", true, encode(t, publishPacket("$iothub/methods/POST/#", []byte("x")))},
		{"PUBLISH above 256 KB", true, encode(t, publishPacket("devices/d1/modules/m1/messages/events/", make([]byte, 256<<10)))},
		{"PUBLISH of 256 MB", true, []byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a'}},
		{"topic longer than the packet", true, []byte{0x30, 4, 0xff, 0xff, 'a', 'b'}},
		{"SUBSCRIBE to nothing", true, []byte{0x82, 2, 0, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := dial(t, e)
			if tt.loggedIn {
				logIn(t, e, conn, func(*packets.ConnectPacket) {})
			}
			_, _ = conn.Write(tt.bytes) // the broker may cut the connection during the write
			mustInvoke(t, e, other)
			mustBeCut(t, conn)
		})
	}
	plain := dialTCP(t, e)
	_, _ = plain.Write(garbage(1000))
	mustBeCut(t, plain)
	mustInvoke(t, e, other)
}

// A client that does not log in within the timeout is cut, at every stage of the login.
func TestHostile_halfOpen(t *testing.T) {
	e := start(t)
	e.close(t)
	e.loginTimeout = time.Second
	e.serve(t)
	hello := []byte{0x16, 3, 1, 1, 0, 1} // the start of a TLS client hello
	login := encode(t, connectPacket(t, e, module, true))
	conns := map[string]net.Conn{
		"silent": dialTCP(t, e), "TLS not finished": dialTCP(t, e),
		"silent in TLS": dial(t, e), "half a CONNECT": dial(t, e),
	}
	for name, start := range map[string][]byte{"TLS not finished": hello, "half a CONNECT": login[:20]} {
		if _, err := conns[name].Write(start); err != nil {
			t.Fatal(err)
		}
	}
	for name, conn := range conns {
		t.Run(name, func(t *testing.T) { mustBeCut(t, conn) })
	}
	roundTrip(t, connect(t, e.options(t, other)))
}

// A thousand concurrent connections, most of them silent, do not disturb a connected
// module.
func TestHostile_manyConnections(t *testing.T) {
	const connections = 1000
	e := startWithOther(t)
	packet := connectPacket(t, e, module, true)
	packet.Password = []byte("no token")
	refused := encode(t, packet)
	var wg sync.WaitGroup
	var opened atomic.Int64
	for i := range connections {
		wg.Go(func() {
			defer opened.Add(1)
			conn, err := net.Dial("tcp", e.addr)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { conn.Close() })
			switch i % 10 {
			case 0:
				_, _ = tls.Client(conn, &tls.Config{RootCAs: e.ca.Pool(), ServerName: "127.0.0.1"}).Write(refused)
			case 1, 2:
				_, _ = conn.Write(garbage(1000))
			default: // silent
			}
		})
	}
	for opened.Load() < connections && !t.Failed() {
		mustInvoke(t, e, other)
	}
	wg.Wait()
	mustInvoke(t, e, other)
	roundTrip(t, connect(t, e.options(t, module)))
}

// The broker stops reading from a client that sends requests and never reads the answers,
// so its memory is limited.
func TestHostile_requestsWithoutReading(t *testing.T) {
	const bound = 60 << 20
	// The sent bytes show how much the broker has read.
	requests := map[string]*packets.PublishPacket{
		"large answers":    publishPacket("$iothub/twin/GET/?$rid=1", make([]byte, 50_000)),
		"long request ids": publishPacket("$iothub/twin/PATCH/properties/reported/?$rid="+strings.Repeat("1", 60_000), []byte(`{"a":1}`)),
	}
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			e := startWithOther(t)
			bystander := connect(t, e.options(t, device))
			patch(t, e, module, largePatch())
			conn := dial(t, e)
			logIn(t, e, conn, func(*packets.ConnectPacket) {})
			send(t, conn, subscribePacket(twinFilter))
			text := encode(t, request)
			var sent atomic.Int64
			var wg sync.WaitGroup
			wg.Go(func() {
				for sent.Load() < 2*bound {
					n, err := conn.Write(text)
					sent.Add(int64(n))
					if err != nil {
						return
					}
				}
			})
			waitStable(t, bystander, func() int64 { return e.identity(t, module).LastActivity.UnixNano() })
			if n := sent.Load(); n > bound {
				t.Errorf("the broker read %d MB of requests", n>>20)
			}
			mustInvoke(t, e, other)
			e.broker.Drop(module)
			wg.Wait()
		})
	}
}

// A held answer does not keep its request in memory.
func TestHostile_largeRequestsForSmallAnswers(t *testing.T) {
	const requests, bound = 100, 10 << 20
	e := start(t)
	e.putFaults(t, faults.Rules{Twin: &faults.Twin{Hold: true}})
	client := connect(t, e.options(t, module))
	subscribe(t, client, twinFilter)
	before := heap()
	padded := append([]byte(`{"a":1}`), bytes.Repeat([]byte(" "), 250_000)...)
	for range requests {
		wait(t, client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 1, false, padded))
	}
	if grown := heap() - before; grown > bound {
		t.Errorf("%d held answers use %d MB", requests, grown>>20)
	}
}

// heap returns the size of the used heap, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Input of clients does not fill the log.
func TestHostile_logStaysShort(t *testing.T) {
	const bound = 2000 // bytes of log for each packet
	long := strings.Repeat("x", 60_000)
	many := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	many.MessageID = 1
	for range 20_000 {
		many.Topics, many.Qoss = append(many.Topics, "a"), append(many.Qoss, 0)
	}
	e := start(t)
	longID, longHost := connectPacket(t, e, module, true), connectPacket(t, e, module, true)
	longID.ClientIdentifier = long
	longHost.Username = long + "/" + module.String() + "/?api-version=2021-04-12"
	tests := map[string]struct {
		loggedIn bool
		bytes    []byte
	}{
		"many filters":    {true, append(encode(t, many), 0xff)}, // the last byte is not a packet
		"a long filter":   {true, append(encode(t, subscribePacket(long)), 0xff)},
		"a long topic":    {true, encode(t, publishPacket(long, nil))},
		"a bad topic":     {true, encode(t, publishPacket(long+"#", nil))},
		"a long answer":   {true, append(encode(t, publishPacket("$iothub/methods/res/"+long+"/?$rid=1", nil)), 0xff)},
		"a long client":   {false, encode(t, longID)},
		"a long hub name": {false, encode(t, longHost)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, e)
			if tt.loggedIn {
				logIn(t, e, conn, func(*packets.ConnectPacket) {})
			}
			before := len(e.log.String())
			if _, err := conn.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			mustBeCut(t, conn)
			if n := len(e.log.String()) - before; n < 10 || n > bound {
				t.Errorf("%d bytes in the log, want one short line", n)
			}
		})
	}
}

// The broker accepts every keep-alive, although mochi-mqtt's calculation overflows.
func TestKeepAlive_long(t *testing.T) {
	e := start(t)
	for _, seconds := range []uint16{0, 43691, 65535} {
		conn := dial(t, e)
		c := connectPacket(t, e, module, true)
		c.Keepalive = seconds
		send(t, conn, c)
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Fatalf("keep-alive %d: %v", seconds, err)
		}
		send(t, conn, packets.NewControlPacket(packets.Pingreq))
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Errorf("keep-alive %d: %v", seconds, err)
		}
	}
}

// fullListener is a listener of a process with too many open files.
type fullListener struct {
	net.Listener

	failures atomic.Int64 // how many calls of Accept fail
}

func (l *fullListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestServe_retriesWithTooManyFiles(t *testing.T) {
	e := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	full := &fullListener{Listener: ln}
	full.failures.Store(2)
	served := make(chan error, 1)
	go func() { served <- e.broker.Serve(full) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	logIn(t, e, conn, func(*packets.ConnectPacket) {})
	failed := make(chan struct{}, 1000)
	e.log.at(broker.MessageTooManyFiles, func() { failed <- struct{}{} })
	full.failures.Store(1 << 40) // forever, from the next one on
	second, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	next(t, failed)
	e.close(t)
	if err := next(t, served); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Serve ended with %v", err)
	}
}
