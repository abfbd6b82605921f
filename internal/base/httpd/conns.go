package httpd

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"rtsptunnel/internal/base/peer"
)

const (
	// sendWithin is the time for an answer to leave after its handler has returned, if the
	// client does not take it.
	sendWithin = time.Second
	// flushWithin is the time for the last bytes of an answer of HTTP/2 to leave after net/http
	// has reported the connection as idle.
	flushWithin = 50 * time.Millisecond
)

// conns bounds the open connections of a server. If there are too many, a silent one is
// closed: a connection is silent while the server waits for bytes of its client, which is
// always so unless a handler runs that does not read the request's body, or has just
// returned. It is the one that is silent for the longest time, of the network that has most
// silent ones, so that many connections of one network do not end a slow request of another.
// A hijacked connection belongs to its handler and does not count.
type conns struct {
	max int

	mu    sync.Mutex
	free  *sync.Cond // a connection has ended or become silent, or ended is set
	open  map[net.Conn]*conn
	ended bool

	// streams are the running handlers of HTTP/2, which may outlive their connection. It is
	// added to under mu, and not after ended is set.
	streams sync.WaitGroup
}

// conn is one connection. Its fields are guarded by conns.mu.
type conn struct {
	waiting     int       // requests whose clients wait for the server; HTTP/2 has several
	silentSince time.Time // zero while there are any
	sent        time.Time // when the answers of the handlers that returned have left at the latest
	http2       bool
	network     netip.Prefix
}

func newConns(most int) *conns {
	c := &conns{max: most, open: make(map[net.Conn]*conn)}
	c.free = sync.NewCond(&c.mu)
	return c
}

type connKey struct{}

// add is http.Server's ConnContext, which runs between two calls of Accept. If all
// connections are taken and none is silent, it waits, and later clients wait to be accepted.
func (c *conns) add(ctx context.Context, accepted net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.open) >= c.max && !c.ended {
		worst := c.worstSilent()
		if worst == nil {
			timer := time.AfterFunc(flushWithin, c.free.Broadcast)
			c.free.Wait()
			timer.Stop()
			continue
		}
		delete(c.open, worst)
		closeNow(worst)
	}
	added := &conn{silentSince: time.Now(), network: networkOf(accepted)}
	c.open[accepted] = added
	return context.WithValue(ctx, connKey{}, added)
}

// worstSilent returns the connection that makes room, nil if none is silent.
func (c *conns) worstSilent() (worst net.Conn) {
	now := time.Now()
	counts := make(map[netip.Prefix]int)
	for _, known := range c.open {
		if known.silent(now) {
			counts[known.network]++
		}
	}
	var most int
	var since time.Time
	for candidate, known := range c.open {
		if !known.silent(now) {
			continue
		}
		if n := counts[known.network]; n > most || n == most && known.silentSince.Before(since) {
			worst, most, since = candidate, n, known.silentSince
		}
	}
	return worst
}

// silent is false also while an answer may not have left.
func (c *conn) silent(now time.Time) bool {
	return !c.silentSince.IsZero() && !now.Before(c.sent)
}

func networkOf(c net.Conn) netip.Prefix {
	tcp, _ := c.RemoteAddr().(*net.TCPAddr) // nil has no address
	return peer.Network(tcp.AddrPort().Addr())
}

// closeNow closes a connection without TLS's last message, which could wait for the client.
func closeNow(c net.Conn) {
	if layer, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = layer.NetConn()
	}
	_ = c.Close()
}

// remove removes a connection that is closed or hijacked, if it is still there.
func (c *conns) remove(ended net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, ended)
	c.free.Broadcast()
}

// addStream counts a handler of HTTP/2. It returns false after end.
func (c *conns) addStream() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.streams.Add(1)
	}
	return !c.ended
}

// setWaiting adds to the requests whose clients wait for the server.
func (c *conns) setWaiting(known *conn, add int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known.waiting += add
	known.silentSince = time.Time{}
	if known.waiting == 0 {
		known.silentSince = time.Now()
		c.free.Broadcast()
	}
}

// begin records that a handler starts.
func (c *conns) begin(known *conn, http2 bool) {
	c.mu.Lock()
	known.http2 = http2
	c.mu.Unlock()
	c.setWaiting(known, 1)
}

// answered records that a handler has returned. A request whose client has ended it has no
// answer.
func (c *conns) answered(known *conn, request context.Context) {
	c.mu.Lock()
	if request.Err() == nil {
		known.sent = time.Now().Add(sendWithin)
	}
	c.mu.Unlock()
	c.setWaiting(known, -1)
}

// idle records that all answers of a connection have left.
func (c *conns) idle(which net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[which]
	if known == nil || known.waiting > 0 {
		return
	}
	now := time.Now()
	switch {
	case !known.http2:
		known.sent = now
		c.free.Broadcast()
	case known.sent.After(now.Add(flushWithin)):
		known.sent = now.Add(flushWithin)
	}
}

// end ends the waiting of add, and refuses further handlers of HTTP/2.
func (c *conns) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.free.Broadcast()
}

// handler returns next for requests on these connections.
func (c *conns) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known, ok := r.Context().Value(connKey{}).(*conn)
		if !ok { // not a request of this server
			next.ServeHTTP(w, r)
			return
		}
		if r.ProtoMajor == 2 {
			if !c.addStream() {
				panic(http.ErrAbortHandler) // resets the stream without a log line
			}
			defer c.streams.Done()
		}
		c.begin(known, r.ProtoMajor == 2)
		defer c.answered(known, r.Context())
		if r.ContentLength != 0 {
			// In a copy: net/http asks its own request's body how much of it is unread.
			watched := *r
			watched.Body = &body{r.Body, c, known}
			r = &watched
		}
		next.ServeHTTP(w, r)
	})
}

// body is the body of a request. The connection is silent while it is read.
type body struct {
	io.ReadCloser
	conns *conns
	conn  *conn
}

func (b *body) Read(p []byte) (int, error) {
	b.conns.setWaiting(b.conn, -1)
	defer b.conns.setWaiting(b.conn, 1)
	return b.ReadCloser.Read(p)
}
