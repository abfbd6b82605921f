package wsconn

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const acceptTime = 10 * time.Second // for the peer to read the answer to its handshake

// Accept answers the opening request of a WebSocket. The caller has authenticated the
// peer. Accept does not check an Origin, since browsers, which send stored credentials,
// are no peers here. After an error the request was answered over HTTP where possible.
// The peer is watched with the defaults of Liveness. The caller closes the connection.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) { return accept(w, r, Liveness{}) }

func accept(w http.ResponseWriter, r *http.Request, limits Liveness) (*Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: acceptTime,
		ReadBufferSize:   readBuffer, // unused: gorilla does the handshake only
		WriteBufferPool:  noBuffers,
		CheckOrigin:      func(*http.Request) bool { return true },
	}
	under := &hijacker{ResponseWriter: w}
	// Upgrade fails if the client has sent bytes before the answer: none are buffered.
	if _, err := upgrader.Upgrade(under, r, nil); err != nil {
		return nil, fmt.Errorf("accept websocket: %w", err)
	}
	return newConn(bufio.NewReaderSize(under.taken, readBuffer), under.taken, server, limits), nil
}

// hijacker puts a transport between gorilla and the hijacked connection.
type hijacker struct {
	http.ResponseWriter
	taken *transport
}

var _ http.Hijacker = (*hijacker)(nil)

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the connection: %w", err)
	}
	h.taken = &transport{Conn: conn}
	return h.taken, buffered, nil
}
