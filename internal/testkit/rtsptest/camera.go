package rtsptest

import (
	"fmt"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
)

// writeQueue is the number of RTP packets that the camera queues for a slow
// client after the kernel's buffers are full. It must be a power of two; a
// packet has at most 1472 bytes. The clips have fewer than 32 packets a second,
// so a client that reads nothing meets the write timeout of 10 s first. The
// queue overflows only for a client that is too slow to ever catch up.
const writeQueue = 512

// Options configures a camera. The zero value is a camera "front" on a free
// port of the loopback interface, without credentials.
type Options struct {
	// Name is the clip to play: "front", "yard" or "attic". The default is "front".
	Name string
	// Path is the path of the URL, without the leading slash. The default is the name.
	Path string
	// Address is the address to listen on, as for net.Listen. The default is
	// "127.0.0.1:0".
	Address string
	// User and Password are the credentials. If User is empty, the camera asks for
	// none.
	User, Password string
	// Challenges are the forms of authentication that the camera offers. The default is
	// DigestMD5 alone.
	Challenges []Challenge
	// Sound adds a silent sound track: "PCMU", "PCMA", "AAC" or "Opus".
	Sound string
	// BareDescription leaves SPS and PPS out of the description.
	BareDescription bool
	// MaxSessions is the number of RTSP sessions at once, above which the camera answers
	// SETUP with 453; 0 for any number.
	MaxSessions int
	// Change, if not nil, changes each picture before it is sent.
	Change Change
}

// Challenge is one form of authentication.
type Challenge = auth.VerifyMethod

// The challenges that a camera can offer. ffmpeg cannot choose between DigestMD5 and
// DigestSHA256 (RFC 7616).
const (
	Basic        Challenge = auth.VerifyMethodBasic
	DigestMD5    Challenge = auth.VerifyMethodDigestMD5
	DigestSHA256 Challenge = auth.VerifyMethodDigestSHA256
)

// Camera is a running RTSP server that behaves like a live camera. The current
// frame depends only on the camera's clock and is the same for all clients. The
// RTP timestamps keep rising across the loops of the clip. Every PLAY begins
// with the key frame of the current second, catches up with the clock, and
// continues at 25 frames a second.
//
// The camera never skips a frame or a packet: it disconnects a client that
// falls too far behind. This bounds the memory to about 0.8 MB for each client.
//
// The methods are safe for concurrent use.
type Camera struct {
	path    string
	server  *gortsplib.Server
	handler *handler
}

// Start starts a camera. It accepts connections when Start returns. The caller
// must Close it.
func Start(o Options) (*Camera, error) {
	if o.Name == "" {
		o.Name = "front"
	}
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	if o.Path == "" {
		o.Path = o.Name
	}
	if len(o.Challenges) == 0 {
		o.Challenges = []Challenge{DigestMD5}
	}
	c, err := loadClip(o.Name)
	if err != nil {
		return nil, fmt.Errorf("start camera: %w", err)
	}
	sound, err := newSound(o.Sound)
	if err != nil {
		return nil, fmt.Errorf("start camera: %w", err)
	}

	h := newHandler(o, c, sound, time.Now())
	server := &gortsplib.Server{
		Handler:        h,
		RTSPAddress:    o.Address,
		WriteQueueSize: writeQueue,
		AuthMethods:    o.Challenges,
	}
	h.server = server
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start camera %s on %s: %w", o.Name, o.Address, err)
	}
	return &Camera{path: o.Path, server: server, handler: h}, nil
}

// Addr returns the host and port on which the camera listens.
func (c *Camera) Addr() string { return c.server.NetListener().Addr().String() }

// URL returns the rtsp URL of the stream, without credentials. It names the
// loopback interface if the camera listens on all of them.
func (c *Camera) URL() string {
	host, port, err := net.SplitHostPort(c.Addr())
	if err != nil { // cannot be: a TCP listener has both
		return "rtsp://" + c.Addr() + "/" + c.path
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "rtsp://" + net.JoinHostPort(host, port) + "/" + c.path
}

// Connections returns the number of connected clients.
func (c *Camera) Connections() int { return c.handler.connections() }

// Sessions returns the number of RTSP sessions that are set up, playing or not.
func (c *Camera) Sessions() int { return c.handler.openSessions() }

// Close disconnects all clients and returns when every goroutine of the camera
// has ended. Calls after the first do nothing.
func (c *Camera) Close() {
	// The server's own Close waits for the write timeout while it writes a
	// response to a client that does not read.
	c.handler.disconnect()
	c.server.Close()
}
