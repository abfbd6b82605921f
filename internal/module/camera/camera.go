// Package camera knows which cameras exist, by the local port that names them, and
// dials one.
//
// A line belongs here when it concerns the way from this device to a camera. The
// package does not know tunnels, the cloud, nor the twin's JSON: it is handed a
// list.
package camera

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Camera is one configured camera: an RTSP server, and what holds for tunnels to it.
type Camera struct {
	Name      string // as in the twin
	Host      string // name or address
	Port      int    // of its RTSP server, 1 to 65535
	LocalPort int    // by which callers name it, 1 to 65535; unique in a List

	Enabled          bool  // false: no tunnel is opened
	MaxTunnels       int   // at once; no limit of its own if 0
	MaxBitsPerSecond int64 // of its tunnels together; no limit of its own if 0
	ExpectedOffline  bool
}

// Target is how the contract names the camera in an error: its host, and the local
// port that the caller asked for.
func (c Camera) Target() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.LocalPort)) }

// gone is how long a camera's host may say nothing: it has lost its power then, which is
// known within 45 s, as timers go. On Linux that holds while bytes are on their way to it,
// too, also if it lives and takes none of them.
const gone = 40 * time.Second

// keepAlive finds out after gone that an idle camera's host is.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 5}

// Dial connects to the camera's RTSP port; ctx bounds it. The name is resolved anew
// each time, both address families are tried. The error has a reason code. The
// caller closes the connection, whose errors carry reason.CameraLost.
func (c Camera) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port)))
	if err != nil {
		return nil, reason.New(cause(ctx, err), err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok { // Dial of "tcp" gives nothing else
		_ = conn.Close()
		return nil, reason.New(reason.Internal, errors.New("not a TCP connection"))
	}
	giveUp(tcp)
	return &link{tcp}, nil
}

func cause(ctx context.Context, err error) reason.Code {
	late, ok := errors.AsType[net.Error](err)
	if ctx.Err() != nil || ok && late.Timeout() {
		return reason.CameraTimeout
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.CameraDNS
	}
	return reason.CameraRefused
}

// link is a connection to a camera: TCP, with its errors named.
type link struct{ *net.TCPConn }

func (l *link) Read(p []byte) (int, error) {
	n, err := l.TCPConn.Read(p)
	return n, lost(err)
}

func (l *link) Write(p []byte) (int, error) {
	n, err := l.TCPConn.Write(p)
	return n, lost(err)
}

// WriteTo and ReadFrom hide TCPConn's own, which would go past Read and Write.
func (l *link) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{l}) }

// ReadFrom is WriteTo's counterpart.
func (l *link) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{l}, r) }

// ReadError names what a read of the descriptor says.
func (*link) ReadError(err error) error { return lost(err) }

func lost(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return reason.New(reason.CameraLost, err)
}

// List is the cameras in force. Its zero value is empty. It may be used by several
// goroutines.
type List struct {
	mu     sync.RWMutex
	byPort map[int]Camera
}

// Replace puts the enabled ones of these cameras in force. Each local port stands there
// once; that is the caller's to see to, since only it can report the error.
func (l *List) Replace(cameras []Camera) {
	byPort := make(map[int]Camera, len(cameras))
	for _, c := range cameras {
		if c.Enabled {
			byPort[c.LocalPort] = c
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byPort = byPort
}

// Find is the enabled camera with that local port, if there is one.
func (l *List) Find(localPort int) (Camera, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	c, ok := l.byPort[localPort]
	return c, ok
}
