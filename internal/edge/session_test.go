package edge_test

import (
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/hubemulator/faults"
)

// start runs the module with other times.
func (s *site) start(t *testing.T, change func(*edge.Times)) *edge.Client {
	t.Helper()
	c := s.client(t)
	edge.SetTimes(c, change)
	s.keep(t, c)
	return c
}

// quick times make an attempt cost a test little.
func quick(ts *edge.Times) {
	ts.FirstWait, ts.LastWait, ts.LostWait = 20*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
}

// patient times make every wait last longer than any test: what happens all the same
// does not come of the backoff.
func patient(ts *edge.Times) {
	ts.FirstWait, ts.LastWait, ts.LostWait = 1000*time.Hour, 1000*time.Hour, 1000*time.Hour
}

func ready(s edge.State) bool { return s.Subscribed }

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// What a hub can refuse, or not say, costs attempts at growing distances, has its
// reason in the log, and is over when the hub is well again.
func TestRun_outlastsAnIllHub(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules faults.Rules
		want  string
	}{
		"login refused":        {faults.Rules{Logins: &faults.Logins{Refuse: true}}, "HUB_LOGIN"},
		"login cut":            {faults.Rules{Logins: &faults.Logins{CutAfterSeconds: 0.05}}, "HUB_LOST"},
		"subscription refused": {faults.Rules{Subscriptions: &faults.Subscriptions{Refuse: true}}, "HUB_SUBSCRIPTION"},
		"twin held":            {faults.Rules{Twin: &faults.Twin{Hold: true}}, "HUB_TWIN"},
		"twin 429":             {faults.Rules{Twin: &faults.Twin{Status: 429}}, "status 429"},
		"twin 500":             {faults.Rules{Twin: &faults.Twin{Status: 500}}, "status 500"},
		"workload down":        {faults.Rules{Workload: &faults.Workload{Down: true}}, "HUB_WORKLOAD"},
		"workload slow":        {faults.Rules{Workload: &faults.Workload{DelaySeconds: 60}}, "HUB_WORKLOAD"},
		"workload 403":         {faults.Rules{Workload: &faults.Workload{Status: 403}}, "status 403"},
		"workload 500":         {faults.Rules{Workload: &faults.Workload{Status: 500}}, "status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if err := s.Faults().Put(c.rules); err != nil {
				t.Fatal(err)
			}
			client := s.client(t)
			edge.SetTimes(client, func(ts *edge.Times) { quick(ts); ts.Request = 200 * time.Millisecond })
			edge.SetWorkloadTimeout(client, 200*time.Millisecond)
			begin := time.Now()
			s.keep(t, client)
			s.log.Await(t, c.want, 1)
			awaitState(t, s, client, "trying again", func(s edge.State) bool { return s.Attempts >= 5 })
			// Full jitter up to 20, 40, 80, 160 and then 200 ms.
			if got, most := client.State().Attempts, 50+int(time.Since(begin)/(20*time.Millisecond)); got > most {
				t.Errorf("%d attempts in %s", got, time.Since(begin))
			}
			s.Faults().Clear()
			if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// Two clients with one identity throw each other out, no faster than the waits allow,
// and say so; the one that is left is back soon, whatever the backoff has come to.
func TestRun_twoClientsOfOneIdentity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	times := func(ts *edge.Times) {
		ts.FirstWait, ts.LastWait, ts.LostWait = 1000*time.Hour, 1000*time.Hour, time.Second
	}
	one := s.start(t, times)
	two := s.client(t)
	edge.SetTimes(two, times)
	stop := s.keep(t, two)
	s.log.Await(t, "is there another client with this identity?", 4)
	begin, before := time.Now(), one.State().Attempts+two.State().Attempts
	awaitState(t, s, one, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	awaitState(t, s, two, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	if n := one.State().Attempts + two.State().Attempts - before; n > 10+10*int(time.Since(begin)/time.Second) {
		t.Errorf("%d attempts in %s", n, time.Since(begin))
	}
	stop()
	begin = time.Now()
	awaitState(t, s, one, "subscribed", ready)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("back after %s, the limit is a second", took)
	}
	s.Invoke(t, "x", `{}`)
}

// A clock that is wrong by hours or decades costs attempts, not the module, and says
// what is wrong; set right, it is forgotten.
func TestRun_wrongClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		now  time.Time
		want string
	}{
		"1970":      {time.Unix(0, 0), "HUB_TLS_NOT_YET"},
		"2099":      {time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "HUB_TLS_EXPIRED"},
		"two hours": {time.Now().Add(-2 * time.Hour), ""}, // the token is too old, or the certificate too new
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			var off atomic.Int64
			off.Store(int64(time.Until(c.now)))
			if time.Until(c.now) < -1<<62 {
				t.Fatal("too far")
			}
			s.o.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
			client := s.start(t, quick)
			awaitState(t, s, client, "trying again", func(s edge.State) bool { return s.Attempts > 2 })
			s.log.Await(t, "no hub connection", 2)
			if !strings.Contains(s.log.String(), c.want) || client.State().Connected {
				t.Errorf("the log does not say %s:\n%s", c.want, s.log)
			}
			off.Store(0)
			s.Invoke(t, "x", `{}`)
			if n := client.State().Attempts; n > 1000 {
				t.Errorf("%d attempts", n)
			}
		})
	}
}

// Nothing is left behind by a connection, however often it is lost.
func TestRun_reconnectsLeaveNothing(t *testing.T) {
	const reconnects = 100
	s := newSite(t)
	c := s.start(t, func(ts *edge.Times) { ts.FirstWait, ts.LastWait, ts.LostWait = 1, 1, 1 })
	cycle := func(n int) {
		awaitState(t, s, c, "subscribed", func(s edge.State) bool { return s.Subscribed && s.Reconnects >= n })
		s.Drop(s.ID.Device, s.ID.Module)
	}
	for n := range 5 {
		cycle(n)
	}
	s.Invoke(t, "x", `{}`)
	goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
	for n := range reconnects {
		cycle(5 + n)
	}
	s.Invoke(t, "x", `{}`)
	// What the MQTT client leaves takes some seconds to end, and both ends are in here.
	await(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	await(t, "as many descriptors as before", func() bool { return openFiles(t) <= descriptors })
}

// openFiles is how many descriptors this process has open.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/dev/fd") // Linux and macOS
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
