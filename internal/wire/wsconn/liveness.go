package wsconn

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Liveness is how a peer that is gone is told from one that is silent or slow. A
// field that is zero has its default.
//
// A ping is sent each Ping, and a peer of which no byte has arrived for Pong after
// one is dead. While data of ours is on the way, though, a ping would wait behind
// it and prove nothing: then the peer is dead when its host has acknowledged no byte
// of it for Stall. On Linux the kernel is asked what was acknowledged and received,
// also by a side of the tunnel that takes no bytes just now. Elsewhere data counts as
// acknowledged once the kernel has taken it.
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

// every is the time from look to look.
func (l Liveness) every() time.Duration {
	shortest := min(l.Ping, l.Pong)
	if l.Stall > 0 {
		shortest = min(shortest, l.Stall)
	}
	return shortest / looks
}

// looks is how many times the shortest of the limits is looked at: a peer is found
// dead by so much later than it could be.
const looks = 8

// farewell is how long a dead peer's Close may take, which it may read all the same.
const farewell = time.Second

// sample is what is known of a connection's bytes at one time.
type sample struct {
	received int64 // bytes, by the kernel if it tells
	unread   bool  // some of them were not read, so that there may be no room for more
	acked    int64 // bytes that the peer's host has
	queued   int64 // bytes that it has not, as far as the kernel has them
}

// liveness watches one connection.
type liveness struct {
	c      *Conn
	limits Liveness
	every  time.Duration

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	pings   sync.WaitGroup // with mu while not stopped: looks that run
	dead    error          // why the peer is taken for dead

	last     time.Time // of the look before
	was      sample    // then
	nextPing time.Time
	awaiting bool      // nothing was received since the last ping
	silent   time.Time // since when an answer can be expected
	dataEnd  int64     // in acked's terms, where the data ends
	progress time.Time // since when data could have been acknowledged
}

// watch begins to watch c.
func watch(c *Conn, limits Liveness) *liveness {
	l := &liveness{c: c, limits: limits.withDefaults()}
	l.every = l.limits.every()
	tuneSocket(c.under)
	now := time.Now()
	l.last, l.progress, l.nextPing = now, now, now.Add(l.limits.Ping)
	l.was = take(c)
	l.mu.Lock() // the timer may be quicker than its field
	defer l.mu.Unlock()
	l.timer = time.AfterFunc(l.every, l.look)
	return l
}

// look judges the peer, and sends a ping if it is time for one. A ping can block:
// the looks after it go on.
func (l *liveness) look() {
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		return
	}
	now := time.Now()
	err := l.judge(now, take(l.c))
	ping := err == nil && !now.Before(l.nextPing)
	if ping {
		l.nextPing = l.nextPing.Add(l.limits.Ping)
		if l.nextPing.Before(now) { // the machine was asleep
			l.nextPing = now.Add(l.limits.Ping)
		}
	}
	if err != nil {
		l.dead, l.stopped = err, true
	} else {
		l.timer.Reset(l.every)
	}
	l.pings.Add(1)
	l.mu.Unlock()
	defer l.pings.Done()
	switch {
	case err != nil:
		l.c.out.tryClose(websocket.CloseInternalServerErr, "", farewell)
		_ = l.c.Reset()
	case ping && l.c.out.ping() == nil:
		l.sent(now)
	}
}

// sent says that a ping went out.
func (l *liveness) sent(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.awaiting {
		l.awaiting, l.silent = true, at
	}
}

// judge takes what is known now and says why the peer is dead, nil if it is not.
// The caller holds mu.
func (l *liveness) judge(now time.Time, is sample) error {
	was, late := l.was, now.Sub(l.last) > 2*l.every+time.Second
	l.was, l.last = is, now
	outstanding := l.outstanding(is)
	if is.received != was.received {
		l.awaiting = false
	}
	if is.unread || outstanding || late { // late: this machine slept, and has not seen what came since
		l.silent = now
	}
	if is.acked != was.acked || !outstanding || late {
		l.progress = now
	}
	if slack := l.every / 2; l.awaiting && now.Sub(l.silent) >= l.limits.Pong-slack {
		return fmt.Errorf("no answer to a ping for %s", l.limits.Pong)
	}
	if l.limits.Stall > 0 && now.Sub(l.progress) >= l.limits.Stall {
		return fmt.Errorf("no byte was acknowledged for %s", l.limits.Stall)
	}
	return nil
}

// outstanding tells whether data of ours, not only a ping, is on its way to the peer.
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

// because is why the connection has failed: the peer's death, if that was it.
func (l *liveness) because(err error) error {
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

// wait returns when no look is running; after stop, with the connection closed.
func (l *liveness) wait() { l.pings.Wait() }

// ownSample is what is known without the kernel: data that it took is the peer's.
func ownSample(c *Conn) sample {
	return sample{received: c.under.received.Load(), unread: !c.under.reading.Load(), acked: c.out.sent.Load()}
}
