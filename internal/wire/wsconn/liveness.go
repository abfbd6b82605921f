package wsconn

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Liveness sets how a Conn tells a dead peer from a silent or slow one. A zero field has
// its default.
//
// A ping is sent every Ping. A peer is dead if none of its bytes arrives within Pong after
// a ping. While data is outstanding, a ping would wait behind it and prove nothing: then
// the peer is dead if its host acknowledges no byte of the data for Stall. On Linux the
// kernel tells what was acknowledged and received, also on a Conn that is not read.
// Elsewhere data counts as acknowledged when the kernel has accepted it.
type Liveness struct {
	Ping  time.Duration // 20 s
	Pong  time.Duration // 20 s
	Stall time.Duration // 60 s; never if negative
}

func (l Liveness) withDefaults() Liveness {
	fill := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	fill(&l.Ping, 20*time.Second)
	fill(&l.Pong, 20*time.Second)
	fill(&l.Stall, 60*time.Second)
	return l
}

// interval is the time between two checks.
func (l Liveness) interval() time.Duration {
	shortest := min(l.Ping, l.Pong)
	if l.Stall > 0 {
		shortest = min(shortest, l.Stall)
	}
	return shortest / checksPerLimit
}

// checksPerLimit is the number of checks within the shortest limit. A dead peer is
// detected at most one check late.
const checksPerLimit = 8

// deadCloseTime bounds the Close to a dead peer, which may still read it.
const deadCloseTime = time.Second

// sample holds the byte counts of a connection at one time.
type sample struct {
	received int64 // bytes, as the kernel counts them where it does
	unread   bool  // received bytes wait for a Read, so the receive window may be full
	acked    int64 // bytes that the peer's host has acknowledged
	queued   int64 // bytes in the kernel that it has not acknowledged
}

// liveness watches one connection.
type liveness struct {
	c        *Conn
	limits   Liveness
	interval time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	checks  sync.WaitGroup // running checks; Add only with mu held and stopped false
	dead    error          // why the peer counts as dead

	checkedAt time.Time // of the last check
	last      sample    // at the last check
	nextPing  time.Time
	awaiting  bool      // nothing was received since the last ping
	silent    time.Time // since when an answer can be expected
	dataEnd   int64     // the value of acked at which all data is acknowledged
	progress  time.Time // since when data could have been acknowledged
}

// watch starts to watch c.
func watch(c *Conn, limits Liveness) *liveness {
	l := &liveness{c: c, limits: limits.withDefaults()}
	l.interval = l.limits.interval()
	tuneSocket(c.transport)
	now := time.Now()
	l.checkedAt, l.progress, l.nextPing = now, now, now.Add(l.limits.Ping)
	l.last = takeSample(c)
	l.mu.Lock() // the timer may fire before the field is set
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.interval, l.check)
	return l
}

// check evaluates the peer, and sends a ping if one is due. A ping may block; later
// checks still run.
func (l *liveness) check() {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	err := l.evaluate(now, takeSample(l.c))
	ping := err == nil && !now.Before(l.nextPing)
	if ping {
		l.nextPing = l.nextPing.Add(l.limits.Ping)
		if l.nextPing.Before(now) { // the machine was suspended
			l.nextPing = now.Add(l.limits.Ping)
		}
	}
	if err != nil {
		l.dead, l.stopped = err, true
	} else {
		l.timer.Reset(l.interval)
	}
	l.checks.Add(1)
	l.mu.Unlock()
	defer l.checks.Done()
	switch {
	case err != nil:
		l.c.out.tryClose(websocket.CloseInternalServerErr, "", deadCloseTime)
		_ = l.c.Reset()
	case ping && l.c.out.ping() == nil:
		l.pinged(now)
	}
}

// pinged records that a ping was sent.
func (l *liveness) pinged(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.awaiting {
		l.awaiting, l.silent = true, at
	}
}

// evaluate returns why the peer is dead, nil if it is not. The caller holds mu.
func (l *liveness) evaluate(now time.Time, is sample) error {
	was, late := l.last, now.Sub(l.checkedAt) > 2*l.interval+time.Second
	l.last, l.checkedAt = is, now
	outstanding := l.outstanding(is)
	if is.received != was.received {
		l.awaiting = false
	}
	if is.unread || outstanding || late { // late: this machine was suspended and has not processed what arrived since
		l.silent = now
	}
	if is.acked != was.acked || !outstanding || late {
		l.progress = now
	}
	if slack := l.interval / 2; l.awaiting && now.Sub(l.silent) >= l.limits.Pong-slack {
		return fmt.Errorf("no answer to a ping for %s", l.limits.Pong)
	}
	if l.limits.Stall > 0 && now.Sub(l.progress) >= l.limits.Stall {
		return fmt.Errorf("no byte was acknowledged for %s", l.limits.Stall)
	}
	return nil
}

// outstanding tells whether the peer has not acknowledged all data. Pings do not count.
func (l *liveness) outstanding(is sample) bool {
	w := &l.c.out
	if w.writing.Load() { // or blocked
		return true
	}
	if w.wrote.Swap(false) || is.queued == 0 {
		l.dataEnd = is.acked + is.queued
	}
	return is.acked < l.dataEnd
}

// withCause adds to err why the peer was declared dead, if it was.
func (l *liveness) withCause(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return errors.Join(l.dead, err)
	}
	return err
}

// stop ends the watch.
func (l *liveness) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	l.timer.Stop()
}

// wait returns when no check runs. The caller has called stop and closed the connection.
func (l *liveness) wait() { l.checks.Wait() }

// ownSample is the sample without the kernel's counts: data that the kernel accepted
// counts as acknowledged.
func ownSample(c *Conn) sample {
	return sample{received: c.transport.received.Load(), unread: !c.transport.reading.Load(), acked: c.out.sent.Load()}
}
