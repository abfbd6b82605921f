// Package rtspws serves live video as RTSP over a WebSocket, which Video Analyzer's player
// speaks: RTSP 1.0 with interleaved RTP in binary messages, subprotocol "binary". A message
// may hold a part of a request or an answer, or several.
//
// The connection has one camera's stream, whatever the URLs of its requests are, and needs no
// login by RTSP. It begins with the pictures that the stream keeps from its newest key frame
// on; with ?start=key it begins with the next key frame. A failed request has the header
// X-Reason, as over TCP. The close code is 1008 if access ended the viewer, 1013 for a limit,
// 1001 for the gateway's shutdown, 1011 for other failures; the text is the reason.
//
// Code belongs here if it is about the WebSocket. RTSP, media and limits are rtspout's.
package rtspws

import (
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/problem"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/viewer"
)

const (
	output      = "rtsp-ws" // in the list of viewers
	subprotocol = "binary"

	maxMessage    = 128 << 10        // of a player, in bytes: more than any request; rtspout has narrower bounds
	pingEvery     = 20 * time.Second // also what keeps a proxy from an idle timeout
	silence       = 40 * time.Second // without a pong or a message: the player is gone
	pongWithin    = time.Second
	closeWithin   = time.Second
	upgradeWithin = 10 * time.Second

	// Media do not fit, so gorilla/websocket writes them from where they are, with writev: all
	// viewers share one buffer per picture.
	writeBuffer = 512
	readBuffer  = 4 << 10
)

// Options are what New needs. All of them are required.
type Options struct {
	RTSP    *rtspout.Server
	Viewers *viewer.Set // bounds the connections per address
	// Current returns the principal as it is now, as access.Access does.
	Current func(p access.Principal) (access.Principal, error)
}

// Output is RTSP over WebSockets. It owns no goroutine but those of ServeLive.
type Output struct {
	o        Options
	upgrader websocket.Upgrader
	ping     time.Duration
	silence  time.Duration
}

var _ live.Output = (*Output)(nil)

// New returns the output. Its connections end with the RTSP server.
func New(o Options) *Output {
	return &Output{
		o: o, ping: pingEvery, silence: silence,
		upgrader: websocket.Upgrader{
			HandshakeTimeout: upgradeWithin, ReadBufferSize: readBuffer, WriteBufferSize: writeBuffer,
			Subprotocols: []string{subprotocol},
			CheckOrigin:  func(*http.Request) bool { return true }, // package live has checked it
			Error: func(w http.ResponseWriter, _ *http.Request, _ int, cause error) {
				problem.Write(w, &failure.Failure{
					Hop: failure.Viewer, Reason: reason.ViewerTransport, Err: cause,
					Message: "this output is RTSP over a WebSocket: open it as a WebSocket with the subprotocol " + subprotocol,
				})
			},
		},
	}
}

// ServeLive serves one player until it leaves, or the RTSP server ends it.
func (o *Output) ServeLive(w http.ResponseWriter, r *http.Request, v live.Request) {
	release, err := o.o.Viewers.Reserve("", v.From)
	if err != nil {
		problem.Write(w, failure.Of(err))
		return
	}
	defer release()
	ws, err := o.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the upgrader has answered
	}
	ws.SetPongHandler(func(string) error { return ws.SetReadDeadline(time.Now().Add(o.silence)) })
	c := newConn(wsstream.New(ws, wsstream.Options{MaxMessage: maxMessage, PongTimeout: pongWithin, CloseTimeout: closeWithin}), clientOf(r, v.From))
	closed, err := o.o.RTSP.Join(c, rtspout.Grant{
		Camera: v.Camera, Stream: v.Stream, Output: output, Live: r.URL.Query().Get("start") != "key",
		Principal: rtspout.Principal{Name: v.Principal.Name, Expires: v.Principal.Expires, Value: v.Principal},
		Current:   func() error { return o.current(v) },
	})
	if err != nil {
		return // Join has closed c and said why
	}
	var reading sync.WaitGroup
	reading.Go(func() { c.pump(o.silence) })
	o.keep(c, closed)
	reading.Wait()
}

// current judges a viewer again.
func (o *Output) current(v live.Request) error {
	p, err := o.o.Current(v.Principal)
	if err != nil {
		return err
	}
	return p.Grant(access.Watch, v.Camera)
}

// keep sends pings until the connection is closed.
func (o *Output) keep(c *conn, closed <-chan struct{}) {
	tick := time.NewTicker(o.ping)
	defer tick.Stop()
	for {
		select {
		case <-closed:
			return
		case <-tick.C:
			_ = c.stream.Ping(o.ping / 2) // a dead connection ends by its reads
		}
	}
}
