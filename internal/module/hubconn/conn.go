package hubconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice/transport"
	"github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/contract/reason"
)

const (
	writeTimeout     = 5 * time.Second // for a packet to be handed to the connection
	disconnectMillis = 250             // for DISCONNECT to be sent

	unsubscribeTimeout = time.Second
	// lateTime is for calls that the hub sent before it got the UNSUBSCRIBE and that
	// arrive after its acknowledgement.
	lateTime = 100 * time.Millisecond
)

// Events are the functions that a Conn calls. All are required. They are called from
// several goroutines at the same time.
type Events struct {
	// Method returns a direct method's call, which answers with any integer status and a
	// JSON body. Method is called for one call at a time, must not block and must not keep
	// payload. The call runs in its own goroutine. A call that is delivered again within
	// Options.RepeatWindow gets the same answer without another call of Method.
	Method func(name string, payload []byte) (call func() (status int, body []byte))
	// Busy answers a direct method instead of Method while 256 calls run. It must not block.
	Busy func(name string) (status int, body []byte)
	// Delivered is called for each delivery of a direct method, repeated ones included.
	Delivered func()
	// TwinChanged is called when the hub says that desired properties changed. It must
	// not block. Such messages arrive out of order and may be lost.
	TwinChanged func()
	// Lost is called when the connection ends, with the reason; it may be called more
	// than once.
	Lost func(error)
}

// PreparedConn is an open connection with TLS on which no CONNECT was sent yet.
type PreparedConn struct {
	Credentials Credentials

	dialer *Dialer
	route  Route
	conn   net.Conn
}

// Close closes a connection that is not used.
func (p *PreparedConn) Close() { _ = p.conn.Close() }

// Connect sends CONNECT and waits for CONNACK until ctx is done. life must end with the
// connection and not earlier: answers to direct methods are published under it. If
// Connect fails the connection is closed.
func (p *PreparedConn) Connect(ctx, life context.Context, e Events) (*Conn, error) {
	c, err := p.connect(ctx, life, e)
	if err != nil {
		d := p.dialer
		return nil, fmt.Errorf("connect to %s: %w", p.route.Address, p.Credentials.explain(err, d.o.Now()))
	}
	return c, nil
}

func (p *PreparedConn) connect(ctx, life context.Context, e Events) (*Conn, error) {
	d := p.dialer
	stop := context.AfterFunc(ctx, func() { _ = p.conn.Close() })
	c := &Conn{dialer: d, answer: d.methods(life, e).receive, changed: e.TwinChanged}
	c.transport = d.transport(d.configure(p, c, e.Lost))
	// The library's Connect gets no deadline: if one passed here, it would leave behind a
	// connection that is never closed. The connection is closed at the deadline instead.
	if err := c.transport.Connect(context.WithoutCancel(ctx), libraryIdentity{d.o.Identity}); err != nil {
		stop()
		_ = p.conn.Close()
		return nil, connectError(ctx, err)
	}
	if !stop() {
		c.Close()
		return nil, noConnack(ctx)
	}
	return c, nil
}

// transport returns the library's transport for this kind of identity. The two kinds
// differ only in the topics of messages.
func (d *Dialer) transport(configure func(*paho.ClientOptions)) transport.Transport {
	options := []mqtt.TransportOption{mqtt.WithLogger(d.log), mqtt.WithClientOptionsConfig(configure)}
	if d.o.Identity.ModuleID == "" {
		return mqtt.New(options...)
	}
	return mqtt.NewModuleTransport(options...)
}

// Conn is a connection whose CONNECT was accepted. The caller closes it.
type Conn struct {
	dialer    *Dialer
	transport transport.Transport
	client    paho.Client // the transport's
	answer    paho.MessageHandler
	changed   func()
	onPart    atomic.Pointer[func()] // called by received; nil if no twin is read
}

// received notes that the hub has sent a part of a message that is too large to be kept.
func (c *Conn) received() {
	if onPart := c.onPart.Load(); onPart != nil {
		(*onPart)()
	}
}

// notify stores the client when it begins to connect: the library does not expose it.
// Other notifications come from other goroutines, at any time.
func (c *Conn) notify(client paho.Client, n paho.ConnectionNotification) {
	if _, ok := n.(paho.ConnectionNotificationConnecting); ok {
		c.client = client
	}
}

// Close sends DISCONNECT and closes the connection. It does not use the library's
// Close, which waits for a lock that a blocked request holds.
func (c *Conn) Close() { c.client.Disconnect(disconnectMillis) }

// SubscribeMethods subscribes to direct methods and waits for the acknowledgement until
// ctx is done.
func (c *Conn) SubscribeMethods(ctx context.Context) error {
	err := c.await(ctx, func() error {
		return acknowledged(ctx, c.client.Subscribe(methodTopic+"#", methodQoS, c.answer))
	})
	return subscribeError("direct methods", err)
}

// SubscribeTwin subscribes to changes of the desired properties and waits for the
// acknowledgement. ctx must end with the connection and not earlier: the library keeps
// it for as long as messages arrive.
func (c *Conn) SubscribeTwin(ctx context.Context) error {
	err := c.await(ctx, func() error { return c.transport.SubscribeTwinUpdates(ctx, dispatcher(c.changed)) })
	return subscribeError("desired properties", err)
}

func subscribeError(what string, err error) error {
	if err == nil {
		return nil
	}
	return because(reason.HubSubscription, fmt.Errorf("subscribe to %s: %w", what, err))
}

// dispatcher is the library's receiver of patches of the desired properties.
type dispatcher func()

// Dispatch ignores the patch.
func (d dispatcher) Dispatch([]byte) { d() }

// UnsubscribeMethods ends the calls on a connection that is about to be replaced. The hub
// keeps calls that come from now on for the next connection, or refuses them. It loses none.
func (c *Conn) UnsubscribeMethods() {
	c.client.Unsubscribe(methodTopic + "#").WaitTimeout(unsubscribeTimeout)
	<-time.After(lateTime)
}

// ReadTwin returns the whole twin as JSON, or what Options.LargeTwin makes of one that is
// larger than 1 MiB. It waits for timeout, and again after each part of a large twin, for
// which it calls onPart. The error is ErrRefused if the hub answered with another status
// than success, and has a reason code in any case. One twin is read at a time.
func (c *Conn) ReadTwin(ctx context.Context, timeout time.Duration, onPart func()) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(timeout, func() { cancel(context.DeadlineExceeded) })
	defer silence.Stop()
	part := func() { silence.Reset(timeout); onPart() }
	c.onPart.Store(&part)
	defer c.onPart.Store(nil)
	answer := make(chan []byte, 1)
	err := c.await(ctx, func() error {
		doc, err := c.transport.RetrieveTwinProperties(ctx)
		answer <- doc
		return refused(err)
	})
	if err != nil {
		return nil, because(reason.HubTwin, fmt.Errorf("read the twin: %w", err))
	}
	return <-answer, nil
}

// WriteReported sends patch, a JSON merge patch for the reported properties. The error
// is ErrRefused or ErrInvalid if the hub answered with another status than success.
func (c *Conn) WriteReported(ctx context.Context, patch []byte) error {
	return c.await(ctx, func() error {
		_, err := c.transport.UpdateTwinProperties(ctx, patch)
		return refused(err)
	})
}

// await runs a request of the library and waits for it until ctx is done. The library
// hands each packet to a goroutine that ends with the connection, and then waits for
// writeTimeout, whatever its context says. Dialer.Wait waits for the rest of that.
func (c *Conn) await(ctx context.Context, request func() error) error {
	done := make(chan error, 1)
	c.dialer.requests.Go(func() { done <- request() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var (
	// ErrRefused is an answer of the hub that is not a success.
	ErrRefused = errors.New("the hub refused")
	// ErrInvalid is an ErrRefused that the same request will get again: it is malformed
	// or too large.
	ErrInvalid = fmt.Errorf("%w for good", ErrRefused)
)

// refused turns the library's text for such an answer into an error that can be matched.
func refused(err error) error {
	var status int
	if err == nil {
		return nil
	}
	if n, _ := fmt.Sscanf(err.Error(), "request failed with %d response code", &status); n != 1 {
		return err
	}
	if status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge {
		return fmt.Errorf("%w: status %d", ErrInvalid, status)
	}
	return fmt.Errorf("%w: status %d", ErrRefused, status)
}

// because gives err the reason code c unless it has one.
func because(c reason.Code, err error) error {
	if _, has := errors.AsType[*reason.Error](err); has {
		return err
	}
	return reason.New(c, err)
}
