// Package diagnose walks the hops between the gateway and a camera's pictures, one after
// the other, and says where the way breaks and what to do there.
//
// The hops of a camera behind a module are asked in the order in which a tunnel needs
// them: hub, module, camera, gateway (the module's WebSocket to it), rtsp, media. A direct
// source has camera, rtsp and media. A diagnosis opens a tunnel and an RTSP session of its
// own, beside those of a running stream, and closes them.
//
// Code belongs here if it asks a hop or gives advice about one. The package opens tunnels
// and RTSP sessions through functions.
package diagnose

import (
	"context"
	"errors"
	"math"
	"net"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/hub/hubclient"
)

// Target says which camera to diagnose, and how it is reached.
type Target struct {
	Camera string // its name, for the result
	// Hub and Module are those of a camera behind a module. Hub is nil for a direct source.
	Hub    *hubclient.Client
	Module hubclient.Identity
	// Dial connects to the camera's RTSP port: opener.Open, or a dial of a direct source.
	// A connection with the method Arrived() time.Time tells when the module dialed.
	Dial func(ctx context.Context) (net.Conn, error)
	// Play opens an RTSP session on a connection of Dial, and delivers the units: it is
	// source.Open. It closes conn if it fails.
	Play func(ctx context.Context, conn net.Conn, deliver func(*media.Unit)) (Session, error)
}

// Session is an RTSP session; a *source.Session is one.
type Session interface {
	Epoch() *media.Epoch
	Wait() error
	Close()
}

// Step is what one hop answered.
type Step struct {
	Hop failure.Hop `json:"hop"`
	OK  bool        `json:"ok"`
	// Millis is how long the hop took. The camera's time of a tunnel includes the way of
	// the request through hub and module.
	Millis  float64     `json:"ms"`
	Reason  reason.Code `json:"reason,omitempty"` // empty if OK
	Message string      `json:"message"`
	Advice  string      `json:"advice,omitempty"` // what to do; may be set if OK, too
}

// Result is a diagnosis. Its last step is the broken one, or media.
type Result struct {
	Camera string `json:"camera"`
	OK     bool   `json:"ok"`
	Steps  []Step `json:"steps"`
}

// The times of the steps that have no bound of their own.
const (
	connectTimeout = 2 * time.Second  // for a module that is just connecting
	methodTimeout  = 10 * time.Second // for a module to answer a direct method; the hub waits no shorter than 5 s
	openingTimeout = 50 * time.Second // for a tunnel; the hub waits 40 s for the module
	playTimeout    = 30 * time.Second // for DESCRIBE, SETUP and PLAY
	mediaTimeout   = 15 * time.Second // for the first key frame; a silent session ends before
)

// Run asks the hops until one fails or the first key frame has arrived. ctx bounds the
// whole. Run returns after everything that it opened is closed.
func Run(ctx context.Context, t Target) Result {
	d := &diagnosis{Target: t, result: Result{Camera: t.Camera}}
	d.result.OK = d.run(ctx)
	return d.result
}

type diagnosis struct {
	Target
	result  Result
	modelID string    // in the module's twin
	begun   time.Time // of the current step
}

// run returns whether all steps succeeded.
func (d *diagnosis) run(ctx context.Context) bool {
	if d.Hub != nil && (!d.askHub(ctx) || !d.askModule(ctx)) {
		return false
	}
	conn, ok := d.dial(ctx)
	return ok && d.play(ctx, conn)
}

// begin starts the clock of a step.
func (d *diagnosis) begin() { d.begun = time.Now() }

// passed records a hop that works.
func (d *diagnosis) passed(hop failure.Hop, message, advice string) {
	d.add(Step{Hop: hop, OK: true, Message: message, Advice: advice})
}

// failed records the broken hop, which is the failure's. It returns false.
func (d *diagnosis) failed(ctx context.Context, hop failure.Hop, err error) bool {
	f, ok := errors.AsType[*failure.Failure](err)
	if !ok && ctx.Err() != nil {
		f = failure.New(hop, reason.OpeningTimeout, err)
	} else if !ok {
		f = failure.Of(err)
	}
	d.add(Step{Hop: f.Hop, Reason: f.Reason, Message: message(f), Advice: Advice(f)})
	return false
}

func (d *diagnosis) add(s Step) {
	took := time.Since(d.begun)
	s.Millis = math.Round(float64(took)/float64(time.Millisecond)*10) / 10
	d.result.Steps = append(d.result.Steps, s)
	d.begin()
}

func message(f *failure.Failure) string {
	if f.Message != "" {
		return f.Message
	}
	return f.Reason.Text()
}
