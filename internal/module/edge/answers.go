package edge

import (
	"crypto/sha256"
	"sync"
	"time"
)

// What answers hold at most, whatever a hub sends: calls, and bytes of answers, which is
// two of the largest.
const (
	maxAnswers     = 1024
	maxAnswerBytes = 256 << 10
)

// callID tells a call from every other on its connection. It is a hash of its topic,
// in which its name and request id are, and its payload.
type callID [sha256.Size]byte

func callOf(topic string, payload []byte) callID {
	h := sha256.New()
	name := sha256.Sum256([]byte(topic)) // of fixed length: nothing of it can pass for the payload
	h.Write(name[:])
	h.Write(payload)
	return callID(h.Sum(nil))
}

// answers are those of one connection, each kept for a while: MQTT may deliver a
// call twice, and it must not do twice what it does. Request ids begin anew with each
// connection. The zero value with a time keeps none yet.
type answers struct {
	most time.Duration // that an answer is kept, from the call on

	mu    sync.Mutex
	known map[callID]*answer
	order []*answer // the same, oldest first
	bytes int       // of their bodies
}

// answer is one that is given, or will be.
type answer struct {
	call   callID
	begun  time.Time
	given  chan struct{} // closed when it is
	status int
	body   []byte
}

// once is the answer to call, which arrived now. It is run's the first time; whoever
// comes meanwhile waits for it.
func (a *answers) once(call callID, now time.Time, run func() (status int, body []byte)) (status int, body []byte) {
	r, first := a.take(call, now)
	if first {
		status, body = run()
		a.give(r, status, body)
	}
	<-r.given
	return r.status, r.body
}

func (a *answers) take(call callID, now time.Time) (r *answer, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.order) > 0 && now.Sub(a.order[0].begun) >= a.most {
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

func (a *answers) give(r *answer, status int, body []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.status, r.body = status, body
	close(r.given)
	if a.known[r.call] != r {
		return // dropped meanwhile
	}
	a.bytes += len(body)
	for a.bytes > maxAnswerBytes {
		a.dropOldest()
	}
}

// dropOldest forgets an answer; who waits for it still gets it.
func (a *answers) dropOldest() {
	r := a.order[0]
	a.order[0] = nil
	a.order = a.order[1:]
	delete(a.known, r.call)
	a.bytes -= len(r.body) // none yet if it is not given
}
