package wsconn

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const acceptTime = 10 * time.Second // for the peer to take the answer to its handshake

// Accept answers a WebSocket's opening request. Whoever calls it has decided that
// the peer may come in: there is no check of an Origin, since no browser speaks
// here with a login of its own. On an error an HTTP answer was given where that was
// possible. The peer is watched with Liveness's defaults. The caller closes the
// connection.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) { return accept(w, r, Liveness{}) }

func accept(w http.ResponseWriter, r *http.Request, limits Liveness) (*Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: acceptTime,
		ReadBufferSize:   readBuffer,
		WriteBufferPool:  noBuffers,
		CheckOrigin:      func(*http.Request) bool { return true },
	}
	under := &hijacker{ResponseWriter: w}
	ws, err := upgrader.Upgrade(under, r, nil)
	if err != nil {
		return nil, fmt.Errorf("accept websocket: %w", err)
	}
	return newConn(ws, under.taken, server, limits), nil
}

// hijacker puts a transport between gorilla and the connection that it takes over.
type hijacker struct {
	http.ResponseWriter
	taken *transport
}

// Hijack is http.Hijacker's.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	h.taken = &transport{Conn: conn}
	return h.taken, buffered, nil
}
