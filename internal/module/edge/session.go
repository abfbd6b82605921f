package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice/transport"
	"github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/contract/reason"
)

const (
	writeTimeout = 5 * time.Second // for a packet to get onto its way

	disconnectMillis = 250 // for DISCONNECT to get onto its way
)

var errSilent = reason.New(reason.HubSubscription, errors.New("the hub does not acknowledge the subscriptions"))

// session connects once and serves until the connection or ctx ends; the error says
// why. It goes in by the entrance that the session before has made ready, if any, and
// returns the next one's when it is time to change.
func (c *Client) session(ctx context.Context, in *entrance) (next *entrance, err error) {
	c.up = time.Time{}
	if in == nil {
		c.way = c.choose()
		if in, err = c.enter(ctx); err != nil {
			return nil, err
		}
	}
	defer func() { c.looks.note(c.way, !c.up.IsZero(), err) }()
	// The library keeps the context of a subscription for as long as it answers on
	// it, so that it must live exactly as long as the session.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)

	answer := c.methods(ctx, life)
	in.pipe.late = answer
	link, err := c.connect(ctx, end, in)
	if err != nil {
		c.route.result(c.way, false)
		return nil, in.login.explain(err, c.o.Now())
	}
	defer link.close()
	c.state.connected(in.login.expires)

	// The library waits for each acknowledgement for as long as the context lives.
	patience := time.AfterFunc(c.t.Subscribe, func() { end(errSilent) })
	defer patience.Stop()
	stop := context.AfterFunc(ctx, func() { end(errOver) })
	defer stop()
	s := c.service(link)
	err = s.subscribe(life, answer)
	c.route.result(c.way, err == nil)
	if err != nil {
		return nil, because(reason.HubSubscription, cause(life, err))
	}
	if !patience.Stop() || !stop() {
		return nil, context.Cause(life)
	}
	c.up = time.Now()
	c.tellConnected()
	c.state.subscribed()
	if !in.login.expires.IsZero() {
		s.expires, s.renewAt = time.Now().Add(c.o.TokenLifetime), c.t.renewal(c.o.TokenLifetime)
	}
	if next, err = s.follow(ctx, life); next != nil {
		link.unsubscribe()
	}
	if next != nil || ctx.Err() != nil {
		c.calls.awaitIdle(life, settleTime) // while the session can still carry their answers
	}
	return next, err
}

// choose is the way of the next attempt.
func (c *Client) choose() way {
	if found, ok := c.looks.take(); ok {
		return found
	}
	return c.route.next()
}

// enter makes an entrance that is dialled when it is used.
func (c *Client) enter(ctx context.Context) (*entrance, error) {
	c.looks.workload = nil
	login, err := c.login.pass(ctx)
	if w, ok := c.login.(*workload); ok && nobody(err) {
		c.looks.workload = w.look
	}
	if err != nil {
		return nil, because(reason.HubCredentials, err)
	}
	return &entrance{login, c.pipe(c.way, login)}, nil
}

// pipe leads to the hub by w.
func (c *Client) pipe(w way, login pass) *pipe {
	return &pipe{
		way: w, tls: login.tls(w.server, c.o.Now), resolver: c.o.Resolver,
		atLoopback: func() { c.loopback.Do(func() { tellLoopback(c.o.Log, w) }) },
	}
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
func (c *Client) connect(ctx context.Context, lost context.CancelCauseFunc, in *entrance) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, c.t.Connect)
	defer cancel()
	p := in.pipe
	tr := c.transport(c.configure(ctx, p, in.login, lost))
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
	options := []mqtt.TransportOption{mqtt.WithLogger(c.garbage), mqtt.WithClientOptionsConfig(configure)}
	if c.o.Identity.ModuleID == "" {
		return mqtt.New(options...)
	}
	return mqtt.NewModuleTransport(options...)
}

// subscribe brings the session to where it can be used. Methods come first, so that
// nobody waits longer than he must; only the very first twin comes before them, so that
// no call finds the cameras of nobody. A twin that comes back after all of it is the
// proof: an acknowledged subscription alone has been seen to carry nothing.
func (s *service) subscribe(life context.Context, answer paho.MessageHandler) error {
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return s.subscribeMethods(ctx, answer) }, s.subscribeDesired, s.read,
	}
	if !s.handed {
		steps = []func(context.Context) error{s.subscribeDesired, s.readFirst, steps[0], s.read}
	}
	for _, step := range steps {
		if err := step(life); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) subscribeDesired(life context.Context) error {
	err := s.await(life, func() error { return s.link.tr.SubscribeTwinUpdates(life, s.changed) })
	if err != nil {
		return fmt.Errorf("subscribe to desired properties: %w", err)
	}
	return nil
}

// readFirst is read for the very first twin, without which there is nothing to serve.
func (s *service) readFirst(life context.Context) error {
	doc, err := s.readTwin(life, s.link.tr)
	if err != nil {
		return err
	}
	s.take(doc)
	return nil
}

// follow serves until the session or ctx ends.
func (s *service) follow(ctx, life context.Context) (*entrance, error) {
	request, over := context.WithCancelCause(life)
	defer over(nil)
	stop := context.AfterFunc(ctx, func() { over(errOver) })
	defer stop()
	return s.serve(request)
}

func (c *Client) readTwin(life context.Context, tr transport.Transport) ([]byte, error) {
	ctx, cancel := context.WithTimeout(life, c.t.Request)
	defer cancel()
	answer := make(chan []byte, 1)
	err := c.await(ctx, func() error {
		doc, err := tr.RetrieveTwinProperties(ctx)
		answer <- doc
		return refused(err)
	})
	if err == nil || errors.Is(err, errRefused) {
		c.state.progress()
	}
	if err != nil {
		return nil, because(reason.HubTwin, fmt.Errorf("read the twin: %w", err))
	}
	return <-answer, nil
}

func (c *Client) writeReported(life context.Context, tr transport.Transport, patch []byte) error {
	ctx, cancel := context.WithTimeout(life, c.t.Request)
	defer cancel()
	return c.await(ctx, func() error {
		_, err := tr.UpdateTwinProperties(ctx, patch)
		return refused(err)
	})
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
