// Package camera finds a configured camera by the local port that names it, and dials it.
// It does not know tunnels, the cloud, or the twin's JSON: its caller passes a list. A
// line belongs here when it concerns the connection from this device to a camera.
package camera

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"rtsptunnel/internal/base/shortage"
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
	ExpectedOffline  bool  // no effect yet

	Streams []string // their names, sorted; only the gateway knows what they are for
}

// Target returns the camera's name in the contract's errors: its host and local port.
func (c Camera) Target() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.LocalPort)) }

// deadAfter is how long a camera's host may be silent. Then its connection fails, within
// 45 s with the granularity of the timers. On Linux this also holds while bytes wait to
// be acknowledged, and for a camera that is alive and takes no bytes.
const deadAfter = 40 * time.Second

// keepAlive detects the dead host of an idle camera after deadAfter.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 5}

// Dial connects to the camera's RTSP port. ctx bounds the dial. Each dial resolves the
// name again and tries both address families. The error has a reason code. The caller
// closes the connection; errors of the connection have reason.CameraLost.
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
	setUserTimeout(tcp)
	return &link{tcp}, nil
}

// cause returns the reason of a dial that failed. An own shortage comes first: it is no fault
// of the camera.
func cause(ctx context.Context, err error) reason.Code {
	if shortage.Is(err) {
		return reason.NoResources
	}
	late, ok := errors.AsType[net.Error](err)
	if ctx.Err() != nil || ok && late.Timeout() {
		return reason.CameraTimeout
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.CameraDNS
	}
	return reason.CameraRefused
}

// link is a TCP connection to a camera whose errors have a reason code.
type link struct{ *net.TCPConn }

func (l *link) Read(p []byte) (int, error) {
	n, err := l.TCPConn.Read(p)
	return n, lost(err)
}

func (l *link) Write(p []byte) (int, error) {
	n, err := l.TCPConn.Write(p)
	return n, lost(err)
}

// WriteTo and ReadFrom hide the methods of TCPConn, which bypass Read and Write.
func (l *link) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{l}) }

// ReadFrom is the counterpart of WriteTo.
func (l *link) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{l}, r) }

// ReadError adds the reason code to an error of reading the descriptor directly.
func (*link) ReadError(err error) error { return lost(err) }

func lost(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return reason.New(reason.CameraLost, err)
}

// List holds the cameras in force. Its zero value is empty. It is safe for concurrent use.
type List struct {
	mu     sync.RWMutex
	byPort map[int]Camera
}

// Replace puts the enabled ones of these cameras in force. The caller ensures that each
// local port occurs once, since only the caller can report a duplicate.
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

// Find returns the enabled camera with that local port, if there is one.
func (l *List) Find(localPort int) (Camera, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	c, ok := l.byPort[localPort]
	return c, ok
}
