package wsconn

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const acceptTime = 10 * time.Second // for the peer to take the answer to its handshake

// Accept answers a WebSocket's opening request. Whoever calls it has decided that
// the peer may come in: there is no check of an Origin, since no browser speaks
// here with a login of its own. On an error an HTTP answer was given where that was
// possible. The caller closes the connection.
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: acceptTime,
		ReadBufferSize:   bufferSize,
		WriteBufferSize:  bufferSize,
		CheckOrigin:      func(*http.Request) bool { return true },
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, fmt.Errorf("accept websocket: %w", err)
	}
	return newConn(ws), nil
}
