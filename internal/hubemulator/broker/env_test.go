package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hubemulator/broker"
	"rtsptunnel/internal/hubemulator/sas"
	"rtsptunnel/internal/hubemulator/store"
	"rtsptunnel/internal/localca"
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
	broker *broker.Broker
	ca     *localca.CA
	addr   string
	log    *lockedBuffer
	served chan error
}

func start(t *testing.T) *env {
	t.Helper()
	e := &env{store: store.New(), log: &lockedBuffer{}, served: make(chan error, 1)}
	for _, id := range []store.ID{module, other} {
		if _, err := e.store.Ensure(id); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if e.ca, err = localca.New("test authority"); err != nil {
		t.Fatal(err)
	}
	cert, err := e.ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	e.addr = ln.Addr().String()
	e.broker, err = broker.New(broker.Options{
		Store: e.store, HostName: hostName, GatewayName: gatewayName, Log: zerolog.New(e.log),
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { e.served <- e.broker.Serve(ln) }()
	t.Cleanup(func() { e.close(t) })
	return e
}

func (e *env) close(t *testing.T) {
	t.Helper()
	if err := e.broker.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-e.served; !errors.Is(err, broker.ErrClosed) {
		t.Errorf("Serve ended with %v, want %v", err, broker.ErrClosed)
	}
	e.served <- broker.ErrClosed // for a second close
}

func (e *env) identity(t *testing.T, id store.ID) store.Identity {
	t.Helper()
	identity, err := e.store.Identity(id)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func (e *env) token(t *testing.T, id store.ID) string {
	t.Helper()
	return sign(t, hostName+"/"+id.Path(), e.identity(t, id).PrimaryKey, time.Hour)
}

func sign(t *testing.T, resource, key string, life time.Duration) string {
	t.Helper()
	token, err := sas.Sign(resource, "", key, time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
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

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatal("no answer from the broker")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

// subscribe returns what arrives on filter.
func subscribe(t *testing.T, client paho.Client, filter string) <-chan paho.Message {
	t.Helper()
	messages := make(chan paho.Message, 1000)
	wait(t, client.Subscribe(filter, 0, func(_ paho.Client, m paho.Message) { messages <- m }))
	return messages
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

func dial(t *testing.T, e *env) net.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", e.addr, &tls.Config{RootCAs: e.ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
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
