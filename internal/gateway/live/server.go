package live

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/problem"
	"rtsptunnel/internal/gateway/weblog"
)

// Options are what New needs; all of them are required. The functions are called concurrently,
// and their errors are failures. Names of cameras are full names of two segments, decoded.
type Options struct {
	// Outputs are the outputs by their segment of the path. Others are unknown routes.
	Outputs map[string]Output
	// Login returns the principal of a request for an output of a camera, which may not exist.
	// It judges the page that sent the request, too.
	Login func(r *http.Request, output, camera string, from netip.Addr) (access.Principal, error)
	// Playback returns the query with which the files of an HLS playlist continue a playback.
	Playback func(r *http.Request, p access.Principal, camera string) string
	// Resolve returns the camera's full name, the stream's name and the camera's title. It
	// returns a name that it does not know unchanged: an output has the error.
	Resolve func(asked string) (camera, stream, title string)
	// Video is Resolve for the UUID of a camera's video, in lower case.
	Video func(id string) (camera, stream, title string)
	// Denied takes the failure of each request that access refused.
	Denied func(output string, f *failure.Failure)

	Log zerolog.Logger
}

// Server serves all outputs. It is safe for concurrent use.
type Server struct {
	o   Options
	log *weblog.Log

	mu      sync.Mutex
	sockets int // WebSockets that are open
	limit   int
	running int // requests
	closing bool
	none    chan struct{} // closed when closing, and no request runs
}

// New returns a server. Shutdown ends it.
func New(o Options) *Server {
	return &Server{o: o, log: weblog.New(o.Log, "live request", zerolog.DebugLevel), none: make(chan struct{})}
}

// SetSockets bounds the WebSockets that are open at once; 0 bounds nothing. A WebSocket holds a
// descriptor that the HTTP server no longer counts.
func (s *Server) SetSockets(most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = most
}

// Sockets returns how many WebSockets are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sockets
}

// Handler returns the handler of the paths for which Serves is true, for clients whose
// addresses client returns.
func (s *Server) Handler(client func(*http.Request) netip.Addr) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, client(r)) })
}

// Shutdown refuses new requests, and waits until those that run have returned, or ctx is done.
// The caller ends the outputs' viewers: the server knows none.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		s.check()
	}
	s.mu.Unlock()
	select {
	case <-s.none:
	case <-ctx.Done():
	}
}

// check closes none. The caller holds the lock.
func (s *Server) check() {
	if s.closing && s.running == 0 {
		close(s.none)
	}
}

// serve answers one request and writes its line.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, from netip.Addr) {
	began := time.Now()
	a := &answer{ResponseWriter: w, control: http.NewResponseController(w)}
	header := w.Header()
	header.Set("Cache-Control", "no-store") // outputs whose files may be kept replace it
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")

	socket := isSocket(r)
	v, output, err := s.admit(r, from)
	if err == nil {
		err = s.run(socket, func() { output.ServeLive(a, r, v) })
	}
	f := failure.Of(err)
	if f != nil {
		problem.Write(a, f)
	}
	s.log.Write(r, weblog.Answer{From: from, User: v.Principal.Name, Status: a.status, Failure: f, Took: time.Since(began)})
}

// isSocket reports whether a request asks for a WebSocket: over HTTP/1.1 (RFC 6455, 4.1) or
// over HTTP/2 (RFC 8441), which the HTTP server does not offer.
func isSocket(r *http.Request) bool {
	return r.Method == http.MethodConnect || strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// admit returns what the request may watch. A camera that the principal does not cover is
// refused alike whether it exists or not, so that a viewer cannot learn which cameras there are.
func (s *Server) admit(r *http.Request, from netip.Addr) (Request, Output, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return Request{}, nil, failure.New(failure.Viewer, reason.RequestMethod, nil)
	}
	asked, err := parse(r.URL.EscapedPath())
	if err != nil {
		return Request{}, nil, err
	}
	output := s.o.Outputs[asked.output]
	if output == nil {
		return Request{}, nil, noRoute()
	}
	v := Request{From: from, File: asked.file}
	if asked.video != "" {
		v.Camera, v.Stream, v.Title = s.o.Video(asked.video)
	} else {
		v.Camera, v.Stream, v.Title = s.o.Resolve(asked.name)
	}
	if err := s.authorize(r, &v, asked.output); err != nil {
		s.o.Denied(asked.output, failure.Of(err))
		return v, nil, err
	}
	if asked.output == HLS {
		v.Playback = s.o.Playback(r, v.Principal, v.Camera)
	}
	return v, output, nil
}

// authorize sets the principal, if it may watch.
func (s *Server) authorize(r *http.Request, v *Request, output string) error {
	p, err := s.o.Login(r, output, v.Camera, v.From)
	if err != nil {
		return err
	}
	v.Principal = p
	return p.Grant(access.Watch, v.Camera)
}

// run runs serve, unless a limit or the shutdown forbids it.
func (s *Server) run(socket bool, serve func()) error {
	end, err := s.begin(socket)
	if err != nil {
		return err
	}
	defer end() // the HTTP server recovers from a panic
	serve()
	return nil
}

// begin counts a request. The caller calls end once.
func (s *Server) begin(socket bool) (end func(), _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return nil, failure.New(failure.Gateway, reason.ShuttingDown, nil)
	case socket && s.limit > 0 && s.sockets >= s.limit:
		return nil, failure.New(failure.Gateway, reason.LimitConnections, nil)
	}
	s.count(socket, 1)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.count(socket, -1)
		s.check()
	}, nil
}

// count adds to what runs. The caller holds the lock.
func (s *Server) count(socket bool, n int) {
	s.running += n
	if socket {
		s.sockets += n
	}
}
