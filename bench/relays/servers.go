package relays

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"rtsptunnel/bench/cameras"
	"rtsptunnel/bench/fanout"
	"rtsptunnel/bench/players"
)

// This file has what serves the video of cameras to players, as a relay serves tunnels: the
// gateway, and gortsplib's own fan-out.

// The names of the servers.
const (
	Gateway   = "gateway"
	GORTSPLib = "gortsplib"
)

// Server is a running server of video.
type Server struct {
	process *process
	child   *child // whose process it is; nil if it is not a helper
	address string
	login   players.Login
	clean   func() // may be nil
}

// Cameras starts a process of synthetic cameras and returns its address; end ends it.
func (l *Lab) Cameras() (address string, end func(), err error) {
	c, err := l.startChild(cameras.Command)
	if err != nil {
		return "", nil, err
	}
	if address, err = c.line(); err != nil {
		c.close()
		return "", nil, err
	}
	return address, c.close, nil
}

// Serve starts the server with that name, with the cameras of sources. gortsplib's serves the
// first one at every path. The caller closes the result.
func (l *Lab) Serve(ctx context.Context, name string, sources Sources) (*Server, error) {
	if name == Gateway {
		return l.startGateway(ctx, sources)
	}
	c, err := l.startChild(fanout.Command, sources.Direct[0].URL)
	if err != nil {
		return nil, err
	}
	address, err := c.line()
	if err != nil {
		c.close()
		return nil, err
	}
	return &Server{process: c.process, child: c, address: address}, nil
}

// CPU returns the processor time that the server's process has used.
func (s *Server) CPU() (time.Duration, error) { return cpuTime(s.process.id()) }

// RSS returns the resident memory of the server's process in bytes.
func (s *Server) RSS() (int64, error) {
	rss, _, err := memory(s.process.id())
	return rss, err
}

// Play starts one player in this process.
func (s *Server) Play(ctx context.Context, path string) (*players.Player, error) {
	p, err := players.Play(ctx, s.address, path, s.login)
	if err != nil {
		return nil, s.explain(err)
	}
	return p, nil
}

// explain adds the newest output of the process to err.
func (s *Server) explain(err error) error {
	if tail := s.process.tail(); tail != "" {
		return fmt.Errorf("%w; the server's last lines:\n%s", err, tail)
	}
	return err
}

// Close kills the process.
func (s *Server) Close() {
	if s.child != nil {
		s.child.close()
	}
	s.process.kill()
	if s.clean != nil {
		s.clean()
	}
}

// Crowd is a process of players of one server.
type Crowd struct{ child *child }

// Crowd starts a player for each path and waits until each has a picture, within a time.
// opening players start at once. The caller closes the result.
func (l *Lab) Crowd(s *Server, paths []string, opening int, within time.Duration) (*Crowd, error) {
	c, err := l.startChild(players.Command)
	if err != nil {
		return nil, err
	}
	plan, err := json.Marshal(players.Plan{Address: s.address, Login: s.login, Paths: paths, Opening: opening, Within: int(within.Seconds())})
	if err == nil {
		err = c.command(string(plan))
	}
	var started players.Started
	if err == nil {
		err = c.answer(&started)
	}
	if err == nil && started.Playing < len(paths) {
		err = s.explain(fmt.Errorf("%d of %d players have a picture: %s", started.Playing, len(paths), strings.TrimSpace(started.Error)))
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return &Crowd{c}, nil
}

// Begin begins to count.
func (c *Crowd) Begin() error { return c.child.command("begin") }

// End ends the counting.
func (c *Crowd) End() (players.Counted, error) {
	var counted players.Counted
	if err := c.child.command("end"); err != nil {
		return counted, err
	}
	err := c.child.answer(&counted)
	return counted, err
}

// Close ends the process.
func (c *Crowd) Close() { c.child.close() }
