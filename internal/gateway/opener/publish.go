package opener

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/relay"
)

// Event is a state change of one client's tunnel.
type Event struct {
	Camera string
	Client string // its network address
	Phase  Phase
	Took   time.Duration // until it opened or failed; if Closed, how long it was open
	Up     int64         // bytes from the camera; if Closed
	Down   int64         // bytes to the camera; if Closed
	Err    error         // why it failed; if Closed, nil for an end in order
}

// Phase is the state of a tunnel.
type Phase int

// The phases: Opened and then Closed, or Failed.
const (
	Opened Phase = iota
	Closed
	Failed
)

// Publish opens a tunnel to the camera for each client of ln, and relays its bytes in both
// directions. If the tunnel does not open, it closes the client's connection. When ctx is
// done, Publish closes ln and all tunnels, waits for them, and returns nil. It logs and
// retries temporary errors of ln, such as a lack of descriptors. It returns an error if ln
// is closed by another caller.
func (o *Opener) Publish(ctx context.Context, ln net.Listener, c Target) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	stop := context.AfterFunc(ctx, func() {
		end(reason.New(reason.ShuttingDown, nil))
		_ = ln.Close()
	})
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			clients.Go(func() { o.serve(life, conn, c) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			end(err)
			return fmt.Errorf("publish camera %s: %w", c.Name, err)
		default:
			o.log.Warn().Err(err).Str("camera", c.Name).Msg("client not accepted")
			pause(ctx)
		}
	}
}

// pause waits before the next accept after an error.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(acceptPause):
	}
}

const acceptPause = 100 * time.Millisecond

// serve serves one client until its tunnel has closed.
func (o *Opener) serve(ctx context.Context, conn net.Conn, c Target) {
	event := Event{Camera: c.Name, Client: conn.RemoteAddr().String()}
	log := o.log.With().Str("camera", c.Name).Str("client", event.Client).Logger()
	begin := time.Now()
	tunnel, err := o.openTunnel(ctx, c)
	event.Took = time.Since(begin)
	if err != nil {
		log.Warn().Err(err).Msg("tunnel not opened")
		event.Phase, event.Err = Failed, err
		o.observe(event) // before the client sees the end, so that the reason is available then
		_ = conn.Close()
		return
	}
	o.observe(event)

	begin = time.Now()
	r := relay.Run(ctx, client{conn}, tunnel.ws)
	_ = tunnel.Close() // releases the slot
	event.Phase, event.Took, event.Up, event.Down, event.Err = Closed, time.Since(begin), r.BtoA, r.AtoB, r.Err
	o.observe(event)
}

func (o *Opener) observe(e Event) {
	if o.o.Observe != nil {
		o.o.Observe(e)
	}
}

// client is a player's connection, on which a reset is an end in order: a player that
// leaves closes its socket with unread video, and TCP then sends a reset.
type client struct{ net.Conn }

var _ relay.HalfCloser = client{}

func (c client) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return n, err
}

func (c client) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		err = io.ErrClosedPipe
	}
	return n, err
}

// CloseWrite passes the end of the camera's stream on to the player.
func (c client) CloseWrite() error {
	if half, ok := c.Conn.(relay.HalfCloser); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
