package rtsptest

import (
	"fmt"
	"net"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/auth"
)

// writeQueue is how many RTP packets wait for a client that reads slowly,
// after the kernel's buffers are full. The clips need fewer than 32 packets a
// second, so that a client that reads nothing at all meets the write timeout
// of 10 s first: the queue overflows only for one that reads too slowly to
// ever catch up. Must be a power of two; a packet is at most 1472 bytes.
const writeQueue = 512

// Options says what camera to start. The zero value is a camera "front" on a
// free port of the loopback interface, without credentials.
type Options struct {
	// Name is the clip to show and the path of the URL: "front" or "yard".
	// "front" if empty.
	Name string
	// Address is where to listen, as net.Listen takes it. "127.0.0.1:0" if
	// empty.
	Address string
	// User and Password are what a client must prove to know by Digest
	// authentication (RFC 2617); Basic is not offered. Anyone may watch if
	// User is empty.
	User, Password string
}

// Camera is a running RTSP server that behaves like a live camera: which frame
// it shows depends on its clock only, whoever is watching, and its RTP
// timestamps rise across the loops of the clip. Every PLAY begins with the key
// frame of the running second, catches up to the present, and goes on at 25
// frames a second.
//
// A client never gets a damaged picture: one that falls too far behind is
// disconnected, nothing is left out. So memory is bounded, by about 0.8 MB for
// each client.
//
// The methods are safe for concurrent use.
type Camera struct {
	name    string
	server  *gortsplib.Server
	handler *handler
}

// Start starts a camera that accepts connections when Start returns. The
// caller must Close it.
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

// Connections returns how many clients are connected now.
func (c *Camera) Connections() int { return c.handler.connections() }

// Sessions returns how many RTSP sessions are set up now, playing or not.
func (c *Camera) Sessions() int { return c.handler.openSessions() }

// Close disconnects all clients and returns when every goroutine of the camera
// has ended. Calls after the first do nothing.
func (c *Camera) Close() {
	// The server would let a response that is being written to a client that
	// does not read run into its write timeout.
	c.handler.disconnect()
	c.server.Close()
}
