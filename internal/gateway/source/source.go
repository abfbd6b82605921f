// Package source pulls one camera over one RTSP session (RFC 2326): it logs in, plays all
// tracks that the gateway can pass on, and makes access units of the RTP packets.
//
// Code belongs here if it knows RTSP or RTP as a camera sends it. The package sees a dial
// function: it knows neither hubs nor tunnels, and neither readers nor retries. It decides
// what is one picture, and drops what is not whole.
//
// The rules are:
//   - gortsplib runs the session and reads the connection. Its reading goroutine calls
//     deliver, so deliver must not block.
//   - No input of the camera may panic or hold unbounded memory. gortsplib bounds headers
//     (255 of 2.5 KB) and bodies (128 KB); this package bounds access units and tracks.
//   - No error contains the login: errors of the library, which quote URLs and answers, are
//     cleaned first.
package source

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Options says which camera to pull, and how to reach it.
type Options struct {
	// Dial connects to the camera's RTSP port. Its error is returned as it is.
	Dial func(ctx context.Context) (net.Conn, error)
	// Direct says that Dial connects to the camera itself, and not through a tunnel: a
	// broken connection is CAM_LOST then, and TUNNEL_LOST otherwise.
	Direct bool
	// URL is the stream: rtsp://host:port/path, without a login.
	URL string
	// Username and Password answer the camera's challenge: Digest with SHA-256 or MD5, or
	// Basic.
	Username, Password string
	Log                zerolog.Logger

	Answer  time.Duration // for one RTSP answer; 10 s if zero
	Silence time.Duration // without media until the session ends; 10 s if zero
}

func (o Options) withDefaults() Options {
	if o.Answer == 0 {
		o.Answer = 10 * time.Second
	}
	if o.Silence == 0 {
		o.Silence = 10 * time.Second
	}
	return o
}

// Open dials the camera, logs in, and plays all supported tracks. ctx bounds the opening
// alone. Before Open returns, deliver may already be called: from one goroutine, with the
// units in order, beginning with a key frame of the main track. deliver must not block, and
// must not call the session.
//
// An error of Dial is returned as it is. Every other error is a *failure.Failure: the cause
// of a canceled ctx if that is one, else one that wraps it. The caller closes the session.
func Open(ctx context.Context, o Options, deliver func(*media.Unit)) (*Session, error) {
	o = o.withDefaults()
	u, err := o.target()
	if err != nil {
		return nil, failure.New(failure.RTSP, reason.RTSPProtocol, err)
	}
	conn, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	s := newSession(o, conn, deliver)
	// The close interrupts the client in every read and write.
	stop := context.AfterFunc(ctx, func() { s.conn.end() })
	if err = s.open(u); err != nil {
		err = s.failed(err)
	}
	if !stop() {
		err = canceled(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// target returns the URL with the login, as the library expects it.
func (o Options) target() (*base.URL, error) {
	u, err := base.ParseURL(o.URL)
	if err != nil || u.Scheme != "rtsp" || u.Host == "" || u.User != nil {
		// The parser's error quotes the URL.
		return nil, errors.New("parse url: not like rtsp://host:port/path")
	}
	if o.Username != "" {
		u.User = url.UserPassword(o.Username, o.Password)
	}
	return u, nil
}

// canceled returns the error of an opening whose context ended.
func canceled(ctx context.Context) error {
	cause := context.Cause(ctx)
	if f, ok := errors.AsType[*failure.Failure](cause); ok {
		return f
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return failure.New(failure.RTSP, reason.OpeningTimeout, cause)
	}
	return &failure.Failure{Hop: failure.Gateway, Reason: reason.StreamClosed, Message: "the opening was canceled", Err: cause}
}
