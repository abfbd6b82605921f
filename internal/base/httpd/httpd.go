// Package httpd runs HTTP servers whose clients are bounded, and that close completely: no
// connection and no handler outlives Server.Close.
//
// A client has a time for the TLS handshake, the headers and the body of a request. The
// number of connections is bounded; if there are too many, the one that is silent for the
// longest time is closed, of the client that has most of them. Neither bound concerns a handler that runs, however long, or a
// connection that a handler has hijacked.
package httpd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // net/http accepts no other logger
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// headerWithin bounds the TLS handshake, and the request headers from a connection's first
	// byte on.
	headerWithin = 10 * time.Second
	// requestWithin bounds a request, its body included. net/http ends this bound when the body
	// has been read, so it does not cut a handler that runs longer.
	requestWithin = 30 * time.Second
	idleWithin    = 2 * time.Minute
	maxConns      = 1024
	// maxStreams bounds the concurrent requests of one HTTP/2 connection. A page of a hundred
	// pictures needs as many.
	maxStreams = 100
	// maxHeader bounds the request line and the headers, in bytes, and so what a client can
	// write into a log. Usual requests have a few KB.
	maxHeader = 16 << 10
)

// Server serves one listener, from Serve to Close. Its methods are safe for concurrent use.
type Server struct {
	server http.Server
	cancel context.CancelFunc
	limit  *conns
	served chan struct{} // closed when the accept loop has ended
	conns  sync.WaitGroup
}

// Serve starts to serve ln with handler and returns immediately. A client has 10 s for the
// TLS handshake, 10 s for the headers and 30 s for a whole request; handlers have no timeout.
// At most 1024 connections are open. Close cancels the contexts of the requests. For TLS pass
// a listener of crypto/tls. HTTP/2 is served if its NextProtos has "h2" in front of
// "http/1.1"; clients then use HTTP/1.1 for WebSockets, which need a connection of their own.
// Errors of net/http are logged to log at debug level. The caller calls Close, which also
// closes ln.
func Serve(ln net.Listener, handler http.Handler, log zerolog.Logger) *Server {
	return ServeConns(ln, handler, log, maxConns)
}

// ServeConns is Serve with another number of connections.
func ServeConns(ln net.Listener, handler http.Handler, log zerolog.Logger, most int) *Server {
	s := newServer(handler, log, most)
	s.serve(ln, log)
	return s
}

// Limits bound the resources of clients, for a server with small and fast answers.
type Limits struct {
	Connections int           // concurrent; a silent one is closed for a new one
	Within      time.Duration // for a request and its answer; a connection serves one request
}

const smallHeader = 4 << 10 // bytes; net/http adds as much

// ServeLimited is Serve with limits.
func ServeLimited(ln net.Listener, handler http.Handler, log zerolog.Logger, limits Limits) *Server {
	s := newServer(handler, log, limits.Connections)
	s.server.ReadHeaderTimeout, s.server.ReadTimeout, s.server.WriteTimeout = limits.Within, limits.Within, limits.Within
	s.server.MaxHeaderBytes = smallHeader
	s.server.SetKeepAlivesEnabled(false)
	s.serve(ln, log)
	return s
}

func newServer(handler http.Handler, log zerolog.Logger, most int) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{cancel: cancel, limit: newConns(most), served: make(chan struct{})}
	s.server = http.Server{
		Handler:           s.limit.handler(handler),
		ReadHeaderTimeout: headerWithin,
		ReadTimeout:       requestWithin,
		IdleTimeout:       idleWithin,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          newErrorLog(log),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       s.limit.add,
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

// Done returns a channel that is closed when the server stops to accept connections: after
// Close, or because the listener failed. The caller still calls Close.
func (s *Server) Done() <-chan struct{} { return s.served }

// count counts open connections. The new owner of a hijacked connection waits for it.
func (s *Server) count(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.limit.remove(conn)
		s.conns.Done()
	case http.StateIdle:
		s.limit.idle(conn)
	case http.StateActive:
	}
}

// Close closes the listener and all connections, cancels the contexts of running requests,
// and returns when all handlers have returned.
func (s *Server) Close() error {
	s.cancel()
	s.limit.end()
	err := s.server.Close()
	<-s.served
	// Again, for a connection that was accepted during the first Close.
	err = errors.Join(err, s.server.Close())
	s.conns.Wait()
	s.limit.streams.Wait()
	if err != nil {
		return fmt.Errorf("close HTTP server: %w", err)
	}
	return nil
}

// newErrorLog logs net/http's lines at debug level: each concerns one client that failed. The
// line of a handler that panicked is an error.
func newErrorLog(logger zerolog.Logger) *log.Logger {
	return log.New(debugWriter{log: logger}, "", 0)
}

type debugWriter struct {
	log zerolog.Logger
}

var _ io.Writer = debugWriter{}

func (w debugWriter) Write(line []byte) (int, error) {
	level := zerolog.DebugLevel
	if bytes.Contains(line, []byte(": panic serving ")) {
		level = zerolog.ErrorLevel
	}
	w.log.WithLevel(level).Bytes("line", line).Msg("HTTP server")
	return len(line), nil
}
