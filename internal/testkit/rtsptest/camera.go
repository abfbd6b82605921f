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
	// Name is the clip to play and the path of the URL: "front" or "yard".
	// The default is "front".
	Name string
	// Address is the address to listen on, as for net.Listen. The default is
	// "127.0.0.1:0".
	Address string
	// User and Password are the credentials for Digest authentication (RFC
	// 2617). The camera does not offer Basic. If User is empty, the camera
	// asks for no credentials.
	User, Password string
}

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
	name    string
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
	c, err := loadClip(o.Name)
	if err != nil {
		return nil, fmt.Errorf("start camera: %w", err)
	}

	h := newHandler(o, c, time.Now())
	server := &gortsplib.Server{
		Handler:        h,
		RTSPAddress:    o.Address,
		WriteQueueSize: writeQueue,
		// No SHA-256: ffmpeg cannot choose between two challenges.
		AuthMethods: []auth.VerifyMethod{auth.VerifyMethodDigestMD5},
	}
	h.server = server
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start camera %s on %s: %w", o.Name, o.Address, err)
	}
	return &Camera{name: o.Name, server: server, handler: h}, nil
}

// Addr returns the host and port on which the camera listens.
func (c *Camera) Addr() string { return c.server.NetListener().Addr().String() }

// URL returns the rtsp URL of the stream, without credentials. It names the
// loopback interface if the camera listens on all of them.
func (c *Camera) URL() string {
	host, port, err := net.SplitHostPort(c.Addr())
	if err != nil { // cannot be: a TCP listener has both
		return "rtsp://" + c.Addr() + "/" + c.name
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "rtsp://" + net.JoinHostPort(host, port) + "/" + c.name
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
