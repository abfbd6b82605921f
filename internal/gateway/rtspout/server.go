package rtspout

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Server serves players on any number of listeners. It is safe for concurrent use.
type Server struct {
	o       Options
	log     zerolog.Logger
	refusal *refusals
	times   times
	seed    maphash.Seed // of the SSRCs

	rtsp     *gortsplib.Server
	ln       *handover
	start    sync.Once
	startErr error // of start

	ctx    context.Context //nolint:containedctx // the life of the server, which ends the openings of its players
	cancel context.CancelCauseFunc

	mu      sync.Mutex // orders begin and Shutdown
	serving sync.WaitGroup

	conns   connections
	players players
	totals  totals
}

// New returns a server without a listener. The caller ends it with Shutdown.
func New(o Options) (*Server, error) {
	if o.Find == nil || o.Authorize == nil {
		return nil, errors.New("rtsp server: Find and Authorize are required")
	}
	o.Limits = o.Limits.withDefaults()
	if o.Acquire == nil {
		o.Acquire = func(string) (func(), error) { return func() {}, nil }
	}
	if o.Redact == nil {
		o.Redact = func(name string) string { return name }
	}
	if o.Resolve == nil {
		o.Resolve = resolve
	}
	s := &Server{o: o, log: o.Log, times: defaultTimes, seed: maphash.MakeSeed(), ln: newHandover()}
	s.refusal = newRefusals(o.Log, o.Redact)
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.conns.setLimit(o.Limits.Connections)
	s.rtsp = &gortsplib.Server{
		RTSPAddress:              "handover:554", // not used: Listen ignores it
		Listen:                   func(string, string) (net.Listener, error) { return s.ln, nil },
		ReadTimeout:              defaultTimes.request,
		WriteTimeout:             defaultTimes.stall,
		IdleTimeout:              defaultTimes.session,
		WriteQueueSize:           1, // nothing is queued there
		DisableRTCPSenderReports: true,
		Handler:                  handler{s},
	}
	return s, nil
}

// Serve accepts players from ln, which may be a TLS listener, until Shutdown, and closes
// ln. It returns nil after Shutdown, and ln's error if ln fails.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.begin() {
		return nil
	}
	defer s.serving.Done()
	stop := context.AfterFunc(s.ctx, func() { ln.Close() })
	defer stop()

	if err := s.startRTSP(); err != nil {
		return err
	}
	for pause := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case s.ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case err == nil:
			pause = 0
			_ = s.accept(newConn(s, nc)) // it has told the player
		case isTemporary(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Warn().Err(err).Dur(fieldRetry, pause).Msg("accepting a player failed")
			wait(s.ctx, pause)
		default:
			return fmt.Errorf("accept players: %w", err)
		}
	}
}

// begin registers a call of Serve, unless the server shuts down.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.serving.Add(1)
	return true
}

// isTemporary reports errors of one connection, or of the process's descriptors.
func isTemporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// accept hands a connection to gortsplib, or refuses it and returns the failure.
func (s *Server) accept(c *conn) error {
	oldest, ok := s.conns.add(c)
	if oldest != nil {
		oldest.drop()
	}
	if !ok {
		f := failure.New(failure.Viewer, reason.LimitConnections, nil)
		s.refusal.log(c, "", f)
		c.refuse(f)
		return f
	}
	if c.grant != nil {
		c.reach(stageKnown)
	}
	if !s.ln.put(s.ctx, c) {
		_ = c.Close()
		return failure.New(failure.Gateway, reason.ShuttingDown, nil)
	}
	return nil
}

// Shutdown refuses new players, tells those that play that the stream ends (RTCP BYE) and
// closes all connections. It returns when Serve has returned, and no goroutine is left. Players that
// do not take their last bytes delay it until ctx ends.
func (s *Server) Shutdown(ctx context.Context) {
	cause := failure.New(failure.Gateway, reason.ShuttingDown, nil)
	s.mu.Lock()
	s.cancel(cause)
	s.mu.Unlock()
	s.players.endAll(cause)
	select {
	case <-s.players.empty():
	case <-ctx.Done():
	}
	s.conns.closeAll()
	_ = s.ln.Close()
	started := true
	s.start.Do(func() { started = false }) // neither Serve nor Join was called
	if started {
		s.rtsp.Close()
	}
	s.players.wait()
	s.serving.Wait()
}

// Viewers returns the players that play, in no particular order.
func (s *Server) Viewers() []Viewer { return s.players.viewers() }

// Disconnect ends the player with this id. Its log line and its failure have the cause. It
// returns false if there is no such player.
func (s *Server) Disconnect(id string, cause error) bool { return s.players.end(id, cause) }

// SetLimits replaces the limits. Connections that are above a new limit stay.
func (s *Server) SetLimits(l Limits) {
	l = l.withDefaults()
	s.conns.setLimit(l.Connections)
}

// Review calls current for each player that plays, and ends those for which it returns an
// error. A caller that changes tokens or grants calls it.
func (s *Server) Review(current func(p Principal, camera string) error) { s.players.review(current) }

// Count returns the counters of an output: "rtsp", or a grant's.
func (s *Server) Count(output string) Totals {
	t := s.totals.of(output)
	return Totals{Players: s.players.count(output), Bytes: t.bytes.Load(), Skipped: t.skipped.Load(), Stalled: t.stalled.Load()}
}

// Counters returns the counters of all outputs together.
func (s *Server) Counters() Counters {
	return Counters{
		Connections: s.conns.count(),
		Refused:     s.refusal.total.Load(),
	}
}
