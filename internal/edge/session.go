package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice/transport"
	"github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/reason"
)

const (
	connectTimeout = 15 * time.Second // from dialling to CONNACK
	requestTimeout = 30 * time.Second // for each twin request
	writeTimeout   = 5 * time.Second  // for a packet to get onto its way

	turnTime = 10 * time.Second // after which State.LastTurn moves on at the latest, if nothing happens

	disconnectMillis = 250 // for DISCONNECT to get onto its way

	subscribeTimeout = time.Minute // from CONNACK until methods are answered
)

var errSilent = reason.New(reason.HubSubscription, errors.New("the hub does not acknowledge the subscriptions"))

// session connects once and serves until the connection or ctx ends. The error says
// why there is no connection any more.
func (c *Client) session(ctx context.Context) error {
	c.way = c.route.next()
	login, err := c.login.pass(ctx)
	if err != nil {
		return because(reason.HubCredentials, err)
	}
	// The library keeps the context of a subscription for as long as it answers on
	// it, so that it must live exactly as long as the session.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)

	link, err := c.connect(ctx, end, login)
	if err != nil {
		c.route.result(c.way, false)
		return err
	}
	defer link.close()
	c.state.connected(login.expires)
	defer c.state.disconnected()

	// The library waits for each acknowledgement for as long as the context lives.
	patience := time.AfterFunc(subscribeTimeout, func() { end(errSilent) })
	defer patience.Stop()
	stop := context.AfterFunc(ctx, func() { end(errOver) })
	defer stop()
	changed := make(hint, 1)
	err = c.subscribe(ctx, life, link.tr, changed)
	c.route.result(c.way, err == nil)
	if err != nil {
		return because(reason.HubSubscription, cause(life, err))
	}
	if !patience.Stop() || !stop() {
		return context.Cause(life)
	}
	c.tellConnected()
	c.state.subscribed()
	err = c.serve(ctx, life, link.tr, changed)
	if ctx.Err() != nil {
		c.calls.settle() // while the session can still carry their answers
	}
	return err
}

// link is a connected transport.
type link struct {
	tr     transport.Transport
	client paho.Client // tr's
}

// close says DISCONNECT to the hub. It goes past the library's Close, which waits
// for a lock that a blocked request holds.
func (l *link) close() { l.client.Disconnect(disconnectMillis) }

// connect returns a transport whose CONNECT was accepted; lost is called when the
// connection ends. A transport is good for one connection: the library's own
// reconnect keeps subscriptions that it lost, and its token.
func (c *Client) connect(ctx context.Context, lost context.CancelCauseFunc, login pass) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, c.connectTimeout)
	defer cancel()
	p := pipe{
		way: c.way, tls: login.tls(c.way.server, c.o.Now), resolver: c.o.Resolver,
		atLoopback: func() { c.loopback.Do(func() { tellLoopback(c.o.Log, c.way) }) },
	}
	tr := c.transport(c.configure(ctx, &p, login, lost))
	// Without a deadline of its own: one that passed here would leave a connection
	// behind that nobody closes. The pipe is closed at the deadline instead.
	err := tr.Connect(context.WithoutCancel(ctx), credentials{c.o.Identity})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.way.address, p.why(ctx, err))
	}
	l := &link{tr, p.client}
	if err := p.keep(ctx); err != nil {
		l.close()
		return nil, fmt.Errorf("connect to %s: %w", c.way.address, err)
	}
	return l, nil
}

// transport is the library's for this kind of identity; only topics for messages
// differ.
func (c *Client) transport(configure func(*paho.ClientOptions)) transport.Transport {
	options := []mqtt.TransportOption{mqtt.WithLogger(logger{c.o.Log}), mqtt.WithClientOptionsConfig(configure)}
	if c.o.Identity.ModuleID == "" {
		return mqtt.New(options...)
	}
	return mqtt.NewModuleTransport(options...)
}

// subscribe brings the session to where it can be used. Methods come after the
// first twin was handed over, so that no call finds the cameras of nobody; the
// report comes last.
func (c *Client) subscribe(ctx, life context.Context, tr transport.Transport, changed hint) error {
	err := c.await(life, func() error { return tr.SubscribeTwinUpdates(life, changed) })
	if err != nil {
		return fmt.Errorf("subscribe to desired properties: %w", err)
	}
	reported, err := c.readTwin(life, tr)
	if err != nil {
		return err
	}
	answer := func(name string, payload []byte) (int, []byte) { return c.answer(ctx, name, payload) }
	err = c.await(life, func() error { return tr.RegisterDirectMethods(life, methods(answer)) })
	if err != nil {
		return fmt.Errorf("subscribe to direct methods: %w", err)
	}
	c.report(life, tr, reported)
	return nil
}

// serve follows the twin until the session or ctx ends.
func (c *Client) serve(ctx, life context.Context, tr transport.Transport, changed hint) error {
	request, over := context.WithCancelCause(life)
	defer over(nil)
	stop := context.AfterFunc(ctx, func() { over(errOver) })
	defer stop()
	tick := time.NewTicker(turnTime)
	defer tick.Stop()
	for {
		c.state.turned()
		select {
		case <-request.Done():
			return context.Cause(request)
		case <-tick.C:
			continue
		case <-changed:
		}
		reported, err := c.readTwin(request, tr)
		if err != nil {
			return cause(request, err)
		}
		c.report(request, tr, reported)
	}
}

func (c *Client) readTwin(life context.Context, tr transport.Transport) (reported []byte, err error) {
	ctx, cancel := context.WithTimeout(life, requestTimeout)
	defer cancel()
	answer := make(chan []byte, 1)
	err = c.await(ctx, func() error {
		doc, err := tr.RetrieveTwinProperties(ctx)
		answer <- doc
		return err
	})
	if err != nil {
		return nil, because(reason.HubTwin, fmt.Errorf("read the twin: %w", err))
	}
	c.state.progress()
	return c.o.Handler.Twin(<-answer, Connection{Protocol: c.way.protocol}), nil
}

// report writes reported properties. A hub that refuses them is no reason to give
// up a connection on which methods arrive.
func (c *Client) report(life context.Context, tr transport.Transport, patch []byte) {
	if patch == nil {
		return
	}
	ctx, cancel := context.WithTimeout(life, requestTimeout)
	defer cancel()
	err := c.await(ctx, func() error {
		_, err := tr.UpdateTwinProperties(ctx, patch)
		return err
	})
	if err != nil {
		c.o.Log.Warn().Err(cause(life, err)).Msg("reported properties not written")
	}
}

// await runs a request of the library and waits for it no longer than ctx. The
// library hands each packet to a goroutine that is gone once the connection is, and
// then waits for writeTimeout whatever its context says; Run waits for what is left
// of that.
func (c *Client) await(ctx context.Context, request func() error) error {
	done := make(chan error, 1)
	c.requests.Go(func() { done <- request() })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cause prefers the reason why the session ended to the error that this provoked.
func cause(life context.Context, err error) error {
	if why := context.Cause(life); why != nil {
		return why
	}
	return err
}
