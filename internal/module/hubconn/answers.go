package hubconn

import (
	"crypto/sha256"
	"sync"
	"time"
)

// The limits of answers, whatever a hub sends: the number of calls, and the bytes of all
// answers, enough for two of the largest.
const (
	maxAnswers     = 1024
	maxAnswerBytes = 256 << 10
)

// callID identifies a call on its connection. It is a hash of its payload and its topic,
// which contains its name and request id.
type callID [sha256.Size]byte

func callOf(topic string, payload []byte) callID {
	h := sha256.New()
	name := sha256.Sum256([]byte(topic)) // of fixed length: topic and payload cannot be confused
	h.Write(name[:])
	h.Write(payload)
	return callID(h.Sum(nil))
}

// answers keeps the answers of one connection for a while. MQTT may deliver a call twice,
// and it must not run twice. Request ids start again with each connection.
type answers struct {
	window time.Duration // how long an answer is kept, from the call on

	mu    sync.Mutex
	known map[callID]*answer
	order []*answer // the same answers, oldest first
	bytes int       // of their bodies, together
}

// answer is the answer to one call, given or pending.
type answer struct {
	call   callID
	begun  time.Time
	given  chan struct{} // closed when the answer is there
	status int
	body   []byte
}

// once returns the answer to call, which arrived now. The first delivery calls run.
// Further deliveries wait for its result.
func (a *answers) once(call callID, now time.Time, run func() (status int, body []byte)) (status int, body []byte) {
	r, first := a.take(call, now)
	if first {
		status, body = run()
		a.give(r, status, body)
	}
	<-r.given
	return r.status, r.body
}

// take returns the answer of call, and whether this is the first delivery.
func (a *answers) take(call callID, now time.Time) (r *answer, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 && now.Sub(a.order[0].begun) >= a.window {
		a.dropOldest()
	}
	if r, ok := a.known[call]; ok {
		return r, false
	}
	if len(a.order) == maxAnswers {
		a.dropOldest()
	}
	if a.known == nil {
		a.known = make(map[callID]*answer)
	}
	r = &answer{call: call, begun: now, given: make(chan struct{})}
	a.known[call] = r
	a.order = append(a.order, r)
	return r, true
}

// give stores the result of a call for the deliveries that wait, and for later ones.
func (a *answers) give(r *answer, status int, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.status, r.body = status, body
	close(r.given)
	if a.known[r.call] != r {
		return // dropped in the meantime
	}
	a.bytes += len(body)
	for a.bytes > maxAnswerBytes {
		a.dropOldest()
	}
}

// dropOldest removes the oldest answer. Deliveries that wait for it still get it.
func (a *answers) dropOldest() {
	r := a.order[0]
	a.order[0] = nil
	a.order = a.order[1:]
	delete(a.known, r.call)
	a.bytes -= len(r.body) // none while the call runs
}
