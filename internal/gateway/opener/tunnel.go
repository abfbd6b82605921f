package opener

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/wire/wsconn"
)

// tunnel is an open tunnel: its errors have a hop and a reason, and its bytes are counted.
type tunnel struct {
	ws *wsconn.Conn
	o  *Opener

	log      zerolog.Logger
	opened   time.Time
	up, down atomic.Uint64                   // bytes from the camera, and to it
	first    atomic.Pointer[failure.Failure] // why it ended; nil while it is open, and after its owner's Close
	closing  atomic.Bool                     // Close has begun
	once     sync.Once
}

var _ net.Conn = (*tunnel)(nil)

func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.ws.Read(p)
	t.up.Add(uint64(n))        //nolint:gosec // not negative
	t.o.bytesUp.Add(uint64(n)) //nolint:gosec // not negative
	return n, t.failed(err)
}

func (t *tunnel) Write(p []byte) (int, error) {
	if first := t.first.Load(); first != nil {
		return 0, first // TCP would still take bytes that no module reads
	}
	n, err := t.ws.Write(p)
	t.down.Add(uint64(n))        //nolint:gosec // not negative
	t.o.bytesDown.Add(uint64(n)) //nolint:gosec // not negative
	return n, t.failed(err)
}

// failed turns an error of the WebSocket into the failure that ended the tunnel. An expired
// deadline and the owner's Close are no such ends, and stay as they are.
func (t *tunnel) failed(err error) error {
	if err == nil {
		return nil
	}
	if first := t.first.Load(); first != nil {
		return first
	}
	if t.closing.Load() || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	t.first.CompareAndSwap(nil, ending(t.ws, err))
	return t.first.Load()
}

// Arrived returns when the module's WebSocket was accepted.
func (t *tunnel) Arrived() time.Time { return t.opened }

// Close closes the tunnel in order (Close 1000) and releases its slot. Later calls return
// nil.
func (t *tunnel) Close() error {
	t.closing.Store(true)
	return t.closeCause(nil)
}

// shut is Close for the opener, with the close code of cause's class.
func (t *tunnel) shut(cause *failure.Failure) {
	if !t.closing.Load() {
		t.first.CompareAndSwap(nil, cause)
	}
	_ = t.closeCause(reason.New(cause.Reason, nil))
}

func (t *tunnel) closeCause(cause error) error {
	var err error
	t.once.Do(func() {
		err = t.ws.CloseCause(cause)
		t.logEnd()
		t.o.mu.Lock()
		defer t.o.mu.Unlock()
		delete(t.o.open, t)
		t.o.checkIdle()
	})
	return err
}

func (t *tunnel) logEnd() {
	line := t.log.Info().Uint64("bytesUp", t.up.Load()).Uint64("bytesDown", t.down.Load()).Dur("durMs", time.Since(t.opened))
	if f := t.first.Load(); f != nil {
		line = line.Str("hop", string(f.Hop)).Str("reason", string(f.Reason)).Err(f.Err)
	}
	line.Msg("tunnel closed")
}

// The rest of net.Conn. An expired deadline ends reading or writing permanently.

func (t *tunnel) LocalAddr() net.Addr                { return t.ws.LocalAddr() }
func (t *tunnel) RemoteAddr() net.Addr               { return t.ws.RemoteAddr() }
func (t *tunnel) SetDeadline(d time.Time) error      { return t.ws.SetDeadline(d) }
func (t *tunnel) SetReadDeadline(d time.Time) error  { return t.ws.SetReadDeadline(d) }
func (t *tunnel) SetWriteDeadline(d time.Time) error { return t.ws.SetWriteDeadline(d) }

// The codes of a Close frame that a module sends (RFC 6455, 7.4.1; "The end of a tunnel" in
// docs/CONTRACT.md).
const (
	closeNormal    = 1000
	closeGoingAway = 1001
	closePolicy    = 1008
	closeFailure   = 1011
	closeNoCode    = 1005 // a Close without a code
)

// ending is the failure of a tunnel that ended with err. The text of the module's Close is
// its reason code.
func ending(ws *wsconn.Conn, err error) *failure.Failure {
	code, text, ok := ws.PeerClose()
	why := reason.Code(text)
	switch {
	case !ok:
		return failure.New(failure.Gateway, reason.TunnelLost, err)
	case code == closeNormal, code == closeNoCode:
		return failure.New(failure.Camera, reason.CameraClosed, io.EOF)
	case code == closeGoingAway:
		return &failure.Failure{
			Hop: failure.Module, Reason: reason.TunnelClosed, Err: err,
			Message: reason.TunnelClosed.Text() + ": " + reason.ShuttingDown.Text(),
		}
	case code == closePolicy && why.Class() == reason.PolicyEnd:
		return failure.New(failure.Module, why, err)
	case code == closePolicy:
		return failure.New(failure.Module, reason.TunnelClosed, err)
	case code == closeFailure && why == reason.CameraLost:
		return failure.New(failure.Camera, why, err)
	}
	return failure.New(failure.Gateway, reason.TunnelLost, err)
}
