package broker

import (
	"errors"
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file keeps the books: which listeners and connections there are, which
// session each connection has, and which session an identity is reached by.
// The rules are:
//   - a connection is in conns from accept to its end, whatever happens;
//   - an identity has one session, the newest; the older one is cut, and
//     changes nothing any more;
//   - the store is told under the lock who is connected and who subscribes, so
//     that it hears of all that in its order;
//   - every change that could help a waiting Invoke closes b.changed.

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

// removeConn strikes conn off the books and ends its session.
func (b *Broker) removeConn(conn net.Conn) {
	defer b.wg.Done()
	if s := b.forget(conn); s != nil {
		b.leave(s)
		close(s.done)
	}
}

// forget strikes conn off the books, and returns its session or nil.
func (b *Broker) forget(conn net.Conn) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.conns[conn]
	delete(b.conns, conn)
	if s != nil {
		b.server.Clients.Delete(s.client.ID)
	}
	return s
}

// leave sees to it that no identity is reached by s any more.
func (b *Broker) leave(s *session) {
	b.mu.Lock()
	current := b.sessions[s.id] == s
	if current {
		delete(b.sessions, s.id)
		b.store.SetConnected(s.id, false)
	}
	b.mu.Unlock()
	if current {
		s.log.Info().Msg("client disconnected")
	}
}

// establish makes the session of a client that has just logged in, or takes it
// up again, and cuts the older connection of the same identity (IoT Hub error
// 400027, ConnectionForcefullyClosedOnNewConnection). Messages for the client
// wait until begin.
func (b *Broker) establish(client *mqtt.Client, pk packets.Packet) {
	s, old, openErr := b.openSession(client, pk.Connect.Clean)
	if old != nil {
		old.kill()
		old.log.Info().Msg("older connection cut, the identity connected again")
	}
	// The identity may have been deleted, disabled or given other keys since
	// the login, and Drop found no session to cut.
	l, loginErr := b.authenticate(client, pk)
	if err := errors.Join(openErr, loginErr); err != nil {
		s.log.Warn().Err(err).Msg("connection cut, the login does not hold any more")
		s.kill()
		return
	}
	if !l.expires.IsZero() {
		b.wg.Go(func() { s.cutAt(l.expires) })
	}
	b.keepOrCut(s)
}

// openSession puts a new session on the books, with what the identity is
// subscribed to already, and returns the one it takes the place of, if any.
// After an error the session is on the books all the same.
func (b *Broker) openSession(client *mqtt.Client, clean bool) (s, old *session, err error) {
	id := identityOf(client)
	b.mu.Lock()
	defer b.mu.Unlock()
	filters, present, err := b.store.OpenSession(id, clean)
	s, old = b.newSession(client, id, filters, present), b.sessions[id]
	b.sessions[id] = s
	b.conns[client.Net.Conn] = s
	b.store.SetConnected(id, true)
	b.announce()
	return s, old, err
}

// begin starts to send to a client: nothing may reach it before CONNACK.
func (b *Broker) begin(client *mqtt.Client) {
	s := b.sessionOf(client)
	b.wg.Go(func() { s.write(b.store.Keep) })
	b.wg.Go(s.release)
	b.wg.Go(s.cutOnDemand)
}

// setSubscribed notes that the client of s has subscribed to filter, or has
// taken that back.
func (b *Broker) setSubscribed(s *session, filter string, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sessions[s.id] != s {
		return // see keepOrCut
	}
	b.store.SetSubscribed(s.id, filter, on)
	s.setSubscribed(filter, on)
	b.announce()
}

// keepOrCut returns once the session is safe as it is now, so that the client
// may be told. If that fails, it must not be told, and the connection is cut:
// that is what every client notices and tries again after, while SUBACK 0x80
// passes for success with the MQTT clients of several SDKs. So it is if the
// identity has a newer connection, whose the session is now, or is gone.
func (b *Broker) keepOrCut(s *session) {
	identity, err := b.store.Identity(s.id)
	if err != nil || b.session(s.id) != s {
		s.kill()
		return
	}
	if err := b.store.Keep(identity.Revision); err != nil {
		s.log.Error().Err(err).Msg("state cannot be kept, connection cut")
		s.kill()
	}
}

// session returns the session id is reached by, or nil.
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

// subscribed returns the session of id if it is subscribed to filter, else
// nil, and a channel that is closed at the next change.
func (b *Broker) subscribed(id store.ID, filter string) (*session, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sessions[id]; s != nil && s.isSubscribed(filter) {
		return s, b.changed
	}
	return nil, b.changed
}

// announce wakes everybody who waits for a change. The caller holds b.mu.
func (b *Broker) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}
