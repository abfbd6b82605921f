package gateway

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

// Event is what happened to one client of Publish.
type Event struct {
	Camera string
	Client string // its address
	Phase  Phase
	Took   time.Duration // to open or to fail; how long it was open, once closed
	Up     int64         // bytes from the camera; once closed
	Down   int64         // bytes to the camera; once closed
	Err    error         // why it failed, or why it did not end in order
}

// Phase is where in its life a tunnel is.
type Phase int

// The phases: Opened and then Closed, or Failed.
const (
	Opened Phase = iota
	Closed
	Failed
)

// Publish gives each client of ln its own tunnel to the camera: what the client
// sends goes to the camera and the other way round. When ctx is done it closes ln
// and all tunnels, and returns nil once they are closed. A client whose tunnel does
// not open is hung up on. What keeps ln from accepting, such as a lack of
// descriptors, is logged and waited out; an error is returned if ln is closed.
func (g *Gateway) Publish(ctx context.Context, ln net.Listener, c Camera) error {
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
			clients.Go(func() { g.serve(life, conn, c) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			end(err)
			return fmt.Errorf("publish camera %s: %w", c.Name, err)
		default:
			g.o.Log.Warn().Err(err).Str("camera", c.Name).Msg("client not accepted")
			pause(ctx)
		}
	}
}

// pause keeps a listener that cannot accept from turning in circles.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(acceptPause):
	}
}

const acceptPause = 100 * time.Millisecond

// serve is one client's whole stay.
func (g *Gateway) serve(ctx context.Context, conn net.Conn, c Camera) {
	event := Event{Camera: c.Name, Client: conn.RemoteAddr().String()}
	log := g.o.Log.With().Str("camera", c.Name).Str("client", event.Client).Logger()
	begin := time.Now()
	tunnel, err := g.Open(ctx, c)
	event.Took = time.Since(begin)
	if err != nil {
		log.Warn().Err(err).Msg("tunnel not opened")
		event.Phase, event.Err = Failed, err
		g.observe(event) // before the client notices: who sees it hung up can look up why
		_ = conn.Close()
		return
	}
	log.Info().Dur("durMs", event.Took).Msg("tunnel opened")
	g.observe(event)

	begin = time.Now()
	r := relay.Run(ctx, client{conn}, tunnel)
	event.Phase, event.Took, event.Up, event.Down, event.Err = Closed, time.Since(begin), r.BtoA, r.AtoB, r.Err
	log.Info().Err(r.Err).Int64("bytesUp", event.Up).Int64("bytesDown", event.Down).
		Dur("durMs", event.Took).Msg("tunnel closed")
	g.observe(event)
}

func (g *Gateway) observe(e Event) {
	if g.o.Observe != nil {
		g.o.Observe(e)
	}
}

// client is a player's connection. A player that leaves closes its socket with
// video unread, which TCP turns into a reset: for a player that is an end in order,
// and the camera's side is to hear nothing worse.
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

// CloseWrite passes the camera's end on to the player.
func (c client) CloseWrite() error {
	if half, ok := c.Conn.(relay.HalfCloser); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
