package broker

import (
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
)

const (
	// maxQueue and maxQueueBytes limit the queue for a client that does not read. One
	// message above the limit cuts the connection.
	maxQueue      = 4096
	maxQueueBytes = 32 << 20
	// maxAnswers and maxAnswerBytes limit the queue for new requests of the client. Above
	// the limit, the broker stops reading from it (backpressure).
	maxAnswers     = maxQueue / 2
	maxAnswerBytes = 4 << 20
)

// session is one authenticated connection. Messages for the client go through a queue
// with one writer. They keep their order, and a client that reads slowly or not at all
// does not block other clients.
type session struct {
	client *mqtt.Client
	id     store.ID
	log    zerolog.Logger
	// present reports whether the client resumes an earlier session.
	present    bool
	disconnect func()        // unregisters the session from the broker; idempotent
	wake       chan struct{} // holds one token when queue may have grown
	done       chan struct{} // closed when the connection has ended

	mu         sync.Mutex
	killed     bool
	subscribed map[string]bool // by topic filter
	queue      []message
	queued     int        // bytes in queue
	room       *sync.Cond // signaled when queue gets shorter and when the session is killed

	// These serve injected faults; see faults.go. mu guards held and heldBytes.
	faults    *faults.Set
	since     time.Time // time of the login
	held      []heldAnswer
	heldBytes int
	wakeHeld  chan struct{} // holds one token when held may have grown
}

// message is a message for the client.
type message struct {
	topic   string
	payload []byte
	// revision is the revision of the store that the message depends on. It is sent after
	// that revision is kept. Zero means none.
	revision int64
	// fallback returns the message to send if the revision cannot be kept. Required with
	// a revision.
	fallback func(cause error) message
}

// size returns the bytes that m counts against the limits. Topics count, because a topic
// of an answer contains text of the client.
func (m message) size() int {
	return len(m.topic) + len(m.payload)
}

func (b *Broker) newSession(client *mqtt.Client, id store.ID, filters []string, present bool) *session {
	s := &session{
		client:     client,
		id:         id,
		log:        b.log.With().Str(fieldIdentity, id.String()).Logger(),
		present:    present,
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		subscribed: make(map[string]bool),
		faults:     b.faults,
		since:      time.Now(),
		wakeHeld:   make(chan struct{}, 1),
	}
	s.room = sync.NewCond(&s.mu)
	s.disconnect = func() { b.disconnect(s) }
	for _, filter := range filters {
		s.subscribed[filter] = true
	}
	return s
}

func (s *session) setSubscribed(filter string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscribed[filter] = on
}

func (s *session) isSubscribed(filter string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.killed && s.subscribed[filter]
}

// answer queues the answer to a request of the client, if it has subscribed to answers.
// It runs on the goroutine that reads from the client, and blocks it while the queue is
// too long. That applies backpressure to a client that sends requests faster than it
// reads, or faster than its changes can be kept.
func (s *session) answer(m message) {
	s.mu.Lock()
	for !s.killed && (len(s.queue) >= maxAnswers || s.queued >= maxAnswerBytes) {
		s.room.Wait()
	}
	s.mu.Unlock()
	if !s.hold(m) {
		s.send(filterTwin, m)
	}
}

// send queues a message if the client has subscribed to filter, and reports whether it
// did. It never blocks.
func (s *session) send(filter string, m message) bool {
	s.mu.Lock()
	on, full := !s.killed && s.subscribed[filter], len(s.queue) >= maxQueue || s.queued >= maxQueueBytes
	if on && !full {
		s.queue = append(s.queue, m)
		s.queued += m.size()
	}
	waiting := len(s.queue)
	s.mu.Unlock()
	if !on {
		return false
	}
	if full {
		s.log.Warn().Int(fieldMessages, waiting).Msg("client does not read, connection cut")
		s.kill()
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default: // a token is there already
	}
	return true
}

// write sends queued messages until the connection ends. keep waits until a revision of
// the store is kept.
func (s *session) write(keep func(revision int64) error) {
	for {
		select {
		case <-s.done:
			return
		case <-s.wake:
		}
		for _, m := range s.take() {
			if m.revision > 0 {
				if err := keep(m.revision); err != nil {
					m = m.fallback(err)
				}
			}
			// With QoS 0, as IoT Hub sends all messages on these topics.
			err := s.client.WritePacket(packets.Packet{
				FixedHeader: packets.FixedHeader{Type: packets.Publish},
				TopicName:   m.topic,
				Payload:     m.payload,
			})
			if err != nil {
				s.kill()
				return
			}
		}
	}
}

func (s *session) take() []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.queue
	s.clear()
	return queue
}

// clear empties the queue. The caller holds s.mu.
func (s *session) clear() {
	s.queue, s.queued = nil, 0
	s.room.Broadcast()
}

// kill cuts the connection. It sends no DISCONNECT, because MQTT 3.1.1 has none from the
// server. The session then counts as not subscribed, so that a method call waits for the
// client to reconnect. Further input of the client is ignored. The identity becomes
// disconnected before the client can notice the cut.
func (s *session) kill() {
	s.mu.Lock()
	s.killed = true
	s.clear()
	s.mu.Unlock()
	s.disconnect()
	abort(s.client.Net.Conn)
	s.client.Stop(nil)
}

// cutAt cuts the connection when its token expires, as IoT Hub does, because MQTT 3.1.1
// cannot ask a client for a new token. It returns when the connection has ended.
func (s *session) cutAt(expiry time.Time) {
	timer := time.NewTimer(time.Until(expiry)) // at most 292 years
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.log.Info().Time(fieldExpiry, expiry).Msg("token expired, connection cut")
		s.kill()
	}
}

// abort closes the innermost connection, below WebSocket and TLS. Closing those would
// wait some seconds for a client that does not read.
func abort(conn net.Conn) {
	for {
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = wrapped.NetConn()
	}
	conn.Close()
}
