package demo

import (
	"context"
	"io"

	"github.com/rs/zerolog"
)

// Parts are the parts of a started demo that a test may break.
type Parts struct {
	StopCamera  func(name string) // its port refuses connections then
	StopHub     func()
	ChangePorts func() // the gateway asks for local ports that the module's twin lacks
}

// WatchBroken starts a demo, lets sabotage break it, and watches the cameras.
func WatchBroken(ctx context.Context, sabotage func(Parts)) ([]Watched, error) {
	events := newEventLog()
	d := &demo{out: newPrinter(io.Discard, func() {}), cameras: newCameras(), logs: io.Discard, log: zerolog.Nop(), observe: events.record}
	defer d.close()
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	sabotage(Parts{
		StopCamera: func(name string) {
			for _, c := range d.cameras {
				if c.name == name {
					c.simulator.Close()
				}
			}
		},
		StopHub: func() { _ = d.hub.Close() },
		ChangePorts: func() {
			for _, c := range d.cameras {
				c.localPort += 10000
			}
		},
	})
	d.publish(ctx)
	watched := d.once(ctx, events)
	return watched, failure(watched)
}
