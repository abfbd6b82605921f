package hubconn

import (
	"slices"
	"sync"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// The limits of the answers of one connection that wait for the hub's acknowledgement. The
// MQTT client keeps each until then, also after the module has stopped waiting for it.
const (
	maxUnacknowledged      = 256
	maxUnacknowledgedBytes = 1 << 20 // topics and bodies together
)

// unacknowledged are the answers of one connection that were sent with QoS 1. Its zero
// value has none.
type unacknowledged struct {
	mu    sync.Mutex
	sent  []*sentAnswer
	bytes int
}

// sentAnswer is an answer that the MQTT client keeps.
type sentAnswer struct {
	bytes int
	token paho.Token // nil while it is handed to the client
}

// send calls publish for an answer of this size: with QoS 1 while all answers that wait
// stay within the limits, and else with QoS 0, for which the client keeps nothing. The
// token is done when the hub has acknowledged the answer, or with QoS 0 when it was sent.
func (u *unacknowledged) send(bytes int, publish func(qos byte) paho.Token) paho.Token {
	answer := u.reserve(bytes)
	if answer == nil {
		return publish(0)
	}
	token := publish(methodQoS)
	u.mu.Lock()
	defer u.mu.Unlock()
	answer.token = token
	return token
}

// reserve returns nil if the limits are reached.
func (u *unacknowledged) reserve(bytes int) *sentAnswer {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent = slices.DeleteFunc(u.sent, func(a *sentAnswer) bool {
		done := a.token != nil && isDone(a.token)
		if done {
			u.bytes -= a.bytes
		}
		return done
	})
	if len(u.sent) == maxUnacknowledged || u.bytes+bytes > maxUnacknowledgedBytes {
		return nil
	}
	answer := &sentAnswer{bytes: bytes}
	u.sent = append(u.sent, answer)
	u.bytes += bytes
	return answer
}

func isDone(token paho.Token) bool {
	select {
	case <-token.Done():
		return true
	default:
		return false
	}
}
