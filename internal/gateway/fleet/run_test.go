package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/hub/hubclient"
)

// Run reads the hubs at once and about each minute; on demand it reads at most each 5 s.
func TestRun_schedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := fleet.New(fleet.Options{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			f.Run(ctx)
		}()
		sleep := func(d time.Duration) {
			timer := time.NewTimer(d)
			<-timer.C
			synctest.Wait()
		}
		synctest.Wait()
		if n := f.Reads(); n != 1 {
			t.Errorf("%d reads at the begin", n)
		}
		sleep(time.Hour)
		if n := f.Reads(); n < 54 || n > 68 {
			t.Errorf("%d reads in an hour", n)
		}
		before := f.Reads()
		for range 600 {
			f.Want()
			sleep(100 * time.Millisecond)
		}
		if n := f.Reads() - before; n < 10 || n > 13 {
			t.Errorf("%d reads on demand in a minute", n)
		}
		sleep(30 * time.Second)
		before = f.Reads()
		f.Want()
		synctest.Wait()
		if n := f.Reads() - before; n != 1 {
			t.Errorf("%d reads at once after a quiet time", n)
		}
		f.Want()
		cancel()
		<-done
	})
}

// Calls of Refresh during a read share the next one, which sees what was there at the call.
func TestRefresh_shared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := fleet.New(fleet.Options{})
		release := f.Hold()
		errs := make(chan error, 20)
		for range 20 {
			go func() { errs <- f.Refresh(t.Context()) }()
		}
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Refresh(canceled); err == nil {
			t.Error("a canceled call waits")
		}
		synctest.Wait()
		release()
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if n := f.Reads(); n != 2 {
			t.Errorf("%d reads, want the held one and one more", n)
		}
	})
}

// A player that asks for an unknown camera again and again makes the hubs be read as rarely as
// they are read anyhow. Other names are not delayed, and Known makes no read.
func TestLookup_unknownAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, err := hubclient.New("HostName=hub.rtsptunnel.test;SharedAccessKeyName=x;SharedAccessKey=a2V5", hubclient.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer hub.Close()
		f := fleet.New(fleet.Options{})
		f.Set(fleet.Config{Hubs: map[string]fleet.Hub{"main": {Client: hub, Discover: true}}})
		f.TakeWant()
		reads := 0
		const seconds = 600
		for range seconds {
			if _, _, ok := f.Known("edge1/none"); ok || f.TakeWant() {
				t.Fatal("Known made a read")
			}
			if _, _, err := f.Lookup("edge1/none"); failure.Of(err).Reason != reason.CameraUnknown {
				t.Fatal(err)
			}
			if f.TakeWant() {
				reads++
			}
			timer := time.NewTimer(time.Second)
			<-timer.C
		}
		if reads < 10 || reads > 15 {
			t.Errorf("%d reads in 10 minutes", reads)
		}
		_, _, err = f.Lookup("edge1/other")
		if !f.TakeWant() {
			t.Errorf("no read for another name: %v", err)
		}
	})
}
