// Package mse serves live video to browsers over one WebSocket, for their Media Source
// Extensions: fragments of MP4, one for each picture, shared by all viewers.
//
// The server sends text messages, which are JSON objects with a member type, and binary ones:
//
//	opening    {hop, message, since}: what the opening of the camera works on
//	init       {epoch, mime, video, audio}: the next binary message begins with an init segment,
//	           and has all kept pictures behind it
//	clock      {media, wall, now}: media is the time in seconds of the newest picture sent, wall
//	           when the gateway received it, now the gateway's clock; both in ms since 1970
//	skipped    {groups}: groups of pictures that were left out because the viewer was slow
//	reopening  {failure}: the camera's session ended, and the stream opens again
//	error      {failure}: a close frame follows
//
// A client sends control frames alone. A subprotocol "token.TOKEN" beside the first one is a way
// to log in that no proxy logs; package browser reads it.
//
// Code belongs here if it is about this protocol.
package mse

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/problem"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// Protocol is the subprotocol of the WebSocket.
const Protocol = "rtsptunnel.mse.v1"

// Name is the output's name, in routes and metrics.
const Name = "mse"

const (
	stall     = 10 * time.Second // a viewer that does not read for so long ends
	pingEvery = 20 * time.Second
	silence   = 40 * time.Second // without an answer to a ping
	maxInput  = 4 << 10          // bytes of a client's message; it sends none
	closing   = time.Second      // for the last message and the close frame
)

// Options are what New needs. All are required.
type Options struct {
	// Find returns the stream with a full name of three segments. Errors are failures.
	Find    func(ctx context.Context, name string) (*stream.Stream, error)
	Viewers *viewer.Set
	Log     zerolog.Logger
}

// Output is the output. It is safe for concurrent use.
type Output struct {
	o     Options
	stall time.Duration
}

var _ live.Output = (*Output)(nil)

// New returns the output. It starts no goroutine.
func New(o Options) *Output { return &Output{o, stall} }

var upgrader = websocket.Upgrader{
	Subprotocols:     []string{Protocol},
	ReadBufferSize:   1 << 10,
	WriteBufferSize:  1 << 10,
	CheckOrigin:      func(*http.Request) bool { return true }, // package live has checked it
	HandshakeTimeout: stall,
}

// ServeLive serves one viewer until it leaves, its stream ends, or it is ended.
func (o *Output) ServeLive(w http.ResponseWriter, r *http.Request, v live.Request) {
	began := time.Now()
	if !websocket.IsWebSocketUpgrade(r) {
		problem.Write(w, failure.New(failure.Viewer, reason.RequestUpgrade, nil))
		return
	}
	source, err := o.o.Find(r.Context(), v.Camera+"/"+v.Stream)
	if err != nil {
		problem.Write(w, failure.Of(err))
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context())) // a hijacked request's context does not end with its connection
	defer cancel(nil)
	watcher, err := o.o.Viewers.Add(
		viewer.Info{Camera: v.Camera, Stream: v.Stream, Output: Name, Principal: v.Principal, RemoteAddr: v.From.String()}, cancel,
	)
	if err != nil {
		problem.Write(w, failure.Of(err))
		return
	}
	defer watcher.Close()
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	s := &session{
		source: source, viewer: watcher, sound: v.Principal.Grant(access.Listen, v.Camera) == nil,
		out: newWriter(ws.NetConn(), o.stall), began: began,
	}
	log := o.o.Log.With().Str("viewer", watcher.ID()).Str("camera", v.Camera).Str("stream", v.Stream).Str("output", Name).
		Str("principal", v.Principal.Name).Stringer("remote", v.From).Logger()
	log.Info().Msg("viewer started")
	ended := s.serve(ctx, ws, cancel)
	line := log.Info().Int64("bytes", s.sent).Dur("durMs", time.Since(began))
	if ended != nil {
		line = line.Str("hop", string(ended.Hop)).Str("reason", string(ended.Reason))
	}
	line.Msg("viewer ended")
}

// errLeft is the cause of a viewer that closed its connection.
var errLeft = errors.New("the viewer left")

// serve runs the session, and a goroutine that reads what the client sends. It returns why the
// viewer was ended; nil if it left.
func (s *session) serve(ctx context.Context, ws *websocket.Conn, cancel context.CancelCauseFunc) *failure.Failure {
	limitUnsent(ws.NetConn())
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		s.read(ws)
		cancel(errLeft)
	}()
	defer context.AfterFunc(ctx, s.out.hurry)()
	f := s.run(ctx)
	if f != nil {
		s.out.hurry()
		s.out.last(f)
	}
	if f != nil && f.Reason == reason.ViewerStalled {
		s.viewer.Stalled()
	}
	_ = ws.Close()
	<-reading
	return f
}

// read reads until the connection ends. It answers pings and a close frame.
func (s *session) read(ws *websocket.Conn) {
	ws.SetReadLimit(maxInput)
	_ = ws.SetReadDeadline(time.Now().Add(silence))
	ws.SetPongHandler(func(string) error { return ws.SetReadDeadline(time.Now().Add(silence)) })
	ws.SetPingHandler(func(data string) error { return s.out.frame(websocket.PongMessage, []byte(data)) })
	ws.SetCloseHandler(func(int, string) error { return net.ErrClosed })
	for {
		if _, _, err := ws.NextReader(); err != nil {
			return
		}
	}
}
