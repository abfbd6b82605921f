package demo

import (
	"context"
	"io"

	"github.com/rs/zerolog"
)

// Parts are what a test may break in a demo that has started.
type Parts struct {
	StopCamera  func(name string) // nobody listens on its port any more
	StopHub     func()
	ForgetPorts func() // the module's twin names other local ports
}

// WatchBroken starts a demo, lets sabotage break it, and watches the cameras.
func WatchBroken(ctx context.Context, sabotage func(Parts)) ([]Watched, error) {
	events := newTape()
	d := &demo{out: newPrinter(io.Discard, func() {}), sites: sites(), logs: io.Discard, log: zerolog.Nop(), observe: events.record}
	defer d.close()
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	sabotage(Parts{
		StopCamera: func(name string) {
			for _, s := range d.sites {
				if s.name == name {
					s.camera.Close()
				}
			}
		},
		StopHub: func() { _ = d.hub.Close() },
		ForgetPorts: func() {
			for _, s := range d.sites {
				s.localPort += 10000
			}
		},
	})
	d.publish(ctx)
	watched := d.once(ctx, events)
	return watched, failure(watched)
}
