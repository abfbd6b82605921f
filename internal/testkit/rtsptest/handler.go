package rtsptest

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// handler answers the requests of the RTSP server. The rules are:
//   - A ServerStream sends each packet to all of its readers, so each session
//     has one of its own: that is how each begins with a key frame.
//   - A packet written before the session is active is dropped, and the
//     session becomes active between OnPlay and OnResponse. So playing starts
//     in OnResponse; the server holds what is written from there on until the
//     response has left.
//   - The server calls OnSessionClose once for each session, last.
type handler struct {
	options Options
	server  *gortsplib.Server
	show    show

	mu       sync.Mutex // guards the rest
	conns    map[*gortsplib.ServerConn]struct{}
	sessions map[*gortsplib.ServerSession]*session
}

// The parts of the server's handler interface that are implemented.
var (
	_ gortsplib.ServerHandlerOnConnOpen         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnConnClose        = (*handler)(nil)
	_ gortsplib.ServerHandlerOnDescribe         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSetup            = (*handler)(nil)
	_ gortsplib.ServerHandlerOnPlay             = (*handler)(nil)
	_ gortsplib.ServerHandlerOnResponse         = (*handler)(nil)
	_ gortsplib.ServerHandlerOnStreamWriteError = (*handler)(nil)
	_ gortsplib.ServerHandlerOnSessionClose     = (*handler)(nil)
)

// newHandler returns the handler of a camera whose clock starts at start. Its
// server is to be set before the first call.
func newHandler(o Options, c clip, start time.Time) *handler {
	video := &description.Media{
		Type:    description.MediaTypeVideo,
		Control: "trackID=0", // how the server numbers its only track
		Formats: []format.Format{&format.H264{
			PayloadTyp:        96,
			SPS:               c.parameter(h264.NALUTypeSPS),
			PPS:               c.parameter(h264.NALUTypePPS),
			PacketizationMode: 1,
		}},
	}
	return &handler{
		options:  o,
		show:     show{clip: c, start: start, video: video},
		conns:    make(map[*gortsplib.ServerConn]struct{}),
		sessions: make(map[*gortsplib.ServerSession]*session),
	}
}

// OnConnOpen implements gortsplib.ServerHandlerOnConnOpen.
func (h *handler) OnConnOpen(ctx *gortsplib.ServerHandlerOnConnOpenCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns[ctx.Conn] = struct{}{}
}

// OnConnClose implements gortsplib.ServerHandlerOnConnClose.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, ctx.Conn)
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	if res, err := h.refuse(ctx.Conn, ctx.Request, ctx.Path); res != nil {
		return res, nil, err
	}
	sdp, err := h.description().Marshal()
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
	}
	return &base.Response{StatusCode: base.StatusOK, Body: sdp}, nil, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup. It may be called again
// for a session that is set up, and must return the same stream then.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	if res, err := h.refuse(ctx.Conn, ctx.Request, ctx.Path); res != nil {
		return res, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[ctx.Session]
	if s == nil {
		stream := &gortsplib.ServerStream{Server: h.server, Desc: h.description()}
		if err := stream.Initialize(); err != nil {
			return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
		}
		s = &session{stream: stream}
		h.sessions[ctx.Session] = s
	}
	return &base.Response{StatusCode: base.StatusOK}, s.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay. A second PLAY changes
// nothing.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[ctx.Session]; !s.playing() {
		s.playFor = ctx.Conn
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse implements gortsplib.ServerHandlerOnResponse.
func (h *handler) OnResponse(conn *gortsplib.ServerConn, res *base.Response) {
	ss := conn.Session()
	if ss == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[ss]
	if s == nil || s.playFor != conn {
		return
	}
	s.playFor = nil
	if res.StatusCode == base.StatusOK {
		s.play(h.show, ss.Close)
	}
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError: the
// queue to a slow client is full, and going on would leave a packet out.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	ctx.Session.Close()
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	s := h.sessions[ctx.Session]
	delete(h.sessions, ctx.Session)
	h.mu.Unlock()
	if s != nil { // nil if no SETUP was accepted
		s.close()
	}
}

// refuse returns nil if the request may go on, otherwise the answer to it.
func (h *handler) refuse(conn *gortsplib.ServerConn, req *base.Request, path string) (*base.Response, error) {
	o := h.options
	if o.User != "" && !conn.VerifyCredentials(req, o.User, o.Password) {
		// The server adds the challenge when it sees this error.
		return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	if path != "/"+o.Name {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	return nil, nil
}

func (h *handler) description() *description.Session {
	return &description.Session{Title: h.options.Name, Medias: []*description.Media{h.show.video}}
}

func (h *handler) connections() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

func (h *handler) openSessions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// disconnect closes the sockets of all clients.
func (h *handler) disconnect() {
	h.mu.Lock()
	conns := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, conn := range conns {
		conn.NetConn().Close()
	}
}
