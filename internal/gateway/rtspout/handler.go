package rtspout

import (
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/headers"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// handler gets gortsplib's calls. The requests of one connection come one after the other.
type handler struct{ *Server }

var (
	_ gortsplib.ServerHandlerOnRequest          = handler{}
	_ gortsplib.ServerHandlerOnResponse         = handler{}
	_ gortsplib.ServerHandlerOnDescribe         = handler{}
	_ gortsplib.ServerHandlerOnSetup            = handler{}
	_ gortsplib.ServerHandlerOnPlay             = handler{}
	_ gortsplib.ServerHandlerOnPause            = handler{}
	_ gortsplib.ServerHandlerOnGetParameter     = handler{}
	_ gortsplib.ServerHandlerOnSessionOpen      = handler{}
	_ gortsplib.ServerHandlerOnSessionClose     = handler{}
	_ gortsplib.ServerHandlerOnDecodeError      = handler{}
	_ gortsplib.ServerHandlerOnStreamWriteError = handler{}
)

// exchange is a request and what its answer needs. The nonce, the user and the number of
// failed logins are the connection's.
type exchange struct {
	method base.Method
	url    *base.URL
	agent  string // the player's name; the first request's

	nonce        string
	user         user
	failedLogins int
}

// session is what gortsplib's session carries for the package.
type session struct {
	mu     sync.Mutex
	a      *attachment
	tracks []setup // by track
	player *player
	paused bool
}

// setup is what the player and gortsplib have agreed on for a track.
type setup struct {
	url     string // of the SETUP; "" if there was none
	channel byte
}

func connOf(sc *gortsplib.ServerConn) *conn { return sc.NetConn().(*conn) }

func sessionOf(ss *gortsplib.ServerSession) *session {
	if ss == nil {
		return nil
	}
	s, _ := ss.UserData().(*session)
	return s
}

// OnRequest is called before each request.
func (h handler) OnRequest(sc *gortsplib.ServerConn, req *base.Request) {
	c := connOf(sc)
	c.method, c.url = req.Method, req.URL // answers name URLs as the player does
	if c.grant != nil && req.URL != nil {
		req.URL = c.grant.direct(req.URL, req.Method == base.Setup)
	}
	if agent := req.Header["User-Agent"]; len(agent) == 1 && c.agent == "" {
		c.agent = agent[0]
	}
	// gortsplib makes a GStreamer that sets up wait for one second, for its recorder's sake.
	delete(req.Header, "User-Agent")
	if sc.Session() == nil && len(req.Header["Session"]) > 0 {
		// A session is of one connection. gortsplib would let others of the same address use it.
		req.Header["Session"] = base.HeaderValue{"of another connection"}
	}
	if req.Method == base.Teardown && len(req.Header["Session"]) == 1 {
		// No media may follow the answer.
		if s := sessionOf(sc.Session()); s != nil {
			s.stop(errTeardown)
		}
	}
}

var (
	errTeardown = errors.New("the player ended the session")
	errPaused   = errors.New("the player paused")
)

// OnDescribe attaches to the stream, so that its description and its failures are known.
func (h handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c := connOf(ctx.Conn)
	t, p, err := h.admit(c, ctx.Request, false)
	if err != nil {
		return h.refused(c, ctx.Request, t, err), nil, c.tooManyLogins()
	}
	a := c.take(t, p)
	if a != nil { // a second DESCRIBE
		a.close()
	}
	a, err = h.attachWatched(c, t, p)
	if err != nil {
		return h.refused(c, ctx.Request, t, err), nil, nil
	}
	c.hold(a)
	return &base.Response{StatusCode: base.StatusOK}, a.out, nil
}

// attachWatched attaches until the player hangs up.
func (h handler) attachWatched(c *conn, t target, p Principal) (*attachment, error) {
	ctx, stop := c.watch(h.ctx)
	defer stop()
	return h.attach(ctx, t, p)
}

// admit returns what the request asks for, and who asks.
func (h handler) admit(c *conn, req *base.Request, setup bool) (target, Principal, error) {
	t, err := parseTarget(req.URL, setup)
	if err != nil {
		return t, Principal{}, err
	}
	p, err := h.authorize(c, req, t)
	return t, p, err
}

// refused logs a refusal and returns its response.
func (h handler) refused(c *conn, req *base.Request, t target, err error) *base.Response {
	f := failure.Of(err)
	res := answer(f)
	_, presented := h.login(c, req, t)
	presented = presented || c.user.known
	if res.StatusCode == base.StatusUnauthorized {
		h.challenge(c, req, res, t.name)
		if presented {
			c.failedLogins++
		}
	}
	if f.Reason != reason.AccessLogin || presented { // every player's first request has no login
		h.refusal.log(c, t.name, f)
	}
	return res
}

// maxLogins is the number of failed logins that end a connection.
const maxLogins = 3

var errLogins = errors.New("too many failed logins on one connection")

func (c *conn) tooManyLogins() error {
	if c.failedLogins >= maxLogins {
		return errLogins
	}
	return nil
}

// OnSessionOpen is called before a session's first request.
func (h handler) OnSessionOpen(ctx *gortsplib.ServerHandlerOnSessionOpenCtx) {
	ctx.Session.SetUserData(&session{})
}

// OnSetup adds a track to a session. gortsplib has refused transports other than TCP.
func (h handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	c, s := connOf(ctx.Conn), sessionOf(ctx.Session)
	t, p, err := h.admit(c, ctx.Request, true)
	if err == nil && !channelsFit(ctx.Request) {
		err = failure.New(failure.Viewer, reason.ViewerTransport, nil)
	}
	if err != nil {
		return h.refused(c, ctx.Request, t, err), nil, c.tooManyLogins()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a == nil {
		a := c.take(t, p)
		if a == nil {
			if a, err = h.attachWatched(c, t, p); err != nil {
				return h.refused(c, ctx.Request, t, err), nil, nil
			}
		}
		s.a, s.tracks = a, make([]setup, len(a.epoch.Tracks))
	}
	if s.a.target.name != t.name {
		return &base.Response{StatusCode: base.StatusAggregateOperationNotAllowed}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, s.a.out, nil
}

// channelsFit reports whether all channels that the request offers fit into a frame's byte.
func channelsFit(req *base.Request) bool {
	var offers headers.Transports
	if offers.Unmarshal(req.Header["Transport"]) != nil {
		return false
	}
	for _, o := range offers {
		if o.InterleavedIDs != nil && (o.InterleavedIDs[0] < 0 || o.InterleavedIDs[0] > 254) {
			return false
		}
	}
	return true
}

// OnPlay starts the player's goroutine. It writes after the answer is written.
func (h handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	c, s := connOf(ctx.Conn), sessionOf(ctx.Session)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.player != nil { // a PLAY of a player that plays: a seek, or a keep-alive
		return &base.Response{StatusCode: base.StatusOK}, nil
	}
	principal, err := h.authorize(c, ctx.Request, s.a.target)
	if err != nil {
		return h.refused(c, ctx.Request, s.a.target, err), c.tooManyLogins()
	}
	s.a.principal = principal
	p, err := h.play(c, s)
	if err != nil {
		return h.refused(c, ctx.Request, s.a.target, err), nil
	}
	s.player = p
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// play returns a player that runs.
func (h handler) play(c *conn, s *session) (*player, error) {
	a := s.a
	reader, since := a.take(), a.since
	if s.paused {
		since = time.Now()
	}
	if reader == nil {
		ctx, stop := c.watch(h.ctx)
		defer stop()
		var err error
		if reader, err = a.open(ctx); err != nil {
			return nil, err
		}
		if !sameTracks(a.epoch, reader.Epoch()) {
			a.closeReader(reader)
			return nil, failure.New(failure.Media, reason.TracksChanged, nil)
		}
	} else if s.paused || a.target.live {
		reader.Restart(a.target.want())
	}
	s.paused = false
	return h.players.start(newPlayer(h.Server, c, s, reader, since))
}

// OnPause stops the player, and keeps the reader for a while.
func (h handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	sessionOf(ctx.Session).stop(errPaused)
	connOf(ctx.Conn).holds()
	connOf(ctx.Conn).stage.Store(stageSession)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// stop ends the session's player, if it plays, and waits for it.
func (s *session) stop(cause error) {
	s.mu.Lock()
	p := s.player
	s.player = nil
	s.paused = errors.Is(cause, errPaused)
	s.mu.Unlock()
	if p != nil {
		p.end(cause)
		<-p.done
	}
}

// OnSessionClose is called after the last request of a session.
func (h handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	s := sessionOf(ctx.Session)
	s.stop(errHungUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.a != nil {
		s.a.close()
		s.a.out.Close()
	}
}

// OnGetParameter answers a keep-alive outside of a session.
func (h handler) OnGetParameter(*gortsplib.ServerHandlerOnGetParameterCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse is called before each answer is written. It has what gortsplib does not ask
// for.
func (h handler) OnResponse(sc *gortsplib.ServerConn, res *base.Response) {
	c := connOf(sc)
	res.Header["Server"] = base.HeaderValue{realm}
	switch {
	case res.StatusCode == base.StatusNotImplemented && (c.method == base.Announce || c.method == base.Record):
		res.StatusCode = base.StatusMethodNotAllowed
		res.Header["Allow"] = base.HeaderValue{"OPTIONS, DESCRIBE, SETUP, PLAY, PAUSE, TEARDOWN, GET_PARAMETER"}
	case res.StatusCode == base.StatusUnsupportedTransport:
		f := failure.New(failure.Viewer, reason.ViewerTransport, nil)
		explain(res, f)
		h.refusal.log(c, "", f)
	case res.StatusCode != base.StatusOK:
	case c.method == base.Describe:
		res.Header["Content-Base"] = base.HeaderValue{contentBase(c.url)}
	case c.method == base.Setup:
		h.completeSetup(c, sessionOf(sc.Session()), res)
	case c.method == base.Play:
		h.completePlay(c, sessionOf(sc.Session()), res)
	case c.method == base.Teardown:
		c.stage.CompareAndSwap(stageSession, stageKnown) // a stranger has a session, too, after a refused SETUP
		c.stage.CompareAndSwap(stagePlaying, stageKnown)
	}
}

// contentBase returns the URL that tracks are relative to. It has no query: GStreamer would
// put a track's number in the place of the path's last segment. The connection remembers
// what the query said.
func contentBase(u *base.URL) string {
	b := u.CloneWithoutCredentials()
	b.RawQuery, b.ForceQuery = "", false
	return strings.TrimSuffix(b.String(), "/") + "/"
}

// completeSetup keeps the channel that gortsplib has chosen, and names our source.
func (h handler) completeSetup(c *conn, s *session, res *base.Response) {
	var th headers.Transport
	if s == nil || th.Unmarshal(res.Header["Transport"]) != nil || th.InterleavedIDs == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	track := trackOf(c.url)
	if s.a == nil || track >= len(s.tracks) {
		return
	}
	s.tracks[track] = setup{url: c.url.String(), channel: byte(th.InterleavedIDs[0])} //nolint:gosec // a channel is a byte
	th.SSRC = &s.a.ssrc[track]
	res.Header["Transport"] = th.Marshal()
	c.reach(stageSession)
}

// completePlay names the first packets, and lets the player write after the answer.
func (h handler) completePlay(c *conn, s *session, res *base.Response) {
	if s == nil {
		return
	}
	s.mu.Lock()
	p := s.player
	s.mu.Unlock()
	if p == nil {
		return
	}
	if _, ok := res.Header["RTP-Info"]; ok { // not in the answer to a player that plays
		res.Header["RTP-Info"] = p.rtpInfo()
	}
	c.stage.Store(stagePlaying)
	c.afterAnswer = p.release
}

// OnDecodeError ignores what players send beside requests.
func (h handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {}

// OnStreamWriteError is not called: nothing is written to the streams.
func (h handler) OnStreamWriteError(*gortsplib.ServerHandlerOnStreamWriteErrorCtx) {}
