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
//   - A ServerStream sends each packet to all of its readers. Each session has
//     a ServerStream of its own, so that each begins with a key frame.
//   - The server drops a packet that is written before the session is active,
//     and the session becomes active between OnPlay and OnResponse. So playing
//     starts in OnResponse. From then on the server queues packets until it has
//     sent the response.
//   - OnSessionClose is the last call for a session, and comes once.
type handler struct {
	options  Options
	server   *gortsplib.Server
	schedule schedule

	mu       sync.Mutex // guards the rest
	conns    map[*gortsplib.ServerConn]struct{}
	sessions map[*gortsplib.ServerSession]*session
}

// The optional interfaces of gortsplib that handler implements.
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

// newHandler returns the handler of a camera whose clock starts at start. The
// caller sets its server before the first request.
func newHandler(o Options, c clip, s *sound, start time.Time) *handler {
	parameters := &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	if !o.BareDescription {
		parameters.SPS, parameters.PPS = c.parameter(h264.NALUTypeSPS), c.parameter(h264.NALUTypePPS)
	}
	video := &description.Media{
		Type:    description.MediaTypeVideo,
		Control: "trackID=0", // the server's name for its first track
		Formats: []format.Format{parameters},
	}
	return &handler{
		options:  o,
		schedule: schedule{clip: c, start: start, video: video, sound: s, change: o.Change},
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

// OnSetup implements gortsplib.ServerHandlerOnSetup. For a session that is
// already set up, it must return the same stream again.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (
	*base.Response, *gortsplib.ServerStream, error,
) {
	if res, err := h.refuse(ctx.Conn, ctx.Request, ctx.Path); res != nil {
		return res, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.sessions[ctx.Session]
	if s == nil && h.options.MaxSessions > 0 && len(h.sessions) >= h.options.MaxSessions {
		return &base.Response{StatusCode: base.StatusNotEnoughBandwidth}, nil, nil
	}
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

// OnPlay implements gortsplib.ServerHandlerOnPlay. A second PLAY has no effect.
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
		s.play(h.schedule, ss.Close)
	}
}

// OnStreamWriteError implements gortsplib.ServerHandlerOnStreamWriteError. The
// server calls it when the queue of a slow client is full. The client would miss a
// packet, so the session ends.
func (h *handler) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	ctx.Session.Close()
}

// OnSessionClose implements gortsplib.ServerHandlerOnSessionClose.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	s := h.sessions[ctx.Session]
	delete(h.sessions, ctx.Session)
	h.mu.Unlock()
	if s != nil { // nil if every SETUP was refused
		s.close()
	}
}

// refuse returns the response to a request with wrong credentials or a wrong
// path, or nil if the request is allowed.
func (h *handler) refuse(conn *gortsplib.ServerConn, req *base.Request, path string) (*base.Response, error) {
	o := h.options
	if o.User != "" && !conn.VerifyCredentials(req, o.User, o.Password) {
		// For this error the server adds the challenge to the response.
		return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	if path != "/"+o.Path {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	return nil, nil
}

func (h *handler) description() *description.Session {
	medias := []*description.Media{h.schedule.video}
	if h.schedule.sound != nil {
		medias = append(medias, h.schedule.sound.media)
	}
	return &description.Session{Title: h.options.Name, Medias: medias}
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
