// Package ends provides both ends of the tunnels that a relay carries while it is
// measured. Cameras use plain TCP. The cloud uses plain TCP, TLS or WebSocket over TLS, as
// the relay requires. Both ends run in the measuring process, which therefore holds the
// two connections of each tunnel.
//
// The first eight bytes that a camera sends are its number. They match the cloud's
// connection with its camera, and their arrival counts as the tunnel's first byte.
//
// A line belongs here when it concerns one of the two ends. The package does not know
// which relay is between them, nor what is measured. It accepts WebSockets by gorilla's
// library and not by package wsconn, so that a change of the product does not change
// the measurement.
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

// Kind is the protocol between the relay and the cloud.
type Kind int

// The kinds.
const (
	TCP Kind = iota
	TLS
	WebSocket
)

const (
	maxReady    = 1 << 14          // tunnels that wait for a receiver of Ready
	firstWithin = 20 * time.Second // from accepting a cloud connection to its first bytes
	frame       = 32 << 10         // bytes of the WebSocket's buffers at this end
)

// Tunnel holds the two ends of one tunnel. Ends.Close closes both.
type Tunnel struct {
	Camera net.Conn
	Cloud  net.Conn
	First  time.Time // when the camera's first byte reached the cloud
}

// Close closes the cloud's end and the camera's.
func (t Tunnel) Close() {
	_ = t.Cloud.Close()
	_ = t.Camera.Close()
}

// Ends holds the two listeners and all their connections, from Start to Close. It is safe
// for concurrent use.
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
	cameras map[uint64]net.Conn // those without a tunnel so far
	conns   []io.Closer         // all; Close closes them
}

// Start listens on loopback for the relay's connections to cameras and to the cloud. cert
// is the cloud's certificate. The caller closes the result.
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
	e := &Ends{kind: kind, camera: camera, cloud: cloud, ready: make(chan Tunnel, maxReady), cameras: map[uint64]net.Conn{}}
	e.tasks.Go(func() { e.accept(camera, func(conn net.Conn) { _ = e.addCamera(conn) }) })
	if kind == WebSocket {
		e.server = httpd.Serve(cloud, http.HandlerFunc(e.upgrade), zerolog.Nop()) //nolint:contextcheck // it runs until Close
		return e, nil
	}
	e.tasks.Go(func() { e.accept(cloud, e.match) })
	return e, nil
}

// CameraAddr is the address at which the relay dials cameras.
func (e *Ends) CameraAddr() string { return e.camera.Addr().String() }

// CloudAddr is the address at which the relay dials the cloud.
func (e *Ends) CloudAddr() string { return e.cloud.Addr().String() }

// Ready delivers each tunnel once, when its first byte has reached the cloud.
func (e *Ends) Ready() <-chan Tunnel { return e.ready }

// DialCamera dials address and makes the connection a camera. It serves relays that listen
// for cameras instead of dialing them.
func (e *Ends) DialCamera(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return e.addCamera(conn)
}

// accept serves each connection in its own goroutine until the listener is closed.
func (e *Ends) accept(ln net.Listener, serve func(net.Conn)) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		e.tasks.Go(func() { serve(conn) })
	}
}

// addCamera makes conn a camera, which sends its number.
func (e *Ends) addCamera(conn net.Conn) error {
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

// upgrade accepts a WebSocket at the cloud's end.
func (e *Ends) upgrade(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: firstWithin, ReadBufferSize: frame, WriteBufferSize: frame,
		WriteBufferPool: &frames, CheckOrigin: func(*http.Request) bool { return true },
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	e.tasks.Go(func() { e.match(socket.New(ws)) }) // the handler returns, so that net/http frees its buffers
}

var frames sync.Pool

// match reads the camera's number from a cloud connection and delivers the tunnel. It
// closes a connection that sends no number within firstWithin, or an unknown one.
func (e *Ends) match(conn net.Conn) {
	if !e.keep(conn) {
		return
	}
	var number [8]byte
	_ = conn.SetReadDeadline(time.Now().Add(firstWithin))
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

// keep registers c, so that Close closes it. After Close it closes c at once and returns
// false.
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
