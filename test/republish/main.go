// Command republish is an RTSP server whose cameras are programs that publish to it, such as
// ffmpeg, which cannot be an RTSP server itself. A reader gets the publisher's packets
// unchanged.
//
//	republish ADDRESS
//
// Every path is a camera from the ANNOUNCE of its publisher until that one ends, and its
// readers end with it. The server asks for no login. It writes "ready" to standard
// output, then one line for each PLAY and each publisher: the request and the path.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"

	"rtsptunnel/internal/base/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), cli.EndSignals()...)
	defer stop()
	if err := serve(ctx, os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "republish:", err)
		os.Exit(1) //nolint:gocritic // the signals need no cleanup
	}
}

func serve(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument, ADDRESS, and not %d", len(args))
	}
	h := &handler{out: out, cameras: map[string]*camera{}}
	h.server = &gortsplib.Server{Handler: h, RTSPAddress: args[0], WriteQueueSize: 1024}
	if err := h.server.Start(); err != nil {
		return err
	}
	h.say("ready", h.server.NetListener().Addr().String())
	<-ctx.Done()
	h.server.Close()
	return nil
}

// camera is a path with a publisher.
type camera struct {
	publisher *gortsplib.ServerSession
	stream    *gortsplib.ServerStream
}

// handler answers the requests of publishers and readers.
type handler struct {
	server *gortsplib.Server

	mu      sync.Mutex // guards the rest
	out     io.Writer
	cameras map[string]*camera
}

func (h *handler) say(words ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, _ = fmt.Fprintln(h.out, words...)
}

// OnAnnounce makes the path a camera. A second publisher of a path is refused.
func (h *handler) OnAnnounce(ctx *gortsplib.ServerHandlerOnAnnounceCtx) (*base.Response, error) {
	stream := &gortsplib.ServerStream{Server: h.server, Desc: ctx.Description}
	if err := stream.Initialize(); err != nil {
		return &base.Response{StatusCode: base.StatusBadRequest}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cameras[ctx.Path] != nil {
		stream.Close()
		return &base.Response{StatusCode: base.StatusForbidden}, nil
	}
	h.cameras[ctx.Path] = &camera{publisher: ctx.Session, stream: stream}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnRecord begins to hand the publisher's packets on.
func (h *handler) OnRecord(ctx *gortsplib.ServerHandlerOnRecordCtx) (*base.Response, error) {
	stream := h.stream(ctx.Path)
	if stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	ctx.Session.OnPacketRTPAny(func(media *description.Media, _ format.Format, packet *rtp.Packet) {
		_ = stream.WritePacketRTP(media, packet) // a stream that is closed has no readers
	})
	h.say("RECORD", ctx.Path)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnSessionClose ends the camera with its publisher.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	h.mu.Lock()
	var ended *gortsplib.ServerStream
	for path, c := range h.cameras {
		if c.publisher == ctx.Session {
			ended = c.stream
			delete(h.cameras, path)
			_, _ = fmt.Fprintln(h.out, "ENDED", path)
		}
	}
	h.mu.Unlock()
	if ended != nil {
		ended.Close()
	}
}

// OnDescribe answers readers.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return h.answer(ctx.Path)
}

// OnSetup answers publishers, for which the stream must be nil, and readers.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if ctx.Session.State() == gortsplib.ServerSessionStatePreRecord {
		return &base.Response{StatusCode: base.StatusOK}, nil, nil
	}
	return h.answer(ctx.Path)
}

// OnPlay counts readers, for the caller.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	h.say("PLAY", ctx.Path)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

func (h *handler) answer(path string) (*base.Response, *gortsplib.ServerStream, error) {
	stream := h.stream(path)
	if stream == nil {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, stream, nil
}

func (h *handler) stream(path string) *gortsplib.ServerStream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.cameras[path]; c != nil {
		return c.stream
	}
	return nil
}
