package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

const (
	hostName    = "hub.example"
	gatewayName = "gateway.example"
	// patience is how long a test waits for an expected event.
	patience = 10 * time.Second
)

var (
	module = store.ID{Device: "d1", Module: "m1"}
	other  = store.ID{Device: "d1", Module: "m2"}
	device = store.ID{Device: "d1"}
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// env is a broker behind TLS on its own port.
type env struct {
	store  *store.Store
	keep   *keeper
	sent   *telemetry.Log
	broker *broker.Broker
	ca     *localca.CA
	addr   string
	log    *lockedBuffer
	served chan error
	// loginTimeout limits the time for a login; zero means the default.
	loginTimeout time.Duration

	faults   *faults.Set
	throttle *throttle.Limits // nil unless a test sets it and restarts
}

func start(tb testing.TB) *env {
	tb.Helper()
	e := &env{store: store.New(), sent: &telemetry.Log{}, log: &lockedBuffer{}, faults: faults.New()}
	e.keep = &keeper{store: e.store}
	e.store.KeepWith(e.keep.keep)
	for _, id := range []store.ID{module, other} {
		if _, err := e.store.Ensure(id); err != nil {
			tb.Fatal(err)
		}
	}
	var err error
	if e.ca, err = localca.New("test authority"); err != nil {
		tb.Fatal(err)
	}
	e.serve(tb)
	tb.Cleanup(func() { e.close(tb) })
	return e
}

// serve starts a broker for the content of the store.
func (e *env) serve(tb testing.TB) {
	tb.Helper()
	cert, err := e.ca.Issue("127.0.0.1")
	if err != nil {
		tb.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert,
	})
	if err != nil {
		tb.Fatal(err)
	}
	e.addr = ln.Addr().String()
	e.broker, err = broker.New(broker.Options{
		Store: e.store, HostName: hostName, GatewayName: gatewayName, Telemetry: e.sent, Log: zerolog.New(e.log),
		ClientCAs: clientCA().pool, Faults: e.faults, Throttle: e.throttle,
	})
	if err != nil {
		tb.Fatal(err)
	}
	if e.loginTimeout > 0 {
		e.broker.SetLoginTimeout(e.loginTimeout)
	}
	served := make(chan error, 1)
	e.served = served
	go func() { served <- e.broker.Serve(ln) }()
}

// restart replaces the broker by a new one with the same store.
func (e *env) restart(t *testing.T) {
	t.Helper()
	e.close(t)
	e.serve(t)
}

func (e *env) close(tb testing.TB) {
	tb.Helper()
	if err := e.broker.Close(); err != nil {
		tb.Errorf("close: %v", err)
	}
	if err := <-e.served; !errors.Is(err, broker.ErrClosed) {
		tb.Errorf("Serve ended with %v, want %v", err, broker.ErrClosed)
	}
	e.served <- broker.ErrClosed // for a second close
}

func (e *env) identity(tb testing.TB, id store.ID) store.Identity {
	tb.Helper()
	identity, err := e.store.Identity(id)
	if err != nil {
		tb.Fatal(err)
	}
	return identity
}

func (e *env) token(tb testing.TB, id store.ID) string {
	tb.Helper()
	return sign(tb, hostName+"/"+id.Path(), e.identity(tb, id).PrimaryKey, time.Hour)
}

func sign(tb testing.TB, resource, key string, life time.Duration) string {
	tb.Helper()
	token, err := sas.Sign(resource, "", key, time.Now().Add(life))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func userName(id store.ID) string {
	return hostName + "/" + id.String() + "/?api-version=2021-04-12"
}

// options returns the options of a client that logs in as id and does not reconnect.
func (e *env) options(t *testing.T, id store.ID) *paho.ClientOptions {
	t.Helper()
	return paho.NewClientOptions().
		AddBroker("tls://" + e.addr).
		SetTLSConfig(&tls.Config{RootCAs: e.ca.Pool()}).
		SetProtocolVersion(4).
		SetAutoReconnect(false).
		SetOrderMatters(true).
		SetClientID(id.String()).
		SetUsername(userName(id)).
		SetPassword(e.token(t, id))
}

func connect(t *testing.T, o *paho.ClientOptions) paho.Client {
	t.Helper()
	client := paho.NewClient(o)
	wait(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}

// refusedWith connects and returns the CONNACK code of the refusal.
func refusedWith(t *testing.T, o *paho.ClientOptions) byte {
	t.Helper()
	client := paho.NewClient(o)
	token := client.Connect().(*paho.ConnectToken)
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer to CONNECT")
	}
	if token.Error() == nil {
		client.Disconnect(0)
		t.Fatal("login accepted")
	}
	return token.ReturnCode()
}

// lossOf returns a channel that reports when a client with options o loses its connection.
func lossOf(o *paho.ClientOptions) <-chan struct{} {
	lost := make(chan struct{}, 1)
	o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	return lost
}

func wait(tb testing.TB, token paho.Token) {
	tb.Helper()
	if !token.WaitTimeout(patience) {
		tb.Fatal("no answer from the broker")
	}
	if token.Error() != nil {
		tb.Fatal(token.Error())
	}
}

// subscribe subscribes to filter and returns a channel with the messages.
func subscribe(t *testing.T, client paho.Client, filter string) <-chan paho.Message {
	t.Helper()
	messages := make(chan paho.Message, 1000)
	wait(t, client.Subscribe(filter, 0, func(_ paho.Client, m paho.Message) { messages <- m }))
	return messages
}

// connectPacket returns the CONNECT of id, for tests that write packets themselves.
func connectPacket(tb testing.TB, e *env, id store.ID, clean bool) *packets.ConnectPacket {
	tb.Helper()
	c := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	c.ProtocolName, c.ProtocolVersion, c.CleanSession = "MQTT", 4, clean
	c.ClientIdentifier = id.String()
	c.UsernameFlag, c.Username = true, userName(id)
	c.PasswordFlag, c.Password = true, []byte(e.token(tb, id))
	return c
}

func send(tb testing.TB, conn net.Conn, p packets.ControlPacket) {
	tb.Helper()
	if err := p.Write(conn); err != nil {
		tb.Fatal(err)
	}
}

// roundTrip sends a message of client and waits until the broker has acknowledged it.
func roundTrip(t *testing.T, client paho.Client) {
	t.Helper()
	r := client.OptionsReader()
	device, module, _ := strings.Cut(r.ClientID(), "/")
	wait(t, client.Publish(store.ID{Device: device, Module: module}.Path()+"/messages/events/", 1, false, "x"))
}

// waitStable waits until value has not changed for one second, while the broker still
// acknowledges messages of client.
func waitStable(t *testing.T, client paho.Client, value func() int64) {
	t.Helper()
	begin := time.Now()
	last, changed := value(), begin
	for time.Since(changed) < time.Second && time.Since(begin) < 3*patience {
		roundTrip(t, client)
		if v := value(); v != last {
			last, changed = v, time.Now()
		}
	}
}

// answerMethods answers every method call with the result of answer.
func answerMethods(t *testing.T, client paho.Client, answer func(topic string, payload []byte) (string, []byte)) {
	t.Helper()
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
		topic, payload := answer(m.Topic(), m.Payload())
		c.Publish(topic, 0, false, payload)
	}))
}

func next[T any](t *testing.T, values <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case v := <-values:
		return v
	case <-ctx.Done():
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}

// dialTCP connects without TLS.
func dialTCP(tb testing.TB, e *env) net.Conn {
	tb.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

func dial(tb testing.TB, e *env) net.Conn {
	tb.Helper()
	conn, err := tls.Dial("tcp", e.addr, &tls.Config{RootCAs: e.ca.Pool()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// lockedBuffer is a log that tests may read while the broker writes it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
	on  map[string]func() // by message
}

// Write also calls the functions for the message of the line, before the caller continues.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	n, err := b.buf.Write(p)
	var calls []func()
	for message, call := range b.on {
		if bytes.Contains(p, []byte(message)) {
			calls = append(calls, call)
		}
	}
	b.mu.Unlock()
	for _, call := range calls {
		call()
	}
	return n, err
}

// at makes Write call a function at each line with message.
func (b *lockedBuffer) at(message string, call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on == nil {
		b.on = make(map[string]func())
	}
	b.on[message] = call
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
