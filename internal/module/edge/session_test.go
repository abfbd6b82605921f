package edge_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module/edge"
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
	ts.Read, ts.Report, ts.Acknowledge = 20*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
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
			s.failsOnce(t, c.want)
			client := s.client(t)
			edge.SetTimes(client, func(ts *edge.Times) { quick(ts); ts.Request = 200 * time.Millisecond })
			edge.SetWorkloadTimeout(client, 200*time.Millisecond)
			s.keep(t, client)
			awaitState(t, s, client, "trying again", func(s edge.State) bool { return s.Attempts >= 5 })
			s.Faults().Clear()
			if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// failsOnce runs a module that waits longer than any test after its first failure,
// and looks as often as it can: whatever is wrong does not lead around the backoff.
func (s *site) failsOnce(t *testing.T, want string) {
	t.Helper()
	c := s.client(t)
	edge.SetTimes(c, func(ts *edge.Times) {
		patient(ts)
		ts.Request, ts.Look, ts.LookRest = 200*time.Millisecond, time.Millisecond, 1
	})
	edge.SetWorkloadTimeout(c, 200*time.Millisecond)
	stop := s.keep(t, c)
	s.log.Await(t, want, 1)
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	<-time.After(200 * time.Millisecond) // of looks
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
	stop()
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
		life time.Duration // of tokens; an hour if zero
		want string
	}{
		"1970":           {time.Unix(0, 0), 0, "HUB_TLS_NOT_YET"},
		"2099":           {time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), 0, "HUB_TLS_EXPIRED"},
		"two hours back": {time.Now().Add(-2 * time.Hour), 0, "HUB_TLS_NOT_YET"},
		// Certificates are good since an hour ago, but tokens are over when they are made.
		"half an hour back": {time.Now().Add(-30 * time.Minute), 10 * time.Minute, "HUB_LOGIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			var off atomic.Int64
			off.Store(int64(time.Until(c.now)))
			if time.Until(c.now) < -1<<62 {
				t.Fatal("too far")
			}
			s.o.Now, s.o.TokenLifetime = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }, c.life
			s.failsOnce(t, c.want)
			client := s.start(t, quick)
			awaitState(t, s, client, "trying again", func(s edge.State) bool { return s.Attempts > 2 })
			if log := s.log.String(); strings.Contains(log, "connected to the hub") {
				t.Errorf("connected:\n%s", log)
			}
			off.Store(0)
			s.Invoke(t, "x", `{}`)
		})
	}
}

// Nothing is left behind by a connection, however often it is lost.
func TestRun_reconnectsLeaveNothing(t *testing.T) {
	keepGarbage(t)
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

// Nor by one that never comes about, wherever it fails.
func TestRun_failuresLeaveNothing(t *testing.T) {
	keepGarbage(t)
	const failures = 10
	for name, c := range map[string]struct {
		protocol edge.Protocol
		answer   string // to the first byte
	}{
		"TLS":       {edge.MQTT, "SSH-2.0\r\n"},
		"CONNACK":   {edge.MQTT, "\x20\x02\x00\x05"},
		"SUBACK":    {edge.MQTT, "\x20\x02\x00\x00\x90\x03\x00\x01\x80"},
		"no SUBACK": {edge.MQTT, "\x20\x02\x00\x00"},
		"WebSocket": {edge.MQTTWS, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.trust(t)
			say := func(conn net.Conn) {
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					_, _ = io.WriteString(conn, c.answer)
					_, _ = io.Copy(io.Discard, conn) // until the module hangs up
				}
			}
			if s.hub(t, c.protocol, say); name == "TLS" {
				s.at(listen(t, say), edge.MQTT)
			}
			before := openFiles(t)
			client := s.client(t)
			edge.SetTimes(client, func(ts *edge.Times) {
				ts.FirstWait, ts.LastWait, ts.LostWait = 1, 1, 1
				ts.Connect, ts.Subscribe = time.Second, 100*time.Millisecond
			})
			stop := s.keep(t, client)
			awaitState(t, s, client, "failing", func(s edge.State) bool { return s.Attempts > failures })
			stop()
			await(t, "as many descriptors as before", func() bool { return openFiles(t) <= before })
		})
	}
}

// keepGarbage lets no descriptor be closed by the collector until the test ends: that
// would pass for our doing.
func keepGarbage(t *testing.T) {
	t.Helper()
	before := debug.SetGCPercent(-1)
	t.Cleanup(func() { debug.SetGCPercent(before) })
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
