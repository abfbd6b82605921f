package edge

import (
	"slices"
	"time"
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

// ConnectTimeout shortens the time that an attempt may take.
func ConnectTimeout(c *Client, d time.Duration) { c.connectTimeout = d }

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
