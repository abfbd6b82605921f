package edge_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/hubclient"
	"rtsptunnel/internal/hubemulator/faults"
	"rtsptunnel/internal/localca"
)

// bar is five times what a hub's return may take until a method is answered.
const bar = 5 * 5 * time.Second

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

// A hub that nobody could reach for ever so long is used seconds after it listens.
func TestRun_hubComesUpLate(t *testing.T) {
	s := newSite(t)
	s.o.Identity.Login = s.key(t)
	s.Stop(t)
	c := s.start(t, patient)
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	s.StartAgain(t)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	if took := time.Since(begin); took > bar {
		t.Errorf("the first answer took %s", took)
	}
	if got := c.State(); got.Attempts != 2 {
		t.Errorf("%d attempts, want the first and the one when the hub was there", got.Attempts)
	}
}

// The same for the workload API, without which there is no login.
func TestRun_workloadComesUpLate(t *testing.T) {
	s := newSite(t)
	s.Stop(t)
	c := s.start(t, patient)
	s.log.Await(t, "HUB_WORKLOAD", 1)
	s.StartAgain(t)
	begin := time.Now()
	s.Invoke(t, "x", `{}`)
	if took := time.Since(begin); took > bar {
		t.Errorf("the first answer took %s", took)
	}
	if got := c.State(); got.Attempts > 3 { // one may have come between the two listeners
		t.Errorf("%d attempts", got.Attempts)
	}
}

// key is a login that needs no workload API.
func (s *site) key(t *testing.T) edge.Key {
	t.Helper()
	r, err := s.Client.Registration(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	roots := s.CA().Pool()
	key, err := base64.StdEncoding.DecodeString(r.Authentication.SymmetricKey.Primary)
	if err != nil {
		t.Fatal(err)
	}
	return edge.Key{
		Key:   func() ([]byte, error) { return key, nil },
		Roots: func() (*x509.CertPool, error) { return roots, nil },
	}
}

// A server that lets everybody in and then hangs up is not looked at, and so gets no
// more attempts than the backoff gives.
func TestRun_noHotLoop(t *testing.T) {
	s := newSite(t)
	var came atomic.Int32
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			c.Close()
		}
	})
	defer all.Wait()
	defer ln.Close()
	s.o.Address = ln.Addr().String()
	c := s.start(t, func(ts *edge.Times) { patient(ts); ts.Look = time.Millisecond })
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	<-time.After(300 * time.Millisecond) // of looks, if there were any
	got := c.State()
	if n := came.Load(); n != 1 || got.Attempts != 1 {
		t.Errorf("%d connections, %d attempts", n, got.Attempts)
	}
}

// Nor does a hub that listens invite attempts while the workload API is missing.
func TestRun_noHotLoopWithoutWorkload(t *testing.T) {
	s := newSite(t)
	s.o.Identity.Login = edge.Workload{URI: "unix:///nonexistent", GenerationID: s.Generation}
	c := s.start(t, func(ts *edge.Times) { patient(ts); ts.Look, ts.LookRest = time.Millisecond, 1 })
	awaitState(t, s, c, "waiting", func(s edge.State) bool { return !s.NextAttempt.IsZero() })
	<-time.After(300 * time.Millisecond) // of looks
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%d attempts", got.Attempts)
	}
}

// The hub goes and comes six times while methods are called: each gets the module's
// answer, the service's own 404 or 504, or nobody to ask.
func TestMethod_noneIsLostOutsideAnOutage(t *testing.T) {
	s := newSite(t)
	c := s.start(t, func(ts *edge.Times) { ts.Look = 50 * time.Millisecond })
	var outages atomic.Int32 // begun and ended
	end := make(chan struct{})
	var answered atomic.Int32
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				before := outages.Load()
				status, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{Name: "x", ResponseTimeout: 5 * time.Second})
				off := before%2 == 1 || outages.Load() != before
				e, refused := errors.AsType[*hubclient.Error](err)
				switch {
				case err == nil && status == 299:
					answered.Add(1)
				case refused && (e.Status == 404 || e.Status == 504): // the service's own
				case err != nil && off: // nobody to ask
				default:
					t.Errorf("call %d: %d, %v", n, status, err)
				}
			}
		})
	}
	for range 6 {
		awaitState(t, s, c, "subscribed", ready)
		before := answered.Load()
		await(t, "calls answered", func() bool { return answered.Load() > before+20 })
		outages.Add(1)
		s.Stop(t)
		s.StartAgain(t)
		s.Client.Close() // its idle connections are of before
		outages.Add(1)
	}
	awaitState(t, s, c, "subscribed", ready)
	close(end)
	callers.Wait()
	s.Invoke(t, "x", `{}`)
}

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

// What goes wrong while methods arrive does not take them away: the twin is read and
// reported when the hub is well again.
func TestTwin_refusedInASession(t *testing.T) {
	s := newSite(t)
	c := s.start(t, quick)
	s.await(t, 1)
	awaitState(t, s, c, "subscribed", ready)
	for _, status := range []int{429, 500} {
		if err := s.Faults().Put(faults.Rules{Twin: &faults.Twin{Status: status}}); err != nil {
			t.Fatal(err)
		}
		s.patch(t, 7)
		s.log.Await(t, "status "+strconv.Itoa(status), 3)
		s.Invoke(t, "x", `{}`)
		s.Faults().Clear()
		s.patch(t, 8)
		s.awaitReported(t)
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// awaitReported waits until the hub has the report for the newest desired properties.
func (s *site) awaitReported(t *testing.T) {
	t.Helper()
	await(t, "the newest twin reported", func() bool {
		tw, err := s.Client.Twin(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, version, _ := strings.Cut(string(tw.Properties.Desired), `"$version":`)
		version = version[:strings.IndexAny(version, ",}")]
		return strings.Contains(string(tw.Properties.Reported), `"seen":`+version)
	})
}

// A session in which nothing is answered any more is replaced, although the hub
// answers pings: a twin is read from time to time to know.
func TestWatch_replacesASessionWithoutProgress(t *testing.T) {
	s := newSite(t)
	c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Watch, ts.Request = 100*time.Millisecond, 500*time.Millisecond })
	first := awaitState(t, s, c, "subscribed", ready)
	awaitState(t, s, c, "watched", func(s edge.State) bool { return s.LastProgress.After(first.LastProgress.Add(time.Second)) })
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("a session that is well was replaced: %+v", got)
	}
	if err := s.Faults().Put(faults.Rules{Twin: &faults.Twin{Hold: true}}); err != nil {
		t.Fatal(err)
	}
	awaitState(t, s, c, "replaced", func(s edge.State) bool { return s.Attempts > 2 })
	s.Faults().Clear()
	awaitState(t, s, c, "subscribed", ready)
	s.Invoke(t, "x", `{}`)
}

// Two clients with one identity throw each other out, no faster than the waits allow,
// and say so; the one that is left is back soon, whatever the backoff has come to.
func TestRun_twoClientsOfOneIdentity(t *testing.T) {
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

// The bundle decides at each connect: an authority that is gone is not trusted for
// what it signed before, and a new one counts at once.
func TestWorkload_bundleIsRotated(t *testing.T) {
	s := newSite(t)
	other, err := localca.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	var pem atomic.Value
	pem.Store(string(other.CertPEM()))
	fake := newFakeHub(t, s, twinDoc(1, `"a":1,`))
	api := http.NewServeMux()
	api.HandleFunc("GET /trust-bundle", func(w http.ResponseWriter, r *http.Request) {
		says(200, `{"certificate":`+quoted(pem.Load().(string))+`}`)(w, r)
	})
	api.HandleFunc("POST /modules/{module}/genid/{generation}/sign", says(200, `{"digest":"c2lnbmF0dXJl"}`))
	srv := httptest.NewServer(api)
	defer srv.Close()
	s.o.Identity.Login = edge.Workload{URI: srv.URL, GenerationID: s.Generation}
	c := s.start(t, quick)
	s.log.Await(t, "HUB_TLS_CA", 2)
	pem.Store(string(s.CA().CertPEM()))
	awaitState(t, s, c, "subscribed", ready)
	pem.Store(string(other.CertPEM()))
	fake.cut()
	awaitState(t, s, c, "refusing the old hub", func(s edge.State) bool { return !s.Connected && s.Attempts > 3 })
	awaitState(t, s, c, "trying again", func(now edge.State) bool { return !now.NextAttempt.IsZero() })
	if got := c.State(); got.Reconnects != 0 {
		t.Errorf("%+v", got)
	}
}

// A clock that is wrong by hours or decades costs attempts, not the module, and says
// what is wrong; set right, it is forgotten.
func TestRun_wrongClock(t *testing.T) {
	for name, c := range map[string]struct {
		now  time.Time
		want string
	}{
		"1970":      {time.Unix(0, 0), "HUB_TLS_NOT_YET"},
		"2099":      {time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), "HUB_TLS_EXPIRED"},
		"two hours": {time.Now().Add(-2 * time.Hour), ""}, // the token is too old, or the certificate too new
	} {
		t.Run(name, func(t *testing.T) {
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

func twinDoc(version int, members string) string {
	return fmt.Sprintf(`{"desired":{%s"$version":%d},"reported":{"$version":1}}`, members, version)
}

// Request ids are opaque: each comes back as it was sent. IoT Hub's are hexadecimal
// numbers, the edge hub's are GUIDs.
func TestMethod_requestIDs(t *testing.T) {
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	want := map[string]bool{}
	for n := range 150 {
		for _, rid := range []string{strconv.FormatInt(int64(n), 16), fmt.Sprintf("%08x-7E57-4abc-9DEF-%012X", n, n*7919)} {
			want["$iothub/methods/res/299/?$rid="+rid] = true
			h.publish("$iothub/methods/POST/m/?$rid="+rid, `{}`)
		}
	}
	for range 300 {
		select {
		case topic := <-h.answers:
			if !want[topic] {
				t.Errorf("answered to %s", topic)
			}
			delete(want, topic)
		case <-time.After(patience):
			t.Fatalf("%d calls have no answer:\n%s", len(want), s.log)
		}
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
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

// Tokens are replaced before they expire, by a connection that is ready before the
// old one is ended: every call of a caller that never pauses is answered, and the hub
// never has to cut.
func TestRenew_losesNoCall(t *testing.T) {
	s := newSite(t)
	s.o.TokenLifetime = 5 * time.Second
	// Replaced after 2 s or 2.5: a busy machine must not be what the token waits for.
	c := s.start(t, func(ts *edge.Times) { ts.FirstWait, ts.Renew = 50*time.Millisecond, 0.4 })
	s.Invoke(t, "x", `{}`)
	end := make(chan struct{})
	var callers sync.WaitGroup
	for range 3 {
		callers.Go(func() {
			for {
				select {
				case <-end:
					return
				default:
				}
				begin := time.Now()
				status, _, err := s.Client.Invoke(t.Context(), s.ID, hubclient.Method{
					Name: "x", ConnectTimeout: 10 * time.Second, ResponseTimeout: 10 * time.Second,
				})
				if took := time.Since(begin); err != nil || status != 299 || took > 5*time.Second {
					t.Errorf("after %s: %d, %v", took, status, err)
				}
			}
		})
	}
	awaitState(t, s, c, "connected anew", func(s edge.State) bool { return s.Subscribed && s.Reconnects >= 3 })
	close(end)
	callers.Wait()
	if log := s.log.String(); strings.Contains(log, "token expired") || strings.Contains(log, "no hub connection") {
		t.Errorf("the connection was lost:\n%s", log)
	}
}

// A call that runs when the token is to be replaced gets its answer first.
func TestRenew_waitsForCalls(t *testing.T) {
	s := newSite(t)
	s.o.TokenLifetime = 10 * time.Second
	h := &slow{echo: s.module, called: make(chan context.Context, 1), release: make(chan struct{})}
	s.o.Handler = h
	c := s.start(t, func(ts *edge.Times) { ts.Renew = 0.2 }) // 2 to 3 s, and then waits for 4 s at least
	awaitState(t, s, c, "subscribed", ready)
	var call sync.WaitGroup
	call.Go(func() {
		if status, _ := s.Invoke(t, "x", `{}`); status != 299 {
			t.Errorf("status %d", status)
		}
	})
	<-h.called
	<-time.After(5500 * time.Millisecond)
	if got := c.State(); got.Reconnects != 0 || !got.Connected {
		t.Errorf("the connection was replaced under a call: %+v", got)
	}
	close(h.release)
	call.Wait()
	awaitState(t, s, c, "connected anew", func(s edge.State) bool { return s.Subscribed && s.Reconnects == 1 })
	if log := s.log.String(); strings.Contains(log, "token expired") {
		t.Errorf("too late:\n%s", log)
	}
}

// What cannot be prepared leaves the old connection alone until its token expires.
func TestRenew_failureLeavesTheConnection(t *testing.T) {
	s := newSite(t)
	s.o.TokenLifetime = 10 * time.Second
	c := s.start(t, func(ts *edge.Times) { quick(ts); ts.Renew = 0.1 })
	awaitState(t, s, c, "subscribed", ready)
	if err := s.Faults().Put(faults.Rules{Workload: &faults.Workload{Status: 500}}); err != nil {
		t.Fatal(err)
	}
	s.log.Await(t, "token not renewed", 2)
	if got := c.State(); !got.Subscribed || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	s.Faults().Clear()
	awaitState(t, s, c, "connected anew", func(s edge.State) bool { return s.Subscribed && s.Reconnects == 1 })
}
