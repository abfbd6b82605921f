package broker

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// This file accepts connections and serves each one until it ends.

const (
	// acceptPause is the wait after the process has run out of file descriptors.
	acceptPause = 100 * time.Millisecond

	listenerID = "mqtt"
)

// Serve accepts clients from ln until Close, or until ln fails. It closes ln. It returns
// ErrClosed after Close. ln handles TLS, if any. Logins by certificate need a listener
// that requests certificates without verifying them (tls.RequestClientCert).
//
// Serve does not use the listeners and the event loop of mochi-mqtt. mochi-mqtt does not
// wait for the end of the loop, and waits forever for a client that sends nothing.
func (b *Broker) Serve(ln net.Listener) error {
	defer ln.Close()
	if !b.addListener(ln) {
		return ErrClosed
	}
	defer b.removeListener(ln)
	for {
		conn, err := ln.Accept()
		if tooManyFiles(err) {
			b.log.Warn().Err(err).Msg(messageTooManyFiles)
			if !b.pause(acceptPause) {
				return ErrClosed
			}
			continue
		}
		if err != nil {
			return b.acceptError(err)
		}
		if !b.addConn(conn) {
			abort(conn)
			return ErrClosed
		}
		go b.serveConn(conn)
	}
}

// ServeConn serves one client whose connection does not come from a listener, for example
// from a WebSocket. It returns at the end of the connection and closes conn. It returns
// nil, or ErrClosed after Close.
//
// A conn that wraps another one has a method NetConn that returns it. To cut a client,
// the broker closes the innermost connection, because that never blocks.
func (b *Broker) ServeConn(conn net.Conn) error {
	if !b.addConn(conn) {
		abort(conn)
		return ErrClosed
	}
	b.serveConn(conn)
	return nil
}

// tooManyFiles reports whether an accept failed because too many files are open. That is
// a temporary state.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// pause waits for d and returns true, or returns false when the broker is closed.
func (b *Broker) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-b.done:
		return false
	case <-timer.C:
		return true
	}
}

func (b *Broker) acceptError(err error) error {
	select {
	case <-b.done:
		return ErrClosed
	default:
		return fmt.Errorf("accept MQTT client: %w", err)
	}
}

// serveConn serves one connection until it ends.
func (b *Broker) serveConn(conn net.Conn) {
	defer b.removeConn(conn)
	// mochi-mqtt sets its own deadlines, starting with the first packet.
	if err := conn.SetDeadline(time.Now().Add(b.loginTimeout)); err != nil {
		b.log.Debug().Err(err).Msg("connection lost before login")
		return
	}
	err := b.server.EstablishConnection(listenerID, conn)
	if errors.Is(err, packets.ErrBadUsernameOrPassword) {
		return // login has logged the refusal
	}
	b.log.Debug().Err(err).Str(fieldRemote, conn.RemoteAddr().String()).Msg(messageConnectionEnded)
}
