package hublink_test

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
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/testkit/nettest"
)

// What a hub can refuse, or not answer, costs attempts by the backoff and has its reason in
// the log. When the hub works again the module serves.
func TestRun_outlastsAFailingHub(t *testing.T) {
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
			s.o.Conn.Identity.Auth = hubconn.Workload{URI: s.WorkloadURI(), GenerationID: s.Generation, Timeout: 200 * time.Millisecond}
			s.failsOnce(t, c.want)
			client := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Request = 200 * time.Millisecond })
			awaitState(t, s, client, "trying again", func(s hublink.State) bool { return s.Attempts >= 5 })
			s.Faults().Clear()
			if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
				t.Errorf("status %d", status)
			}
		})
	}
}

// failsOnce runs a module that waits longer than any test after its first failure, and
// probes as often as it can: no failure of this kind bypasses the backoff.
func (s *site) failsOnce(t *testing.T, want string) {
	t.Helper()
	c := s.link(t)
	hublink.SetTimes(c, func(ts *hublink.Times) {
		patient(ts)
		ts.Request, ts.Probe, ts.ProbeJitter = 200*time.Millisecond, time.Millisecond, 1
	})
	stop := s.keep(t, c)
	s.log.Await(t, want, 1)
	awaitState(t, s, c, "waiting", waiting)
	awaitTurns(t, s, c, 200*time.Millisecond) // with probes
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
	stop()
}

// Two clients with one identity make the hub close each other's connections, no faster than
// the waits allow, and log it. The surviving client reconnects soon, however high the
// backoff is.
func TestRun_twoClientsOfOneIdentity(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	times := func(ts *hublink.Times) {
		ts.FirstWait, ts.LastWait, ts.LostWait = 1000*time.Hour, 1000*time.Hour, time.Second
	}
	one := s.start(t, times)
	two := s.link(t)
	hublink.SetTimes(two, times)
	stop := s.keep(t, two)
	s.log.Await(t, "is there another client with this identity?", 4)
	begin, before := time.Now(), one.State().Attempts+two.State().Attempts
	awaitState(t, s, one, "waiting", waiting)
	awaitState(t, s, two, "waiting", waiting)
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

// A clock that is wrong by hours or decades costs attempts and not the module, and the log
// has the reason. When the clock is set right the module serves.
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
		// Certificates are valid since an hour ago, but tokens are expired when they are made.
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
			s.o.Conn.Now, s.o.Conn.TokenLifetime = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }, c.life
			s.failsOnce(t, c.want)
			client := s.start(t, quick)
			awaitState(t, s, client, "trying again", func(s hublink.State) bool { return s.Attempts > 2 })
			if log := s.log.String(); strings.Contains(log, connected) {
				t.Errorf("connected:\n%s", log)
			}
			off.Store(0)
			s.Invoke(t, "x", `{}`)
		})
	}
}

// A connection that is lost leaves no goroutine and no descriptor behind.
func TestRun_reconnectsLeaveNothing(t *testing.T) {
	keepGarbage(t)
	const reconnects = 100
	s := newSite(t)
	c := s.start(t, func(ts *hublink.Times) { ts.FirstWait, ts.LastWait, ts.LostWait = 1, 1, 1 })
	cycle := func(n int) {
		awaitState(t, s, c, "subscribed", func(s hublink.State) bool { return s.Subscribed && s.Reconnects >= n })
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
	// What the MQTT client leaves takes some seconds to end, and this process has both ends.
	await(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	await(t, "as many descriptors as before", func() bool { return openFiles(t) <= descriptors })
}

// Nor does an attempt that fails, in whichever phase.
func TestRun_failuresLeaveNothing(t *testing.T) {
	keepGarbage(t)
	const failures = 10
	for name, c := range map[string]struct {
		protocol hubconn.Protocol
		answer   string // to the first byte
	}{
		"TLS":       {hubconn.MQTT, "SSH-2.0\r\n"},
		"CONNACK":   {hubconn.MQTT, "\x20\x02\x00\x05"},
		"SUBACK":    {hubconn.MQTT, "\x20\x02\x00\x00\x90\x03\x00\x01\x80"},
		"no SUBACK": {hubconn.MQTT, "\x20\x02\x00\x00"},
		"WebSocket": {hubconn.MQTTWS, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			say := func(conn net.Conn) {
				if _, err := conn.Read(make([]byte, 1)); err == nil {
					_, _ = io.WriteString(conn, c.answer)
					_, _ = io.Copy(io.Discard, conn) // until the module closes
				}
			}
			if s.replaceHub(t, c.protocol, say); name == "TLS" {
				s.at(nettest.Listen(t, say), hubconn.MQTT)
			}
			before := openFiles(t)
			client := s.link(t)
			hublink.SetTimes(client, func(ts *hublink.Times) {
				ts.FirstWait, ts.LastWait, ts.LostWait = 1, 1, 1
				ts.Connect, ts.Subscribe = time.Second, 100*time.Millisecond
			})
			stop := s.keep(t, client)
			awaitState(t, s, client, "failing", func(s hublink.State) bool { return s.Attempts > failures })
			stop()
			await(t, "as many descriptors as before", func() bool { return openFiles(t) <= before })
		})
	}
}

// keepGarbage switches the garbage collector off until the test ends: it would close
// descriptors that the product has leaked.
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
