package rtsptest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
)

// Pulled is the result of Pull.
type Pulled struct {
	// Frames is the number of video frames: the length of AccessUnits.
	Frames int
	// FirstFrame is the time from the start of the dial until the first key
	// frame was complete; 0 if there was none.
	FirstFrame time.Duration
	// Skipped is the number of frames before the first key frame. They are not
	// in AccessUnits. It is 0 for a Camera of this package.
	Skipped int
	// AccessUnits are the frames in the order of arrival, the first of which is
	// a key frame.
	AccessUnits []AccessUnit
}

// Pull plays the H.264 stream at rawURL over interleaved TCP until it has the
// given number of frames, beginning with a key frame. It keeps all frames in
// memory. The URL has the form rtsp://user:password@host:port/path; user and
// password are optional and answer the camera's challenge.
//
// ctx bounds the whole call. A response that takes 10 s, a stream that pauses for
// 10 s, and a lost or unreadable packet are errors, too. An error begins with the
// step that failed: parse, dial, describe, setup, play or read. It wraps the
// context's cause if ctx ended, and never contains the password. Pull returns
// the frames that came before the error together with it.
//
// When Pull returns, the connection is closed and all goroutines have ended.
func Pull(ctx context.Context, rawURL string, frames int) (Pulled, error) {
	if frames < 1 {
		return Pulled{}, fmt.Errorf("pull %d frames: at least one", frames)
	}
	u, err := base.ParseURL(rawURL)
	if err != nil || u.Scheme != "rtsp" || u.Host == "" {
		// The parser's error quotes the URL with its password.
		return Pulled{}, errors.New("parse url: not like rtsp://user:password@host:port/path")
	}
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "554")
	}

	start := time.Now()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", host)
	if err != nil && ctx.Err() != nil {
		return Pulled{}, fmt.Errorf("dial: %w", context.Cause(ctx))
	}
	if err != nil {
		return Pulled{}, err // begins with "dial tcp"
	}
	return pull(ctx, u, conn, newCollector(start, frames))
}

// pull plays u over conn, and closes it.
func pull(ctx context.Context, u *base.URL, conn net.Conn, c *collector) (Pulled, error) {
	defer conn.Close()
	// The close interrupts the client in every read and write.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	step, err := play(u, conn, c)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // and not the read error after our Close
	}
	if err != nil {
		return c.pulled, fmt.Errorf("%s: %w", step, err)
	}
	return c.pulled, nil
}

// play runs the RTSP dialogue on conn and passes the packets to c until c has
// enough. It returns the last step and its error, after the client has ended and no
// longer calls c.
func play(u *base.URL, conn net.Conn, c *collector) (step string, err error) {
	client := newClient(u, conn, c)
	if err := client.Start(); err != nil {
		return "start", err
	}
	defer client.Close()

	session, _, err := client.Describe(u)
	if err != nil {
		return "describe", err
	}
	var h264 *format.H264
	video := session.FindFormat(&h264)
	if video == nil {
		return "describe", errors.New("camera has no H.264 video")
	}
	if _, err := client.Setup(session.BaseURL, video, 0, 0); err != nil {
		return "setup", err
	}
	if err := c.attach(client, video, h264); err != nil {
		return "setup", err
	}
	if _, err := client.Play(nil); err != nil {
		return "play", err
	}
	return "read", read(client, c)
}

// newClient returns a client that uses conn, which is already open, as its only
// connection.
func newClient(u *base.URL, conn net.Conn, c *collector) *gortsplib.Client {
	tcp := gortsplib.ProtocolTCP
	var dialed bool
	return &gortsplib.Client{
		Scheme:   u.Scheme,
		Host:     u.Host,
		Protocol: &tcp,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if dialed {
				return nil, errors.New("camera redirects, which is not supported")
			}
			dialed = true
			return conn, nil
		},
		OnPacketsLost: func(n uint64) { c.fail(fmt.Errorf("%d packets lost", n)) },
		OnDecodeError: c.fail,
	}
}

// read waits until c is done or the connection ends.
func read(client *gortsplib.Client, c *collector) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer client.Close()

	ended := make(chan error, 1)
	wg.Go(func() { ended <- client.Wait() })
	select {
	case <-c.done:
		return c.err
	case err := <-ended:
		if c.ended() { // c had the last frame before the connection ended
			return c.err
		}
		return err
	}
}

// attach makes client pass its video packets to c.
func (c *collector) attach(client *gortsplib.Client, video *description.Media, h264 *format.H264) error {
	decoder, err := h264.CreateDecoder()
	if err != nil {
		return fmt.Errorf("create decoder: %w", err)
	}
	c.decoder = decoder
	client.OnPacketRTP(video, h264, c.packet)
	return nil
}
