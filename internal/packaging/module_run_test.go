package packaging_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
	edgemodule "rtsptunnel/internal/module" // module is module.json here
	"rtsptunnel/internal/testkit/logtest"
)

// patience limits waits for what takes milliseconds or a few seconds, so that a hang ends.
const patience = 60 * time.Second

// runModule runs the module with this environment until stop is called or the test ends.
func runModule(t *testing.T, env map[string]string) (log *logtest.Record, stop func()) {
	t.Helper()
	setEnvironment(t, env)
	log = logtest.New()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- edgemodule.Run(ctx, log, log) }()
	stop = sync.OnceFunc(func() {
		cancel()
		limit, release := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer release()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		case <-limit.Done():
			t.Error("the module does not end")
		}
	})
	t.Cleanup(stop)
	return log, stop
}

// versionOf returns the version of desired properties.
func versionOf(t *testing.T, desired json.RawMessage) int64 {
	t.Helper()
	var v struct {
		Version int64 `json:"$version"`
	}
	asJSON(t, desired, &v)
	return v.Version
}

// reported is the part of the module's reported properties that these tests read.
type reported struct {
	State        string                     `json:"state"`
	Reasons      []string                   `json:"reasons"`
	Config       map[string]json.RawMessage `json:"config"`
	CameraStatus map[string]any             `json:"cameraStatus"`
}

// reportedOf waits until the module reports that a version of its desired properties is in
// force.
func reportedOf(t *testing.T, hub *hubclient.Client, id hubclient.Identity, version int64) reported {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		tw, err := hub.Twin(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		var r reported
		asJSON(t, tw.Properties.Reported, &r)
		if string(r.Config["applied"]) == fmt.Sprint(version) {
			return r
		}
		select {
		case <-ctx.Done():
			t.Fatalf("version %d is not in force: %s", version, tw.Properties.Reported)
		case <-tick.C:
		}
	}
}
