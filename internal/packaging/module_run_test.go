package packaging_test

import (
	"context"
	"sync"
	"testing"
	"time"

	edgemodule "rtsptunnel/internal/module" // module is module.json here
	"rtsptunnel/internal/testkit/logtest"
)

// patience is for what takes milliseconds or a few seconds; it only keeps a hang from
// lasting.
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
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%v\n%s", err, log)
			}
		case <-time.After(patience):
			t.Error("the module does not end")
		}
	})
	t.Cleanup(stop)
	return log, stop
}
