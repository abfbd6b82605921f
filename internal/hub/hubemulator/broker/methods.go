package broker

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// Errors of a direct method without an answer of the device; match them with errors.Is.
var (
	// ErrNotConnected reports that no connection subscribed to methods within the connect
	// timeout (IoT Hub error 404103).
	ErrNotConnected = errors.New("not connected with a method subscription")
	// ErrNoAnswer reports that there was no answer within the response timeout (IoT Hub
	// error 504101).
	ErrNoAnswer = errors.New("no answer to the method")
)

// Call is one direct method call.
type Call struct {
	// Method is the name. It must be valid as one level of an MQTT topic: no '/', '+',
	// '#' or control characters.
	Method string
	// Payload is delivered unchanged, and may be empty.
	Payload json.RawMessage
	// ConnectTimeout is how long to wait for the device to connect and to subscribe; zero
	// means no wait.
	ConnectTimeout time.Duration
	// ResponseTimeout is how long to wait for the answer.
	ResponseTimeout time.Duration
}

// Invoke calls a direct method of id and waits for the answer. It returns the device's
// status and payload; the payload may be empty and need not be JSON. The answer may
// arrive on a later connection than the one that got the call. Invoke does not check that
// the identity exists. Errors: ErrNotConnected, ErrNoAnswer, ErrClosed, the cause of ctx.
// An answer that arrives after Invoke has returned is dropped.
func (b *Broker) Invoke(ctx context.Context, id store.ID, call Call) (status int, payload []byte, err error) {
	// The id is opaque to the device, and unique across restarts of the hub.
	rid := rand.Text()
	answers := b.calls.add(rid, id)
	defer b.calls.remove(rid)
	if err := b.sendCall(ctx, id, rid, call); err != nil {
		return 0, nil, err
	}
	timer := time.NewTimer(call.ResponseTimeout)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.status, a.payload, nil
	case <-timer.C:
		return 0, nil, ErrNoAnswer
	case <-b.done:
		return 0, nil, ErrClosed
	case <-ctx.Done():
		return 0, nil, context.Cause(ctx)
	}
}

// sendCall waits for a session that is subscribed to methods, and sends the call to it.
func (b *Broker) sendCall(ctx context.Context, id store.ID, rid string, call Call) error {
	topic := fmt.Sprintf("%s%s/?$rid=%s", topicMethod, call.Method, rid)
	timer := time.NewTimer(call.ConnectTimeout)
	defer timer.Stop()
	for {
		s, changed := b.subscribed(id, filterMethods)
		if s != nil && (b.loseRequest(s) || b.deliver(s, message{topic: topic, payload: call.Payload})) {
			return nil
		}
		if call.ConnectTimeout <= 0 {
			return ErrNotConnected
		}
		select {
		case <-changed:
		case <-timer.C:
			return ErrNotConnected
		case <-b.done:
			return ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// receiveMethodAnswer passes an answer to its pending call. path is the part of the topic
// after "$iothub/methods/res/": "{status}/".
func (b *Broker) receiveMethodAnswer(s *session, path, rid string, payload []byte) {
	status, err := strconv.Atoi(strings.TrimSuffix(path, "/"))
	if err != nil {
		s.log.Warn().Str(fieldTopic, truncate(topicMethodAnswer+path)).Msg("method answer without a status dropped")
		return
	}
	if b.faults.MethodAnswerLost(s.id.String()) {
		s.log.Info().Int(fieldStatus, status).Msg("method answer dropped by an injected fault")
		return
	}
	if !b.calls.answer(rid, s.id, answer{status: status, payload: payload}) {
		s.log.Debug().Int(fieldStatus, status).Msg("method answer without a pending call dropped")
	}
}

// calls are the pending method calls, by request id.
type calls struct {
	mu      sync.Mutex
	pending map[string]pendingCall
}

type pendingCall struct {
	id      store.ID
	answers chan answer // has room for one
}

type answer struct {
	status  int
	payload []byte
}

func newCalls() *calls {
	return &calls{pending: make(map[string]pendingCall)}
}

func (c *calls) add(rid string, id store.ID) <-chan answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers := make(chan answer, 1)
	c.pending[rid] = pendingCall{id: id, answers: answers}
	return answers
}

func (c *calls) remove(rid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, rid)
}

// answer passes an answer to its call, and reports whether the call was pending. Only the
// called identity may answer, and only once.
func (c *calls) answer(rid string, id store.ID, a answer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	call, ok := c.pending[rid]
	if !ok || call.id != id {
		return false
	}
	delete(c.pending, rid)
	call.answers <- a
	return true
}
