package rtspout

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Grant is a login that was judged before the connection speaks RTSP, for one stream of one
// camera. The URLs of the connection's requests name that stream, whatever their path is:
// Video Analyzer's player asks for rtsp://localhost.
type Grant struct {
	Camera    string // full name of two segments
	Stream    string
	Principal Principal
	Output    string // as Viewer has it
	Live      bool   // begin with the pictures that the stream keeps, instead of the next key frame

	// Current, if not nil, judges the principal again at each request: its token may have been
	// removed since. Errors are failures.
	Current func() error
}

// Granted is a connection that learns why the server ends it.
type Granted interface {
	net.Conn
	// CloseWith closes the connection; f is nil if the player itself has ended.
	CloseWith(f *failure.Failure) error
}

// Join serves a connection of a player that has logged in. RemoteAddr of nc is a
// *net.TCPAddr, the client's. closed is closed when the server has closed nc, at the latest
// in Shutdown. After an error, which is a failure, nc is closed.
func (s *Server) Join(nc Granted, g Grant) (closed <-chan struct{}, _ error) {
	if !s.begin() {
		f := failure.New(failure.Gateway, reason.ShuttingDown, nil)
		_ = nc.CloseWith(f)
		return nil, f
	}
	defer s.serving.Done()
	if err := s.startRTSP(); err != nil {
		f := failure.New(failure.Gateway, reason.Internal, err)
		_ = nc.CloseWith(f)
		return nil, f
	}
	c := newConn(s, nc)
	c.grant, c.user = &g, user{known: true, name: g.Principal.Name, camera: g.Camera}
	if err := s.accept(c); err != nil {
		return nil, err
	}
	return c.gone, nil
}

// startRTSP starts gortsplib's server once.
func (s *Server) startRTSP() error {
	s.start.Do(func() {
		if err := s.rtsp.Start(); err != nil {
			s.startErr = fmt.Errorf("start rtsp server: %w", err)
		}
	})
	return s.startErr
}

// name returns the stream's name as Find takes it.
func (g *Grant) name() string { return g.Camera + "/" + g.Stream }

// authorize returns the principal, if it still may watch.
func (g *Grant) authorize() (Principal, error) {
	if g.Current != nil {
		if err := g.Current(); err != nil {
			return Principal{}, err
		}
	}
	return g.Principal, nil
}

// direct returns the URL of the granted stream for the URL of a request. The number of a
// SETUP's track stays.
func (g *Grant) direct(u *base.URL, setup bool) *base.URL {
	to := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/" + g.name()}
	if g.Live {
		to.RawQuery = "start=live"
	}
	if setup {
		to.Path += control + trackText(u)
	}
	return (*base.URL)(to)
}

// trackText returns the track's number in the URL of a SETUP; "0" without one.
func trackText(u *base.URL) string {
	for _, text := range []string{u.RawQuery, u.Path} {
		if i := strings.LastIndex(text, control); i >= 0 {
			return text[i+len(control):]
		}
	}
	return "0"
}

// endedBy records why the connection ends, for CloseWith. Only the first failure counts.
func (c *conn) endedBy(f *failure.Failure) {
	if f != nil {
		c.cause.CompareAndSwap(nil, f)
	}
}

// closeConn closes the connection below.
func (c *conn) closeConn() error {
	nc, ok := c.Conn.(Granted)
	if !ok {
		return c.Conn.Close()
	}
	f := c.cause.Load()
	if f == nil {
		f = failure.Of(context.Cause(c.server.ctx)) // of Shutdown
	}
	return nc.CloseWith(f)
}

// output returns the output's name for the list of viewers.
func (c *conn) output() string {
	if c.grant != nil {
		return c.grant.Output
	}
	return "rtsp"
}
