package health

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/httpd"
)

// How long a port that cannot be had is left alone: the time doubles with each
// attempt.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)

// limits of strangers: who is on the machine may ask, and must not take the module's
// memory, descriptors or patience.
var limits = httpd.Limits{Connections: 16, Within: 2 * time.Second}

// Config is what a Server serves, and where.
type Config struct {
	Address string // host:port
	Handler http.Handler
	Log     zerolog.Logger
	Reason  string // the field "reason" of a log line that says that Address cannot be listened on
	Advice  string // the end of that line: what the operator can do about it
}

// Server serves one address from New on, as soon and as long as it can be had.
type Server struct {
	Config

	up       atomic.Bool   // the address is served
	server   *httpd.Server // nil if not
	failure  string        // why it is not, as told last; empty if it is
	failures int           // in a row
}

// New tries to listen at once. A port that is taken is no error: Run tries again. Who
// calls New calls Run.
func New(ctx context.Context, c Config) *Server {
	s := &Server{Config: c}
	s.listen(ctx)
	return s
}

// Listening tells whether the address is served. It may be called at any time, by
// anybody.
func (s *Server) Listening() bool { return s.up.Load() }

// Run serves until ctx is done. When it returns, the listener and all connections
// are closed.
func (s *Server) Run(ctx context.Context) {
	wait := firstWait
	for {
		if s.server != nil {
			select {
			case <-ctx.Done():
				s.close()
				return
			case <-s.server.Done():
			}
			s.close()
			s.fail(errLost)
			wait = firstWait
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, lastWait)
		s.listen(ctx)
	}
}

var errLost = errors.New("the listener broke")

func (s *Server) listen(ctx context.Context) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address)
	if err != nil {
		s.fail(err)
		return
	}
	s.server = httpd.ServeLimited(ln, s.Handler, s.Log, limits) //nolint:contextcheck // it outlives ctx, which is for listening; Close ends it
	s.up.Store(true)
	s.Log.Info().Str("address", ln.Addr().String()).Int("failedAttempts", s.failures).Msg("health is served")
	s.failure, s.failures = "", 0
}

// fail tells a failure once, and again when it is another, or for the 2nd, 4th, 8th
// ... time.
func (s *Server) fail(err error) {
	s.failures++
	if err.Error() == s.failure && s.failures&(s.failures-1) != 0 {
		return
	}
	s.failure = err.Error()
	s.Log.Error().Err(err).Str("reason", s.Reason).Str("address", s.Address).Int("attempt", s.failures).
		Msg("health is not served: retrying until the address is free; " + s.Advice)
}

func (s *Server) close() {
	s.up.Store(false)
	if err := s.server.Close(); err != nil {
		s.Log.Debug().Err(err).Msg("health's listener")
	}
	s.server = nil
}
