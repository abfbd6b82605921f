// Package hublink keeps a module or a device connected with its hub. It decides when to
// connect, read the twin, report and renew; [hubconn] does each of these on one connection.
//
// One connect, in [Link.Run] and connectAndServe:
//
//  1. routes chooses the next route, or prober has found a listener on one. The dialer gets
//     credentials, dials the route and connects.
//  2. session.establish subscribes to direct methods, then to the desired properties, and
//     then reads the whole twin: an acknowledged subscription can still deliver nothing, and
//     a twin that comes back shows that the hub answers. In the first session of the process
//     a twin is also read before methods are subscribed, so that every call finds a module
//     with its configuration.
//  3. [State.Subscribed] is true now, and session.serve runs until the connection ends.
//  4. retries computes the wait until the next attempt: exponential backoff with full
//     jitter. During the wait prober opens a bare TCP connection each second to an address
//     that had no listener, and ends the wait when one succeeds.
//
// One twin change, in session.serve:
//
//  1. The hub's patch only sets the signal changed, since patches come out of order and may
//     be lost. twinReader schedules a read of the whole twin, at most ten in
//     Options.ReportPace.
//  2. staleTwinGuard rejects a twin that is older or empty without a reason.
//  3. [Handler.Twin] gets the twin and returns a merge patch for the reported properties.
//  4. reporter writes the patch when it is due. A newer patch replaces one that waits.
//
// One renewal, in session.serve:
//
//  1. After 80 to 90 % of the token's life renewal waits for a moment without calls, gets new
//     credentials and dials a second connection, while the first one serves.
//  2. serve returns this prepared connection. connectAndServe unsubscribes from methods,
//     waits for the running calls and closes the old connection.
//  3. Run connects the next session on the prepared connection.
//
// If the preparation fails, the session keeps its old token, and renewal retries.
//
// Reports are sent only after the twin was read and methods are subscribed: a service that
// sees a report can call methods. times.go has all durations.
package hublink

import (
	"context"
	"time"

	"rtsptunnel/internal/module/hubconn"
)

// Auto is the protocol setting that tries both protocols.
const Auto hubconn.Protocol = "auto"

// Handler is the application above the connection.
type Handler interface {
	// Method returns a direct method's call, which answers with any integer status and a
	// JSON body. Method must not block and must not keep payload. The call runs in its own
	// goroutine; ctx ends with Run. A call that is delivered again on its connection within
	// a minute gets the same answer without another call of Method.
	Method(ctx context.Context, name string, payload []byte) (call func() (status int, body []byte))
	// Busy answers a direct method instead of Method while 256 calls run. It must not block.
	Busy(name string) (status int, body []byte)
	// Twin gets the whole twin after each connect and after each change, one call at a
	// time and at most ten in Options.ReportPace. It returns a merge patch for the reported
	// properties, or nil if those in doc are up to date. A patch that still waits is
	// replaced by the next result, so it must depend on doc and not on earlier results.
	Twin(doc []byte, c Connection) (reported []byte)
}

// Connection describes the connection on which a Handler is called.
type Connection struct {
	Protocol hubconn.Protocol // MQTT or MQTTWS
}

// Options are the settings of a Link.
type Options struct {
	Conn     hubconn.Options  // its Log gets this package's lines, too
	Protocol hubconn.Protocol // Auto if empty
	Handler  Handler

	// Address and WebSocketAddress are the host:port to dial for MQTT and MQTTWS. If empty
	// they are the peer's name and port 8883 or 443. If only one is given, Auto does not
	// try the other protocol.
	Address, WebSocketAddress string

	// ReportPace is the least time between two reports, 10 s if zero. Within it the twin is
	// read at most ten times, and a change of the desired properties is reported before it
	// has passed, whatever was reported earlier.
	ReportPace time.Duration
}

// settleTime is how long running calls may take at the end of a session, which can still
// carry their answers.
const settleTime = 2 * time.Second

// Link keeps one identity connected. Create it by New.
type Link struct {
	o       Options
	t       times
	dialer  *hubconn.Dialer
	refresh signal
	state   state

	// Owned by Run.
	routes   routes
	route    hubconn.Route // of the current or the last session
	prober   prober
	retries  retries
	failures failures // since the last session that served
	history  history
}

// New returns a Link that opens no connection before Run. It fails for an identity whose
// key, certificate or roots cannot be read now. If they cannot be read later, only that
// attempt fails, and Run retries.
func New(o Options) (*Link, error) {
	if o.ReportPace == 0 {
		o.ReportPace = 10 * time.Second
	}
	d, err := hubconn.New(o.Conn)
	if err != nil {
		return nil, err
	}
	return &Link{
		o: o, t: usualTimes(o.ReportPace), dialer: d, refresh: newSignal(),
		routes: routes{all: openRoutes(d, o)}, prober: prober{dialer: d},
	}, nil
}

// Refresh makes the Link call Handler.Twin soon with the whole twin, even if the twin has
// not changed: call it when there is something else to report. Without a connection the
// next one does this anyway. It may be called at any time, any number of times and by
// several goroutines; reads and reports keep the pace of Options.
func (l *Link) Refresh() { l.refresh.set() }

// Run keeps the identity connected until ctx is done. It does not end for another reason.
// Calls that run at that moment are still answered if they take at most 2 s. Run returns
// when the connection is closed and every call of Handler has returned.
func (l *Link) Run(ctx context.Context) {
	defer l.dialer.Wait()
	var next *hubconn.PreparedConn
	for {
		var err error
		l.state.attempts()
		if next, err = l.connectAndServe(ctx, next); next != nil {
			l.retries.settle(l.t)
			continue
		}
		l.state.disconnected()
		if ctx.Err() != nil {
			l.o.Conn.Log.Info().Msg("hub connection closed")
			return
		}
		found, err := l.pause(ctx, l.waitAfter(err))
		if err != nil {
			return
		}
		if found { // the hub's failures from now on are new ones
			l.retries.waits = backoff{}
		}
	}
}

// waitAfter returns the wait after a session that ended with err, and logs both.
func (l *Link) waitAfter(err error) time.Duration {
	wait, err := l.retries.next(l.t, err)
	l.logFailure(err, wait)
	l.state.waits(time.Now().Add(wait))
	return wait
}

// newSession returns the session on conn, which is not established yet.
func (l *Link) newSession(conn *hubconn.Conn, changed signal, c hubconn.Credentials) *session {
	log, protocol := l.o.Conn.Log, l.route.Protocol
	s := &session{
		conn: conn, t: l.t, state: &l.state, refresh: l.refresh, changed: changed, history: &l.history,
		twins:   twinReader{conn: conn, t: l.t, log: log, protocol: protocol, progress: l.state.progress, history: &l.history},
		reports: reporter{conn: conn, t: l.t, log: log, history: &l.history},
		renewal: newRenewal(l.dialer, l.route, l.t, log, c.Lifetime),
	}
	s.twins.receiving = s.receiving
	s.apply = func(doc []byte) []byte { return l.o.Handler.Twin(doc, Connection{Protocol: protocol}) }
	return s
}

// connectAndServe connects once and serves until the connection or ctx ends; the error is
// the reason. It connects on the connection p that the session before has prepared, if p
// is not nil. It returns the next prepared connection when it is time to change to it.
func (l *Link) connectAndServe(ctx context.Context, p *hubconn.PreparedConn) (next *hubconn.PreparedConn, err error) {
	l.retries.connecting()
	var credentials hubconn.Credentials
	if p == nil {
		l.route = l.chooseRoute()
		credentials, err = l.dialer.Credentials(ctx)
		l.prober.workloadDown = hubconn.Unreachable(err)
		if err != nil {
			return nil, err
		}
	} else {
		credentials = p.Credentials
	}
	defer func() { l.prober.note(l.route, l.retries.served(), err) }()
	// life outlives ctx until the session is over, so that running calls are still answered.
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)

	changed := newSignal()
	conn, err := l.connect(ctx, life, p, credentials, l.events(ctx, changed, end))
	if err != nil {
		l.routes.result(l.route, false)
		return nil, err
	}
	defer conn.Close()
	l.state.connected(credentials.Expires)
	s := l.newSession(conn, changed, credentials)
	err = s.establish(ctx, life, end)
	l.routes.result(l.route, err == nil)
	if err != nil {
		return nil, err
	}
	l.retries.serving()
	l.logConnected()
	l.state.subscribed()
	if next, err = s.follow(ctx, life); next != nil {
		conn.UnsubscribeMethods()
	}
	if next != nil || ctx.Err() != nil {
		l.dialer.AwaitIdle(life, settleTime)
	}
	return next, err
}

// connect dials the route unless there is a prepared connection, and connects.
func (l *Link) connect(
	ctx, life context.Context, p *hubconn.PreparedConn, c hubconn.Credentials, e hubconn.Events,
) (*hubconn.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, l.t.Connect)
	defer cancel()
	if p == nil {
		var err error
		if p, err = l.dialer.Dial(ctx, l.route, c); err != nil {
			return nil, err
		}
	}
	return p.Connect(ctx, life, e)
}

// events connects one connection's events with the Link: ctx is Run's.
func (l *Link) events(ctx context.Context, changed signal, end context.CancelCauseFunc) hubconn.Events {
	return hubconn.Events{
		Method: func(name string, payload []byte) func() (int, []byte) {
			return l.o.Handler.Method(ctx, name, payload)
		},
		Busy:        l.o.Handler.Busy,
		Delivered:   l.state.progress,
		TwinChanged: changed.set,
		Lost:        end,
	}
}

// chooseRoute returns the route of the next attempt.
func (l *Link) chooseRoute() hubconn.Route {
	if found, ok := l.prober.take(); ok {
		return found
	}
	return l.routes.next()
}

// signal is set by one goroutine and received by another. Setting it twice before it is
// received counts once.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

// set never blocks.
func (s signal) set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
