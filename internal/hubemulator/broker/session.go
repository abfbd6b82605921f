package broker

import (
	"net"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hubemulator/store"
)

// maxQueue is how many messages may wait for a client that does not read; one
// more and it is dropped.
const maxQueue = 4096

// session is one logged in connection. Messages for the client go through a
// queue with one writer, so that they keep their order and a client that
// reads slowly, or not at all, holds up nobody else.
type session struct {
	client *mqtt.Client
	id     store.ID
	log    zerolog.Logger
	wake   chan struct{} // holds one token when queue may have grown
	done   chan struct{} // closed when the connection has ended

	mu         sync.Mutex
	killed     bool
	subscribed map[string]bool // by topic filter
	queue      []message
}

type message struct {
	topic   string
	payload []byte
}

func newSession(client *mqtt.Client, id store.ID, log zerolog.Logger) *session {
	return &session{
		client:     client,
		id:         id,
		log:        log.With().Str(fieldIdentity, id.String()).Logger(),
		wake:       make(chan struct{}, 1),
		done:       make(chan struct{}),
		subscribed: make(map[string]bool),
	}
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

// send queues a message if the client has subscribed to filter, and reports
// whether it did. It never blocks.
func (s *session) send(filter, topic string, payload []byte) bool {
	s.mu.Lock()
	on, full := !s.killed && s.subscribed[filter], len(s.queue) >= maxQueue
	if on && !full {
		s.queue = append(s.queue, message{topic: topic, payload: payload})
	}
	s.mu.Unlock()
	if !on {
		return false
	}
	if full {
		s.log.Warn().Int(fieldMessages, maxQueue).Msg("client does not read, connection cut")
		s.kill()
		return false
	}
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
	return true
}

// write sends queued messages until the connection ends.
func (s *session) write() {
	for {
		select {
		case <-s.done:
			return
		case <-s.wake:
		}
		for _, m := range s.take() {
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
	s.queue = nil
	return queue
}

// kill cuts the connection. MQTT 3.1.1 knows no DISCONNECT from the server,
// so none is sent. From now on the session counts as not subscribed, so that
// a method call waits for the client to come back, and nothing more of what
// the client has sent is looked at.
func (s *session) kill() {
	s.mu.Lock()
	s.killed = true
	s.queue = nil
	s.mu.Unlock()
	abort(s.client.Net.Conn)
	s.client.Stop(nil)
}

// abort closes the connection below TLS, if there is TLS: closing the TLS
// connection would wait up to 5 s for a client that does not read.
func abort(conn net.Conn) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	conn.Close()
}
