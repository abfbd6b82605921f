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
	// patience is how long a test waits for what must happen.
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

// env is a broker behind TLS on a port of its own.
type env struct {
	store  *store.Store
	keep   *keeper
	sent   *telemetry.Log
	broker *broker.Broker
	ca     *localca.CA
	addr   string
	log    *lockedBuffer
	served chan error
	// loginWithin is how long clients may take to log in, if not zero.
	loginWithin time.Duration

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

// serve starts a broker on what is in the store.
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
	if e.loginWithin > 0 {
		e.broker.SetConnectWithin(e.loginWithin)
	}
	served := make(chan error, 1)
	e.served = served
	go func() { served <- e.broker.Serve(ln) }()
}

// restart puts another broker in the place of the one there is.
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

// options are those of a client that logs in as id and does not come back.
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

// lossOf tells when a client with options o loses its connection.
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

// subscribe returns what arrives on filter.
func subscribe(t *testing.T, client paho.Client, filter string) <-chan paho.Message {
	t.Helper()
	messages := make(chan paho.Message, 1000)
	wait(t, client.Subscribe(filter, 0, func(_ paho.Client, m paho.Message) { messages <- m }))
	return messages
}

// connectPacket is the CONNECT of id, for a client that speaks MQTT by hand.
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

// roundTrip has client send a message and waits until the broker has it.
func roundTrip(t *testing.T, client paho.Client) {
	t.Helper()
	r := client.OptionsReader()
	device, module, _ := strings.Cut(r.ClientID(), "/")
	wait(t, client.Publish(store.ID{Device: device, Module: module}.Path()+"/messages/events/", 1, false, "x"))
}

// standStill waits until value has not changed for a second, in which client
// has sent messages and got them acknowledged.
func standStill(t *testing.T, client paho.Client, value func() int64) {
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

// answerMethods answers every method call by answer.
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

// dialTCP connects below TLS.
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

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
	on  map[string]func() // by a part of the line
}

// Write also calls what is wanted at this line, before whoever logs goes on.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	n, err := b.buf.Write(p)
	var calls []func()
	for part, call := range b.on {
		if bytes.Contains(p, []byte(part)) {
			calls = append(calls, call)
		}
	}
	b.mu.Unlock()
	for _, call := range calls {
		call()
	}
	return n, err
}

// at has call called at each line with part in it.
func (b *lockedBuffer) at(part string, call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on == nil {
		b.on = make(map[string]func())
	}
	b.on[part] = call
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
