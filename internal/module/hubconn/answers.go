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
	given  bool
	status int
	body   []byte
}

// find returns the answer of a call that arrived now, nil if the call is not known.
func (a *answers) find(call callID, now time.Time) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 && now.Sub(a.order[0].begun) >= a.window {
		a.dropOldest()
	}
	return a.known[call]
}

// result returns a known call's answer, if it is given.
func (a *answers) result(r *answer) (status int, body []byte, given bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return r.status, r.body, r.given
}

// add returns the pending answer of a call that find does not know.
func (a *answers) add(call callID, now time.Time) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) == maxAnswers {
		a.dropOldest()
	}
	if a.known == nil {
		a.known = make(map[callID]*answer)
	}
	r := &answer{call: call, begun: now}
	a.known[call] = r
	a.order = append(a.order, r)
	return r
}

// give stores the result of a call for later deliveries.
func (a *answers) give(r *answer, status int, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.status, r.body, r.given = status, body, true
	if a.known[r.call] != r {
		return // dropped in the meantime
	}
	a.bytes += len(body)
	for a.bytes > maxAnswerBytes {
		a.dropOldest()
	}
}

// dropOldest removes the oldest answer. Its call is not known any more.
func (a *answers) dropOldest() {
	r := a.order[0]
	a.order[0] = nil
	a.order = a.order[1:]
	delete(a.known, r.call)
	a.bytes -= len(r.body) // none while the call runs
}
