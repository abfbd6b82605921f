package edge

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice/transport"
	paho "github.com/eclipse/paho.mqtt.golang"
)

// UserName is the CONNECT's user name.
func UserName(o Options) string { return (&Client{o: o}).userName() }

// Protocols are those of so many attempts that all fail but the ones in arrive.
func Protocols(o Options, attempts int, arrive ...int) []Protocol {
	r := route{ways: o.ways()}
	var tried []Protocol
	for i := range attempts {
		w := r.next()
		tried = append(tried, w.protocol)
		r.result(w, slices.Contains(arrive, i))
	}
	return tried
}

// AtLoopback replaces the addresses of this machine where a client looks for its
// gateway.
func AtLoopback(c *Client, address string) {
	for i := range c.route.ways {
		c.route.ways[i].loopback = address
	}
}

// Told is which of so many identical failures have a line.
func Told(n int) []int {
	var f failures
	var told []int
	for i := range n {
		if times, tell := f.add(kind{}); tell && times == i+1 {
			told = append(told, times)
		}
	}
	return told
}

// Watch is what the guard says of a stream that arrives in chunks of this size.
func Watch(stream []byte, chunk int) error {
	var p packets
	for len(stream) > 0 {
		n := min(chunk, len(stream))
		if err := p.next(stream[:n]); err != nil {
			return err
		}
		stream = stream[n:]
	}
	return nil
}

// Times are how long things take, for tests that have no time.
type Times = times

// SetTimes changes them.
func SetTimes(c *Client, change func(*Times)) { change(&c.t) }

// Belief is what a client believes of twin documents.
type Belief = belief

// Take is whether it believes doc.
func Take(b *Belief, doc string, now time.Time, confirm time.Duration) error {
	return b.take([]byte(doc), now, confirm)
}

// Waits are the limits of so many waits in a row.
func Waits(n int, first, last time.Duration) []time.Duration {
	var b backoff
	var limits []time.Duration
	for range n {
		if b.next(first, last, last) >= b.limit {
			return nil
		}
		limits = append(limits, b.limit)
	}
	return limits
}

// SetWorkloadTimeout shortens each call of the workload API.
func SetWorkloadTimeout(c *Client, d time.Duration) { c.login.(*workload).http.Timeout = d }

// WaitAfter is the limit of the wait after a session that worked for so long and came
// after waits with the highest limit.
func WaitAfter(c *Client, worked time.Duration) time.Duration {
	waits := backoff{limit: c.t.LastWait}
	c.up = time.Now().Add(-worked)
	c.rested(&waits)
	waits.next(c.t.FirstWait, c.t.LastWait, c.t.LastWait)
	return waits.limit
}

// WorkloadTimeout is how long each call of the workload API may take.
func WorkloadTimeout(c *Client) time.Duration { return c.login.(*workload).http.Timeout }

// Configure is what the MQTT library is told: options of its client, and credentials.
func Configure(o Options) (*paho.ClientOptions, transport.Credentials) {
	c, told := &Client{o: o, t: usualTimes(o.ReportPace)}, paho.NewClientOptions()
	c.configure(context.Background(), &pipe{}, pass{}, nil)(told)
	return told, credentials{o.Identity}
}

// Lost is what the guard of a connection that ends says of it.
func Lost(conn net.Conn) (told error) {
	g := &guard{Conn: conn, lost: func(err error) { told = err }}
	_, _ = g.Read(make([]byte, 1))
	return told
}

// Answers are those of one connection, each kept for Repeat.
type Answers = answers

// NewAnswers keeps none yet.
func NewAnswers() *Answers { return &answers{most: usualTimes(0).Repeat} }

// Deliver is a call that arrives now.
func Deliver(a *Answers, topic, payload string, now time.Time, run func() (int, []byte)) []byte {
	_, body := a.once(callOf(topic, []byte(payload)), now, run)
	return body
}
