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
	// maxQueue and maxQueueBytes are how much may wait for a client that does
	// not read; once there is so much, one more message costs the connection.
	maxQueue      = 4096
	maxQueueBytes = 32 << 20
	// maxAnswers and maxAnswerBytes are how much may wait when the client asks
	// for more; it is held up then.
	maxAnswers     = maxQueue / 2
	maxAnswerBytes = 4 << 20
)

// session is one logged in connection. Messages for the client go through a
// queue with one writer, so that they keep their order and a client that
// reads slowly, or not at all, holds up nobody else.
type session struct {
	client *mqtt.Client
	id     store.ID
	log    zerolog.Logger
	// present says that the client finds a session it had before.
	present bool
	leave   func()        // strikes the session off the broker's books; may be called again
	wake    chan struct{} // holds one token when queue may have grown
	done    chan struct{} // closed when the connection has ended

	mu         sync.Mutex
	killed     bool
	subscribed map[string]bool // by topic filter
	queue      []message
	queued     int        // bytes in queue
	room       *sync.Cond // signalled when queue has become shorter, or never will

	// For faults on demand; see faults.go. held is under mu.
	faults    *faults.Set
	since     time.Time // of the login
	held      []heldAnswer
	heldBytes int
	wakeHeld  chan struct{} // holds one token when held may have grown
}

// message is what waits for the client.
type message struct {
	topic   string
	payload []byte
	// revision is the change of the store the message rests on: it goes out
	// once that is kept. Zero is none.
	revision int64
	// otherwise makes what goes out if the change cannot be kept. Required
	// with a revision.
	otherwise func(cause error) message
}

// size is what m counts against the bounds, in bytes. Topics of answers hold
// what the client has chosen.
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
	s.leave = func() { b.leave(s) }
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

// answer queues the answer to a request of the client, if it has subscribed to
// answers. It is called by the goroutine that reads what the client sends, and
// blocks it while too much is waiting: a client that asks faster than it reads,
// or than its changes can be kept, harms only itself.
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

// send queues a message if the client has subscribed to filter, and reports
// whether it did. It never blocks.
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
	default: // a wake-up is waiting already
	}
	return true
}

// write sends queued messages until the connection ends. keep waits for a
// revision of the store.
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
					m = m.otherwise(err)
				}
			}
			// At QoS 0, as IoT Hub sends everything these topics carry.
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

// kill cuts the connection. MQTT 3.1.1 knows no DISCONNECT from the server,
// so none is sent. From now on the session counts as not subscribed, so that
// a method call waits for the client to come back, and nothing more of what
// the client has sent is looked at. Before the client can see the cut its
// identity is not connected any more.
func (s *session) kill() {
	s.mu.Lock()
	s.killed = true
	s.clear()
	s.mu.Unlock()
	s.leave()
	abort(s.client.Net.Conn)
	s.client.Stop(nil)
}

// cutAt cuts the connection when its token expires, as IoT Hub does: MQTT has no
// other way to ask for a new token. It returns when the connection has ended.
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

// abort closes the connection below WebSocket and TLS, if there are any:
// closing those would wait some seconds for a client that does not read.
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
