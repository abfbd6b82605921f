package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// mustInvoke calls a method of id. It waits until the client has connected.
func mustInvoke(t *testing.T, e *env, id store.ID) {
	t.Helper()
	call := broker.Call{
		Method: "m", Payload: json.RawMessage(`{}`), ConnectTimeout: patience, ResponseTimeout: patience,
	}
	if _, _, err := e.broker.Invoke(t.Context(), id, call); err != nil {
		t.Errorf("invoke %s: %v", id, err)
	}
}

func TestTakeOver(t *testing.T) {
	for name, clean := range map[string]bool{"clean": true, "not clean": false} {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			lost := make(chan string, 10)
			var latest paho.Client
			for i := range 5 {
				o := e.options(t, module).SetCleanSession(clean)
				o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- fmt.Sprintf("%d: %v", i, err) })
				latest = connect(t, o)
				answerMethods(t, latest, echo(200))
				mustInvoke(t, e, module)
				if i == 0 {
					continue
				}
				if got, want := next(t, lost), fmt.Sprintf("%d: ", i-1); !strings.HasPrefix(got, want) {
					t.Errorf("connection lost: %s; want number %s", got, want)
				}
			}
			mustInvoke(t, e, module)
			if !latest.IsConnectionOpen() || len(lost) > 0 {
				t.Error("the newest connection was cut")
			}
		})
	}
}

func TestDrop_thenReconnect(t *testing.T) {
	e := start(t)
	e.broker.Drop(module) // not connected
	o := e.options(t, module).SetAutoReconnect(true).SetMaxReconnectInterval(10 * time.Millisecond)
	lost := lossOf(o)
	o.SetOnConnectHandler(func(c paho.Client) {
		c.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
			topic, payload := echo(200)(m.Topic(), m.Payload())
			c.Publish(topic, 0, false, payload)
		})
	})
	connect(t, o)
	mustInvoke(t, e, module)
	e.broker.Drop(module)
	next(t, lost)
	mustInvoke(t, e, module)
}

func TestDrop_atOnce(t *testing.T) {
	e := start(t)
	call := broker.Call{Method: "m", ResponseTimeout: time.Millisecond}
	for range 20 { // makes a race more likely
		subscribe(t, connect(t, e.options(t, module)), "$iothub/methods/POST/#")
		e.broker.Drop(module)
		if _, _, err := e.broker.Invoke(t.Context(), module, call); !errors.Is(err, broker.ErrNotConnected) {
			t.Fatalf("got %v, want %v", err, broker.ErrNotConnected)
		}
		if e.identity(t, module).Connected {
			t.Fatal("still connected after Drop")
		}
	}
}

func TestPublish_ignoredAfterCut(t *testing.T) {
	e := start(t)
	conn := dial(t, e)
	logIn(t, e, conn, func(*packets.ConnectPacket) {})
	var both bytes.Buffer
	for _, topic := range []string{"hello", "$iothub/twin/PATCH/properties/reported/?$rid=1"} {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.TopicName, p.Payload = topic, []byte(`{"a":1}`)
		if err := p.Write(&both); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := conn.Write(both.Bytes()); err != nil {
		t.Fatal(err)
	}
	if _, err := packets.ReadPacket(conn); err == nil {
		t.Error("got an answer")
	}
	e.close(t)
	twin, err := e.store.Twin(module)
	if err != nil {
		t.Fatal(err)
	}
	if twin.Reported.Version != 1 {
		t.Errorf("reported version %d, want 1", twin.Reported.Version)
	}
}

func TestPublish_cutsConnection(t *testing.T) {
	const own = "devices/d1/modules/m1/messages/events/"
	tests := []struct {
		topic string
		qos   byte
		log   string
	}{
		{"hello", 0, "publish to an unknown topic"},
		{"$iothub/methods/POST/m/?$rid=1", 0, "publish to an unknown topic"},
		{"devices/d1/modules/m2/messages/events/", 0, "publish to an unknown topic"},
		{own + "a=b+c", 1, "publish to a topic with '+'"},
		{own + "#", 0, "publish to a topic with '+'"},
		{"#", 1, "publish to a topic with '+'"},
		{"$SYS/broker", 1, "publish to a topic with '+'"},
		{own, 2, "publish at QoS 2"},
	}
	for _, tt := range tests {
		t.Run(tt.topic, func(t *testing.T) {
			e := start(t)
			o := e.options(t, module)
			lost := lossOf(o)
			connect(t, o).Publish(tt.topic, tt.qos, false, "secret payload")
			next(t, lost)
			log := e.log.String()
			if strings.Contains(log, "secret payload") {
				t.Error("the log contains the payload")
			}
			if strings.Count(log, tt.log) != 1 {
				t.Errorf("the log does not contain %q once:\n%s", tt.log, log)
			}
			if list := e.sent.List(); len(list) != 0 {
				t.Errorf("stored as telemetry: %v", list)
			}
		})
	}
}

// No message of a client reaches another client, not even its will.
func TestPublish_isNotRouted(t *testing.T) {
	const topic = "$iothub/twin/PATCH/properties/desired/?$version=99"
	e := start(t)
	victim := connect(t, e.options(t, other))
	updates := subscribe(t, victim, "$iothub/twin/PATCH/properties/desired/#")

	connect(t, e.options(t, module)).Publish(topic, 0, false, `{"evil":1}`)
	conn := dial(t, e)
	logIn(t, e, conn, func(c *packets.ConnectPacket) {
		c.WillFlag, c.WillTopic, c.WillMessage = true, topic, []byte(`{"evil":2}`)
	})
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	for !errors.Is(err, broker.ErrNotConnected) { // until the broker has handled the end and the will
		_, _, err = e.broker.Invoke(t.Context(), module, broker.Call{Method: "m", ResponseTimeout: time.Millisecond})
	}

	patch(t, e, other, `{"good":1}`)
	if got, want := string(next(t, updates).Payload()), `{"$version":2,"good":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestClose_withClients(t *testing.T) {
	e := start(t)
	for _, id := range []store.ID{module, other, device} {
		connect(t, e.options(t, id))
	}
	// One client is silent after TLS, the other one does not start TLS.
	dial(t, e)
	silent, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	e.close(t)
}

// A client that does not read blocks neither writers of its twin, nor other clients, nor
// Close.
func TestSlowClient_blocksNothing(t *testing.T) {
	e := start(t)
	logIn(t, e, dial(t, e), func(*packets.ConnectPacket) {})
	answerMethods(t, connect(t, e.options(t, other)), echo(200))
	large := `{"a":"` + strings.Repeat("x", 4*1024) + `"}`
	for range 3200 {
		patch(t, e, module, large)
	}
	mustInvoke(t, e, other)
	e.close(t)
}

// The queue for a client that does not read is limited in messages and in bytes.
func TestSlowClient_isCut(t *testing.T) {
	large := json.RawMessage(`"` + strings.Repeat("x", 120*1024) + `"`)
	tests := []struct {
		name  string
		send  func(e *env)
		times int // more than the queue and the buffers of the sockets can hold
	}{
		{"many", func(e *env) { patch(t, e, module, `{"a":"`+strings.Repeat("x", 4*1024)+`"}`) }, 8000},
		{"large", func(e *env) { _, _, _ = e.broker.Invoke(t.Context(), module, broker.Call{Method: "m", Payload: large}) }, 1000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t)
			logIn(t, e, dial(t, e), func(*packets.ConnectPacket) {})
			for range tt.times {
				tt.send(e)
			}
			if _, _, err := e.broker.Invoke(t.Context(), module, broker.Call{Method: "m"}); !errors.Is(err, broker.ErrNotConnected) {
				t.Errorf("got %v, want %v", err, broker.ErrNotConnected)
			}
			if log := e.log.String(); !strings.Contains(log, "client does not read") {
				t.Errorf("the log has no reason:\n%s", log)
			}
		})
	}
}

// logIn logs module in on conn, and subscribes to desired patches and methods. set may
// change the CONNECT before it is sent.
func logIn(t *testing.T, e *env, conn net.Conn, set func(*packets.ConnectPacket)) {
	t.Helper()
	c := connectPacket(t, e, module, true)
	set(c)
	s := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	s.MessageID, s.Qoss = 1, []byte{0, 0}
	s.Topics = []string{"$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#"}
	for _, packet := range []packets.ControlPacket{c, s} {
		if err := packet.Write(conn); err != nil {
			t.Fatal(err)
		}
		if _, err := packets.ReadPacket(conn); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPacket_tooLarge(t *testing.T) {
	e := start(t)
	o := e.options(t, module)
	lost := lossOf(o)
	client := connect(t, o)
	client.Publish("devices/d1/modules/m1/messages/events/", 0, false, make([]byte, 257*1024))
	next(t, lost)
}

func TestServe_afterClose(t *testing.T) {
	e := start(t)
	e.close(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.broker.Serve(ln); err == nil {
		t.Error("Serve works after Close")
	}
	if _, err := ln.Accept(); err == nil {
		t.Error("the listener is still open")
	}
}

// accept returns both ends of a TLS connection.
func accept(t *testing.T, e *env) (server *tls.Conn, client net.Conn) {
	t.Helper()
	cert, err := e.ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	accepted := make(chan *tls.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			close(accepted)
			return
		}
		accepted <- conn.(*tls.Conn)
		_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // an error also fails the client
	}()
	client, err = tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: e.ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return <-accepted, client
}

// Connections of ServeConn behave like those of a listener: the newest wins, and Close
// ends them.
func TestServeConn(t *testing.T) {
	e := start(t)
	o := e.options(t, module)
	lost := lossOf(o)
	connect(t, o)
	server, client := accept(t, e)
	served := make(chan error, 1)
	go func() { served <- e.broker.ServeConn(server) }()
	logIn(t, e, client, func(*packets.ConnectPacket) {})
	next(t, lost)
	if len(served) > 0 {
		t.Error("ServeConn returned before the end of the connection")
	}
	e.close(t)
	if err := <-served; err != nil {
		t.Errorf("ServeConn ended with %v", err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestServeConn_afterClose(t *testing.T) {
	e := start(t)
	server, client := accept(t, e)
	e.close(t)
	if err := e.broker.ServeConn(server); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("got %v, want %v", err, broker.ErrClosed)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

// lingering is a connection whose Close blocks until the test closes release.
type lingering struct {
	*tls.Conn
	served, release chan struct{}
}

func (l lingering) SetDeadline(time.Time) error {
	close(l.served) // the broker calls this first, and not again in this test
	return nil
}

func (l lingering) Close() error {
	<-l.release
	return l.Conn.Close()
}

func TestClose_waitsForServeConn(t *testing.T) {
	e := start(t)
	server, _ := accept(t, e)
	conn := lingering{Conn: server, served: make(chan struct{}), release: make(chan struct{})}
	go e.broker.ServeConn(conn) //nolint:errcheck // the test checks Close
	next(t, conn.served)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		e.close(t)
	}()
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	select {
	case <-closed:
		t.Error("Close returned before the end of the connection")
	case <-soon.Done():
	}
	close(conn.release)
	next(t, closed)
}

// layer is a connection that wraps another one. Its Close reports whether the innermost
// connection was closed before.
type layer struct {
	net.Conn

	below     net.Conn
	innermost *innermost
	closes    chan bool
}

func (l layer) NetConn() net.Conn { return l.below }

func (l layer) Close() error {
	l.closes <- l.innermost.closed.Load()
	return l.Conn.Close()
}

// innermost is a connection that knows whether it is closed.
type innermost struct {
	net.Conn

	closed atomic.Bool
}

func (i *innermost) Close() error {
	i.closed.Store(true)
	return i.Conn.Close()
}

// The close of a WebSocket or of TLS would wait for a client that does not read, so Drop
// closes the connection below them first.
func TestDrop_closesInnermostFirst(t *testing.T) {
	e := start(t)
	server, client := accept(t, e)
	inner := &innermost{Conn: server.NetConn()}
	closes := make(chan bool, 10)
	middle := layer{Conn: server, below: inner, innermost: inner, closes: closes}
	served := make(chan error, 1)
	go func() {
		served <- e.broker.ServeConn(layer{Conn: server, below: middle, innermost: inner, closes: closes})
	}()
	logIn(t, e, client, func(*packets.ConnectPacket) {})
	e.broker.Drop(module)
	if err := next(t, served); err != nil {
		t.Error(err)
	}
	for len(closes) > 0 {
		if !<-closes {
			t.Error("a layer was closed before the innermost connection")
		}
	}
}
