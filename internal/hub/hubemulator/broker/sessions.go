package broker

import (
	"errors"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file registers listeners, connections, the session of each connection, and the
// current session of each identity. The rules are:
//   - A connection is in conns from accept until it ends.
//   - An identity has one session, the newest. The older one is cut, and must not change
//     anything afterwards.
//   - The broker holds its lock while it stores connection states and subscriptions, so
//     that the store gets them in order.
//   - Every change that may unblock a waiting Invoke closes b.changed.

func (b *Broker) addListener(ln net.Listener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.serving[ln] = struct{}{}
	b.wg.Add(1) // for Serve's own goroutine
	return true
}

func (b *Broker) removeListener(ln net.Listener) {
	defer b.wg.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.serving, ln)
}

func (b *Broker) addConn(conn net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.conns[conn] = nil
	b.wg.Add(1) // until removeConn
	return true
}

// removeConn unregisters conn and ends its session.
func (b *Broker) removeConn(conn net.Conn) {
	defer b.wg.Done()
	if s := b.unregister(conn); s != nil {
		b.disconnect(s)
		close(s.done)
	}
}

// unregister removes conn, and returns its session or nil.
func (b *Broker) unregister(conn net.Conn) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.conns[conn]
	delete(b.conns, conn)
	if s != nil {
		b.server.Clients.Delete(s.client.ID)
	}
	return s
}

// disconnect removes s as the current session of its identity. It does nothing if s is
// not the current one.
func (b *Broker) disconnect(s *session) {
	b.mu.Lock()
	current := b.sessions[s.id] == s
	if current {
		delete(b.sessions, s.id)
		b.store.SetConnected(s.id, false)
	}
	b.mu.Unlock()
	if current {
		s.log.Info().Msg(messageDisconnected)
	}
}

// establish creates or resumes the session of a client after its login. It cuts the older
// connection of the same identity (IoT Hub error 400027,
// ConnectionForcefullyClosedOnNewConnection). Messages for the client wait until begin.
func (b *Broker) establish(client *mqtt.Client, pk packets.Packet) {
	s, old, openErr := b.openSession(client, pk.Connect.Clean)
	if old != nil {
		old.kill()
		old.log.Info().Msg("older connection cut, the identity has a new connection")
	}
	// The identity may have been deleted, disabled or given new keys since the login,
	// when Drop found no session to cut.
	l, loginErr := b.authenticate(client, pk)
	if err := errors.Join(openErr, loginErr); err != nil {
		s.log.Warn().Err(err).Msg("connection cut, the login is not valid any more")
		s.kill()
		return
	}
	if !l.expires.IsZero() {
		b.wg.Go(func() { s.cutAt(l.expires) })
	}
	b.keepOrCut(s)
}

// openSession registers a new session with the subscriptions that the identity has
// already. It returns the session that the new one replaces, if any. The session is
// registered even after an error.
func (b *Broker) openSession(client *mqtt.Client, clean bool) (s, old *session, err error) {
	id := identityOf(client)
	b.mu.Lock()
	defer b.mu.Unlock()
	filters, present, err := b.store.OpenSession(id, clean)
	s, old = b.newSession(client, id, filters, present), b.sessions[id]
	b.sessions[id] = s
	b.conns[client.Net.Conn] = s
	b.store.SetConnected(id, true)
	b.notifyChanged()
	return s, old, err
}

// begin starts sending to a client. It is called after CONNACK, which must come first.
func (b *Broker) begin(client *mqtt.Client) {
	s := b.sessionOf(client)
	b.wg.Go(func() { s.write(b.store.Keep) })
	b.wg.Go(s.release)
	b.wg.Go(s.cutByFault)
}

// setSubscribed stores that the client of s has subscribed to filter, or unsubscribed
// from it.
func (b *Broker) setSubscribed(s *session, filter string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[s.id] != s {
		return // see keepOrCut
	}
	b.store.SetSubscribed(s.id, filter, on)
	s.setSubscribed(filter, on)
	b.notifyChanged()
}

// keepOrCut waits until the current state of the session is kept, so that it may be
// confirmed to the client. If that fails, it cuts the connection instead: every client
// notices a cut and retries, while the MQTT clients of several SDKs treat SUBACK 0x80 as
// success. It also cuts the connection if the identity has a newer one, which owns the
// session now, or does not exist any more.
func (b *Broker) keepOrCut(s *session) {
	identity, err := b.store.Identity(s.id)
	if err != nil || b.session(s.id) != s {
		s.kill()
		return
	}
	if err := b.store.Keep(identity.Revision); err != nil {
		s.log.Error().Err(err).Msg("cannot store the session, connection cut")
		s.kill()
	}
}

// session returns the current session of id, or nil.
func (b *Broker) session(id store.ID) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[id]
}

// sessionOf returns the session of a client, or nil.
func (b *Broker) sessionOf(client *mqtt.Client) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conns[client.Net.Conn]
}

// subscribed returns the session of id if it is subscribed to filter, or nil. It also
// returns a channel that is closed at the next change.
func (b *Broker) subscribed(id store.ID, filter string) (*session, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sessions[id]; s != nil && s.isSubscribed(filter) {
		return s, b.changed
	}
	return nil, b.changed
}

// notifyChanged wakes all goroutines that wait for a change. The caller holds b.mu.
func (b *Broker) notifyChanged() {
	close(b.changed)
	b.changed = make(chan struct{})
}
