package module_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/module"
	"rtsptunnel/internal/testkit/logtest"
)

// healthAddress waits until the module serves health, and returns the address.
func healthAddress(t *testing.T, log *logtest.Record) string {
	t.Helper()
	log.Await(t, "health is served", 1)
	return regexp.MustCompile(`health is served address=(\S+)`).FindStringSubmatch(log.String())[1]
}

// healthAnswer is the response of a health endpoint.
type healthAnswer struct {
	Status  int
	Live    bool
	Ready   bool
	Missing []struct {
		Part, Reason, Text string
		Since              time.Time
	}
	Stuck []struct{ Loop string }
}

func (s healthAnswer) reasons() string {
	codes := make([]string, len(s.Missing))
	for i, m := range s.Missing {
		codes[i] = m.Reason
	}
	return strings.Join(codes, " ")
}

func get(t *testing.T, address, path string) (s healthAnswer) {
	t.Helper()
	response, err := http.DefaultClient.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	s.Status = response.StatusCode
	return s
}

// awaitHealth asks an endpoint until want accepts the response.
func awaitHealth(t *testing.T, address, path string, want func(healthAnswer) bool) healthAnswer {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var s healthAnswer
	for begin := time.Now(); time.Since(begin) < 2*patience; <-tick.C {
		if s = get(t, address, path); want(s) {
			return s
		}
	}
	t.Fatalf("%s stays %+v", path, s)
	return s
}

// The module is alive with and without the hub. It is ready when it has subscribed to
// methods and applied its configuration. SIGTERM closes the port.
func TestHealth_followsTheHub(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	hub := newSwitchable(t, s.MQTTAddr())
	s.env["RTSPTUNNEL_HUB_ADDRESS"] = hub.Addr().String()
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	end := s.start(t, s.log)
	address := healthAddress(t, s.log)
	r := get(t, address, "/readyz")
	if r.Status != 503 || r.Ready || r.reasons() != "HUB_NOT_CONNECTED TWIN_NOT_APPLIED" || r.Missing[0].Since.IsZero() || r.Missing[0].Part != "hub" {
		t.Errorf("before the hub: %+v", r)
	}
	s.log.Await(t, "missing=", 1)

	hub.set(true)
	awaitHealth(t, address, "/readyz", func(s healthAnswer) bool { return s.Status == 200 && s.Ready && s.Missing == nil })
	s.log.Await(t, "[INF] - ready", 1)

	before := time.Now().Truncate(time.Millisecond)
	hub.set(false)
	r = awaitHealth(t, address, "/readyz", func(s healthAnswer) bool { return s.Status == 503 && s.reasons() == "HUB_NOT_CONNECTED" })
	if since := r.Missing[0].Since; since.Before(before) || since.After(time.Now()) {
		t.Errorf("not connected since %s, cut at %s", since, before)
	}
	s.log.Await(t, "reason=HUB_NOT_CONNECTED", 2)
	if l := get(t, address, "/livez"); l.Status != 200 || !l.Live {
		t.Errorf("without the hub: %+v", l)
	}
	hub.set(true)
	awaitHealth(t, address, "/readyz", func(s healthAnswer) bool { return s.Status == 200 })

	end(syscall.SIGTERM)
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// During the shutdown the endpoints still respond, and the module is not ready.
func TestHealth_shuttingDown(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	s.trust(t, r.ca.CertPEM())
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	stop := s.run(t)
	s.desire(t, map[string]camera{"silent": silent(t, 1554)})
	address := healthAddress(t, s.log)
	var call, ending sync.WaitGroup
	call.Go(func() { s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 1554)) })
	s.log.Await(t, received, 1)
	codes := make(chan string, 1)
	s.log.OnWrite(func(all string) {
		if strings.Contains(all, "shutting down") && cap(codes) > len(codes) {
			codes <- get(t, address, "/readyz").reasons()
		}
	})
	ending.Go(stop)
	if got := <-codes; got != "SHUTTING_DOWN" {
		t.Errorf("missing: %s", got)
	}
	s.log.OnWrite(nil)
	call.Wait()
	ending.Wait()
}

// If another program has the port, that is logged and reported, and everything else
// works. The module serves health when the port is free.
func TestHealth_portIsTaken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	taken := listen(t)
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = taken.Addr().String()
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"degraded", []string{"HEALTH_LISTEN"}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
	if status, _ := s.invoke(t, "reboot", `{}`); status != 404 {
		t.Errorf("response %d", status)
	}
	s.log.Await(t, "reason=HEALTH_LISTEN", 1)
	taken.Close()
	awaitHealth(t, healthAddress(t, s.log), "/readyz", func(s healthAnswer) bool { return s.Status == 200 })
	s.desire(t, map[string]any{"front": map[string]any{"host": "h"}})
	if got, want := s.state(t), (state{"healthy", []string{}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
}

// stuckLog blocks the writer of a line that has the word.
type stuckLog struct {
	*logtest.Record
	word    string
	stuck   chan struct{} // closed when a writer blocks
	release chan struct{}
	once    sync.Once
}

func (l *stuckLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(l.word)) {
		l.once.Do(func() { close(l.stuck) })
		<-l.release
	}
	return l.Record.Write(line)
}

// /livez fails while an event loop hangs: here the hub's, which hangs in the handler of a
// twin.
func TestHealth_loopHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.times.HubTurns = 5 * time.Second // the loop turns every 10 s: the test needs less
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	log := &stuckLog{Record: s.log, word: twinApplied, stuck: make(chan struct{}), release: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	s.reads(t, func() {
		running.Go(func() {
			if err := module.RunAt(ctx, log, log, s.times); err != nil {
				t.Error(err)
			}
		})
	})
	release := sync.OnceFunc(func() { close(log.release) })
	defer func() { release(); cancel(); running.Wait() }()
	address := healthAddress(t, s.log)
	<-log.stuck
	if l := get(t, address, "/livez"); l.Status != 200 {
		t.Errorf("at once: %+v", l)
	}
	l := awaitHealth(t, address, "/livez", func(s healthAnswer) bool { return s.Status == 503 })
	if l.Live || len(l.Stuck) != 1 || l.Stuck[0].Loop != "hub" {
		t.Errorf("stuck: %+v", l)
	}
	s.log.Await(t, "reason=LOOP_STUCK", 1)
	release()
	awaitHealth(t, address, "/livez", func(s healthAnswer) bool { return s.Status == 200 })
	s.log.Await(t, "all event loops run again", 1)
}
