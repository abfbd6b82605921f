package demo

import (
	"context"
	"encoding/json"
	"io"
)

// Parts are the parts of a started demo that a test may break.
type Parts struct {
	StopCamera  func(name string) // its port refuses connections then
	StopHub     func()
	ChangePorts func() // of the module's twin: the gateway does not know it yet
}

// WatchBroken starts a demo, lets sabotage break it, and watches the cameras.
func WatchBroken(ctx context.Context, sabotage func(Parts)) ([]Watched, error) {
	d := newDemo(newCameras(), newPrinter(io.Discard, func() {}), io.Discard)
	d.once = true
	defer d.close()
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	var failed error
	sabotage(Parts{
		StopCamera: func(name string) {
			for _, c := range d.cameras {
				if c.name == name {
					c.simulator.Close()
				}
			}
		},
		StopHub:     func() { _ = d.hub.Close() },
		ChangePorts: func() { failed = d.changePorts(ctx) },
	})
	if failed != nil {
		return nil, failed
	}
	watched := d.watchAll(ctx)
	return watched, failure(watched)
}

// changePorts gives the cameras other local ports, and waits until the module knows them.
func (d *demo) changePorts(ctx context.Context) error {
	for _, c := range d.cameras {
		c.localPort += 10000
	}
	patch, err := json.Marshal(d.desired())
	if err != nil {
		return err
	}
	if _, err := d.client.PatchDesired(ctx, d.identity(), patch); err != nil {
		return err
	}
	_, err = d.awaitModule(ctx)
	return err
}
