package broker

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// This file takes connections and runs each to its end.

const (
	// acceptPause is how long to wait when the process has no room for another
	// connection.
	acceptPause = 100 * time.Millisecond

	listenerID = "mqtt"
)

// Serve accepts clients from ln until Close, or until ln fails. It closes ln.
// It returns ErrClosed after Close. TLS, if any, is ln's business;
// logins by certificate need one that asks for certificates and does not judge
// them (tls.RequestClientCert).
//
// mochi-mqtt's own listeners and its event loop stay unused: it does not wait
// for the loop, and would wait for ever for a client that connects and says
// nothing.
func (b *Broker) Serve(ln net.Listener) error {
	defer ln.Close()
	if !b.addListener(ln) {
		return ErrClosed
	}
	defer b.removeListener(ln)
	for {
		conn, err := ln.Accept()
		if isShortage(err) {
			b.log.Warn().Err(err).Msg("no room for another client, trying again")
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

// ServeConn serves one client that came another way than through a listener,
// such as by WebSocket, until its end, and closes conn. It returns nil, or
// ErrClosed after Close.
//
// A conn on top of another has a method NetConn that returns the one below:
// to cut a client the broker closes the lowest, which no client can hold up.
func (b *Broker) ServeConn(conn net.Conn) error {
	if !b.addConn(conn) {
		abort(conn)
		return ErrClosed
	}
	b.serveConn(conn)
	return nil
}

// isShortage reports whether a connection could not be accepted because there
// are too many, which passes.
func isShortage(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// pause returns true after d, or false when the broker is closed.
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

// serveConn runs one connection to its end.
func (b *Broker) serveConn(conn net.Conn) {
	defer b.removeConn(conn)
	// mochi-mqtt sets deadlines of its own from the first packet on.
	if err := conn.SetDeadline(time.Now().Add(b.loginWithin)); err != nil {
		b.log.Debug().Err(err).Msg("connection lost before login")
		return
	}
	err := b.server.EstablishConnection(listenerID, conn)
	if errors.Is(err, packets.ErrBadUsernameOrPassword) {
		return // the refusal is logged where its reason is known
	}
	b.log.Debug().Err(err).Str(fieldRemote, conn.RemoteAddr().String()).Msg("connection ended")
}
