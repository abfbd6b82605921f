package httpd

import (
	"net"
	"net/http"

	"github.com/rs/zerolog"
)

// ServeConns is Serve with another number of connections.
func ServeConns(ln net.Listener, handler http.Handler, log zerolog.Logger, most int) *Server {
	s := newServer(handler, log, most)
	s.serve(ln, log)
	return s
}
