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

// The backoff between two attempts to listen. It doubles with each attempt.
const (
	firstWait = time.Second
	lastWait  = time.Minute
)

// limits bounds the memory, descriptors and time that local clients can use.
var limits = httpd.Limits{Connections: 32, Within: 2 * time.Second}

// Config configures a Server. All fields but Advice are required.
type Config struct {
	Address string // host:port
	Handler http.Handler
	Log     zerolog.Logger
	Reason  string // the log field "reason" if the listener on Address fails
	Advice  string // appended to that log message: what the operator can do
}

// Server serves one address. It retries while the address is in use, and listens again if
// the listener fails.
type Server struct {
	config Config

	up       atomic.Bool   // the address is served
	server   *httpd.Server // nil if not
	failure  string        // the last logged error; empty while the address is served
	failures int           // in a row
}

// New tries to listen once. If that fails, Run retries. The caller calls Run.
func New(ctx context.Context, c Config) *Server {
	s := &Server{config: c}
	s.listen(ctx)
	return s
}

// Listening tells whether the address is served. It is safe for concurrent use.
func (s *Server) Listening() bool { return s.up.Load() }

// Run serves until ctx is done. It closes the listener and all connections before it
// returns.
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
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Address)
	if err != nil {
		s.fail(err)
		return
	}
	s.server = httpd.ServeLimited(ln, s.config.Handler, s.config.Log, limits) //nolint:contextcheck // it outlives ctx, which is for listening; Close ends it
	s.up.Store(true)
	s.config.Log.Info().Str("address", ln.Addr().String()).Int("failedAttempts", s.failures).Msg("health is served")
	s.failure, s.failures = "", 0
}

// fail logs an error. A repeated error is logged for the 2nd, 4th, 8th ... attempt only.
func (s *Server) fail(err error) {
	s.failures++
	if err.Error() == s.failure && s.failures&(s.failures-1) != 0 {
		return
	}
	s.failure = err.Error()
	s.config.Log.Error().Err(err).Str("reason", s.config.Reason).Str("address", s.config.Address).Int("attempt", s.failures).
		Msg("health is not served: retrying until the address is free; " + s.config.Advice)
}

func (s *Server) close() {
	s.up.Store(false)
	if err := s.server.Close(); err != nil {
		s.config.Log.Debug().Err(err).Msg("health listener closed with an error")
	}
	s.server = nil
}
