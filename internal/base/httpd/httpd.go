// Package httpd runs an HTTP server that can be closed completely: no
// connection and no handler outlives Server.Close.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // net/http takes no other logger for its own complaints
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/netutil"
)

const (
	// headerWithin bounds the TLS handshake and the request headers.
	headerWithin = 10 * time.Second
	idleWithin   = 2 * time.Minute
	// maxHeader bounds the request line and the headers, in bytes, and so what a
	// stranger can have written to a log. Real ones have a few KB.
	maxHeader = 64 << 10
)

// Server serves one listener, from Serve to Close.
type Server struct {
	server http.Server
	cancel context.CancelFunc
	served chan struct{} // closed when the accept loop has ended
	conns  sync.WaitGroup
}

// Serve starts to serve ln with handler and returns at once. Requests'
// contexts are cancelled by Close; there is no limit on how long a handler
// may take. TLS, if any, is ln's business, and only HTTP/1.1 is spoken. What
// net/http has to complain about goes to log.
func Serve(ln net.Listener, handler http.Handler, log zerolog.Logger) *Server {
	s := newServer(handler, log)
	s.serve(ln, log)
	return s
}

// Limits bound what clients may hold of a server whose answers are small and fast.
type Limits struct {
	Connections int           // at a time; others wait to be accepted
	Within      time.Duration // for a whole request and its answer, and there is one a connection
}

const smallHeader = 4 << 10 // bytes; net/http adds as much

// ServeLimited is Serve within limits.
func ServeLimited(ln net.Listener, handler http.Handler, log zerolog.Logger, limits Limits) *Server {
	s := newServer(handler, log)
	s.server.ReadHeaderTimeout, s.server.ReadTimeout, s.server.WriteTimeout = limits.Within, limits.Within, limits.Within
	s.server.MaxHeaderBytes = smallHeader
	s.server.SetKeepAlivesEnabled(false)
	s.serve(netutil.LimitListener(ln, limits.Connections), log)
	return s
}

func newServer(handler http.Handler, log zerolog.Logger) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{cancel: cancel, served: make(chan struct{})}
	s.server = http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          newErrorLog(log),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.count,
	}
	return s
}

func (s *Server) serve(ln net.Listener, log zerolog.Logger) {
	go func() {
		defer close(s.served)
		if err := s.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Str("address", ln.Addr().String()).Msg("stopped accepting HTTP connections")
		}
	}()
}

// Done is closed when no connection is accepted any more, by Close or because the
// listener failed. Close is due all the same.
func (s *Server) Done() <-chan struct{} { return s.served }

// count follows connections from accept to their end. A hijacked connection
// is its new owner's to wait for.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	case http.StateActive, http.StateIdle:
	}
}

// Close stops accepting, cuts all connections, cancels the requests being
// handled, and returns when all handlers have returned. It closes the
// listener.
func (s *Server) Close() error {
	s.cancel()
	err := s.server.Close()
	<-s.served
	// Once more, for a connection accepted while the first Close was at work.
	err = errors.Join(err, s.server.Close())
	s.conns.Wait()
	if err != nil {
		return fmt.Errorf("close HTTP server: %w", err)
	}
	return nil
}

// newErrorLog passes net/http's lines on as debug lines: each is about one
// client that broke off.
func newErrorLog(logger zerolog.Logger) *log.Logger {
	return log.New(debugWriter{log: logger}, "", 0)
}

type debugWriter struct {
	log zerolog.Logger
}

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug().Bytes("line", line).Msg("HTTP server")
	return len(line), nil
}
