// Package ends is both ends of the tunnels that a relay under measurement carries:
// the cameras, plain TCP, and the cloud, which is plain TCP, TLS or WebSocket over
// TLS as the relay wants it. Both are in the measuring process, so that whoever
// measures has the two connections of each tunnel in hand.
//
// A camera's first eight bytes are its number; by them the cloud's connection finds
// its camera, and their arrival is the tunnel's first byte.
//
// A line belongs here when it concerns one of the two ends. The package does not
// know which relay is between them, nor what is measured. It takes WebSockets by
// gorilla's library and not by package wsconn, so that a change of the product
// changes nothing of what measures it.
package ends

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/bench/socket"
	"rtsptunnel/internal/base/httpd"
)

// Kind is what the relay speaks to the cloud.
type Kind int

// The kinds.
const (
	TCP Kind = iota
	TLS
	WebSocket
)

const (
	waiting     = 1 << 14          // tunnels that nobody has taken yet
	greetWithin = 20 * time.Second // from a cloud connection's accept to its first bytes
	frame       = 32 << 10         // bytes of the WebSocket's buffers at this end
)

// Tunnel is the two ends of one tunnel. Ends closes both when it is closed.
type Tunnel struct {
	Camera net.Conn
	Cloud  net.Conn
	First  time.Time // when the camera's first byte was in the cloud
}

// Close closes the cloud's end and the camera's.
func (t Tunnel) Close() {
	_ = t.Cloud.Close()
	_ = t.Camera.Close()
}

// Ends are the two listeners and all their connections, from Start to Close.
type Ends struct {
	kind   Kind
	camera net.Listener
	cloud  net.Listener
	server *httpd.Server // for WebSocket
	ready  chan Tunnel
	tasks  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	number  uint64
	cameras map[uint64]net.Conn // those whose tunnel is not there yet
	conns   []io.Closer         // all, to be closed
}

// Start listens for cameras and for the cloud on loopback. cert is the cloud's.
func Start(ctx context.Context, kind Kind, cert tls.Certificate) (*Ends, error) {
	camera, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	cloud, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, camera.Close())
	}
	if kind != TCP {
		cloud = tls.NewListener(cloud, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	}
	e := &Ends{kind: kind, camera: camera, cloud: cloud, ready: make(chan Tunnel, waiting), cameras: map[uint64]net.Conn{}}
	e.tasks.Go(func() { e.accept(camera, func(conn net.Conn) { _ = e.admit(conn) }) })
	if kind == WebSocket {
		e.server = httpd.Serve(cloud, http.HandlerFunc(e.upgrade), zerolog.Nop()) //nolint:contextcheck // it lives until Close
		return e, nil
	}
	e.tasks.Go(func() { e.accept(cloud, e.greet) })
	return e, nil
}

// CameraAddr is where the relay dials cameras.
func (e *Ends) CameraAddr() string { return e.camera.Addr().String() }

// CloudAddr is where the relay dials the cloud.
func (e *Ends) CloudAddr() string { return e.cloud.Addr().String() }

// Ready gives each tunnel whose first byte has come, once.
func (e *Ends) Ready() <-chan Tunnel { return e.ready }

// DialCamera is for a relay that waits for cameras instead of dialling them: it
// makes a camera of a connection to address.
func (e *Ends) DialCamera(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return e.admit(conn)
}

// accept serves each connection in a goroutine of its own until the listener is
// closed.
func (e *Ends) accept(ln net.Listener, serve func(net.Conn)) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		e.tasks.Go(func() { serve(conn) })
	}
}

// admit makes conn a camera: it says its number.
func (e *Ends) admit(conn net.Conn) error {
	if !e.keep(conn) {
		return net.ErrClosed
	}
	e.mu.Lock()
	e.number++
	number := e.number
	e.cameras[number] = conn
	e.mu.Unlock()
	if _, err := conn.Write(binary.BigEndian.AppendUint64(nil, number)); err != nil {
		return fmt.Errorf("camera: %w", err)
	}
	return nil
}

// upgrade is the cloud's end of a WebSocket.
func (e *Ends) upgrade(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: greetWithin, ReadBufferSize: frame, WriteBufferSize: frame,
		WriteBufferPool: &frames, CheckOrigin: func(*http.Request) bool { return true },
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	e.tasks.Go(func() { e.greet(socket.New(ws)) }) // the handler's end frees what net/http holds
}

var frames sync.Pool

// greet reads the number of the camera that the cloud is connected with now. A
// connection that says nothing is closed.
func (e *Ends) greet(conn net.Conn) {
	if !e.keep(conn) {
		return
	}
	var number [8]byte
	_ = conn.SetReadDeadline(time.Now().Add(greetWithin))
	if _, err := io.ReadFull(conn, number[:]); err != nil {
		_ = conn.Close()
		return
	}
	first := time.Now()
	_ = conn.SetReadDeadline(time.Time{})
	e.mu.Lock()
	n := binary.BigEndian.Uint64(number[:])
	camera, known := e.cameras[n]
	delete(e.cameras, n)
	e.mu.Unlock()
	if !known {
		_ = conn.Close()
		return
	}
	select {
	case e.ready <- Tunnel{Camera: camera, Cloud: conn, First: first}:
	default:
		_ = conn.Close()
	}
}

// keep notes c, to be closed by Close; false: it is closed already.
func (e *Ends) keep(c io.Closer) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		_ = c.Close()
		return false
	}
	e.conns = append(e.conns, c)
	return true
}

// Close closes the listeners and every connection, and waits for all goroutines.
func (e *Ends) Close() {
	e.mu.Lock()
	e.closed = true
	conns := e.conns
	e.mu.Unlock()
	_ = e.camera.Close()
	_ = e.cloud.Close()
	for _, c := range conns {
		_ = c.Close()
	}
	if e.server != nil {
		_ = e.server.Close()
	}
	e.tasks.Wait()
}
