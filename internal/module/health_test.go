package module_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/logtest"
	"rtsptunnel/internal/module"
)

// gate is a way to the hub that can be shut.
type gate struct {
	net.Listener
	to string

	mu    sync.Mutex
	open  bool
	conns []net.Conn
}

func newGate(t *testing.T, to string) *gate {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: ln, to: to}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if far := g.pass(c); far != nil {
				running.Go(func() { _, _ = io.Copy(far, c); far.Close() })
				running.Go(func() { _, _ = io.Copy(c, far); c.Close() })
			}
		}
	})
	t.Cleanup(func() { g.set(false); ln.Close(); running.Wait() })
	return g
}

// pass is the hub's end of a connection, or nil if the gate is shut.
func (g *gate) pass(c net.Conn) net.Conn {
	g.mu.Lock()
	defer g.mu.Unlock()
	far, err := net.Dial("tcp", g.to)
	if !g.open || err != nil {
		c.Close()
		if err == nil {
			far.Close()
		}
		return nil
	}
	g.conns = append(g.conns, c, far)
	return far
}

// set opens the gate, or shuts it and cuts who is inside.
func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = open
	for _, c := range g.conns {
		if !open {
			c.Close()
		}
	}
}

// healthAddress is where the module says that it serves health.
func healthAddress(t *testing.T, log *logtest.Record) string {
	t.Helper()
	log.Await(t, "health is served", 1)
	return regexp.MustCompile(`health is served address=(\S+)`).FindStringSubmatch(log.String())[1]
}

// seen is what an endpoint says.
type seen struct {
	Status  int
	Live    bool
	Ready   bool
	Missing []struct {
		Part, Reason, Text string
		Since              time.Time
	}
	Stuck []struct{ Loop string }
}

func (s seen) reasons() string {
	codes := make([]string, len(s.Missing))
	for i, m := range s.Missing {
		codes[i] = m.Reason
	}
	return strings.Join(codes, " ")
}

func get(t *testing.T, address, path string) (s seen) {
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

// awaitSeen asks until the endpoint says what is wanted.
func awaitSeen(t *testing.T, address, path string, want func(seen) bool) seen {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * patience)
	for {
		s := get(t, address, path)
		if want(s) {
			return s
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s stays %+v", path, s)
		}
	}
}

// The module as a process is alive whatever the hub does, and ready when it has
// subscribed and applied its configuration. SIGTERM closes the port.
func TestHealth_followsTheHub(t *testing.T) {
	s := newSite(t)
	g := newGate(t, s.MQTTAddr())
	s.env["RTSPTUNNEL_HUB_ADDRESS"] = g.Addr().String()
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := healthAddress(t, s.log)
	r := get(t, address, "/readyz")
	if r.Status != 503 || r.Ready || r.reasons() != "HUB_NOT_CONNECTED TWIN_NOT_APPLIED" || r.Missing[0].Since.IsZero() || r.Missing[0].Part != "hub" {
		t.Errorf("before the hub: %+v", r)
	}
	s.log.Await(t, "[WRN] - not ready", 1)

	g.set(true)
	awaitSeen(t, address, "/readyz", func(s seen) bool { return s.Status == 200 && s.Ready && s.Missing == nil })
	s.log.Await(t, "[INF] - ready", 1)

	before := time.Now().Truncate(time.Millisecond)
	g.set(false)
	r = awaitSeen(t, address, "/readyz", func(s seen) bool { return s.Status == 503 && s.reasons() == "HUB_NOT_CONNECTED" })
	if since := r.Missing[0].Since; since.Before(before) || since.After(time.Now()) {
		t.Errorf("not connected since %s, cut at %s", since, before)
	}
	s.log.Await(t, "reason=HUB_NOT_CONNECTED", 2)
	if l := get(t, address, "/livez"); l.Status != 200 || !l.Live {
		t.Errorf("without the hub: %+v", l)
	}
	g.set(true)
	awaitSeen(t, address, "/readyz", func(s seen) bool { return s.Status == 200 })

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// While tunnels are being closed the module is not ready, and the endpoints say so.
func TestHealth_shuttingDown(t *testing.T) {
	s, r := newSite(t), newRemote(t)
	s.trust(t, r.ca.CertPEM())
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	stop := s.run(t)
	s.desire(t, map[string]camera{"silent": silent(t, 1554)})
	address := healthAddress(t, s.log)
	var call, ending sync.WaitGroup
	call.Go(func() { s.invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 1554)) })
	s.log.Await(t, "direct method received", 1)
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

// A port that another program has is in the log and in the twin, and stops nothing
// else. When it is free, health is served.
func TestHealth_portIsTaken(t *testing.T) {
	s := newSite(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = taken.Addr().String()
	s.run(t)
	s.desire(t, map[string]any{})
	if got, want := s.state(t), (state{"degraded", []string{"HEALTH_LISTEN"}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
	if status, _ := s.invoke(t, "reboot", `{}`); status != 404 {
		t.Errorf("answer %d", status)
	}
	s.log.Await(t, "reason=HEALTH_LISTEN", 1)
	taken.Close()
	awaitSeen(t, healthAddress(t, s.log), "/readyz", func(s seen) bool { return s.Status == 200 })
	s.desire(t, map[string]any{"front": map[string]any{"host": "h"}})
	if got, want := s.state(t), (state{"healthy", []string{}}); !cmp.Equal(got, want) {
		t.Errorf("state %+v, want %+v", got, want)
	}
}

// stuckLog blocks who writes a line with the word in it.
type stuckLog struct {
	*logtest.Record
	word    string
	stuck   chan struct{} // closed when somebody is
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

// An event loop that hangs is no sign of life: here the hub's, inside the handler of
// a twin.
func TestHealth_loopHangs(t *testing.T) {
	module.HubTurns(t, 15*time.Second) // it turns every 10 s while it waits for the hub
	s := newSite(t)
	s.env["RTSPTUNNEL_METRICS_LISTEN"] = "127.0.0.1:0"
	for k, v := range s.env {
		t.Setenv(k, v)
	}
	log := &stuckLog{Record: s.log, word: "twin applied", stuck: make(chan struct{}), release: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := module.Run(ctx, log, log); err != nil {
			t.Error(err)
		}
	})
	release := sync.OnceFunc(func() { close(log.release) })
	defer func() { release(); cancel(); running.Wait() }()
	address := healthAddress(t, s.log)
	<-log.stuck
	if l := get(t, address, "/livez"); l.Status != 200 {
		t.Errorf("at once: %+v", l)
	}
	l := awaitSeen(t, address, "/livez", func(s seen) bool { return s.Status == 503 })
	if l.Live || len(l.Stuck) != 1 || l.Stuck[0].Loop != "hub" {
		t.Errorf("stuck: %+v", l)
	}
	s.log.Await(t, "reason=LOOP_STUCK", 1)
	release()
	awaitSeen(t, address, "/livez", func(s seen) bool { return s.Status == 200 })
	s.log.Await(t, "all event loops turn again", 1)
}

// The first two lines say what runs, and which settings are in force from where.
func TestStart_tellsSettings(t *testing.T) {
	s := newSite(t)
	s.outside(t, false)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	s.env["RuntimeLogLevel"] = "loud"
	log := logtest.New()
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.serves(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	lines := json.NewDecoder(strings.NewReader(log.String()))
	var first, second map[string]any
	if err := errors.Join(lines.Decode(&first), lines.Decode(&second)); err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"msg": "rtsptunnel starts", "version": "dev", "commit": module.ThisBuild().Commit, "arch": module.ThisBuild().Arch,
		"identity": "RTSPTUNNEL_CONNECTION_STRING", "device": s.ID.Device,
	} {
		if first[field] != want {
			t.Errorf("the first line's %s is %v, want %s", field, first[field], want)
		}
	}
	if clock, err := time.Parse(time.RFC3339, fmt.Sprint(first["clock"])); err != nil || time.Since(clock) > time.Hour {
		t.Errorf("the clock is %v", first["clock"])
	}
	for field, want := range map[string]any{
		"RTSPTUNNEL_CONNECTION_STRING": "*** (environment)", "RTSPTUNNEL_METRICS_LISTEN": "off (environment)",
		"RTSPTUNNEL_HUB_ADDRESS": s.MQTTAddr() + " (environment)", "RuntimeLogLevel": "info (default)",
		"IOTEDGE_AUTHSCHEME": "sasToken (default)", "IOTEDGE_DEVICEID": nil, "EdgeHubConnectionString": nil,
	} {
		if second[field] != want {
			t.Errorf("the second line's %s is %v, want %v", field, second[field], want)
		}
	}
	logtest.NoSecret(t, log.String())
}

// noReader starts the module with a pipe for its log that nobody reads.
func noReader(t *testing.T, s *site) (log *os.File, end func()) {
	t.Helper()
	log, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = stdout, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	return log, func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process ended with %v\n%s", err, s.log)
		}
	}
}

// many calls write more log lines than pipe and queue can hold.
func (s *site) many(t *testing.T) {
	t.Helper()
	var calls sync.WaitGroup
	for n := range 8 {
		calls.Go(func() {
			name := fmt.Sprintf("%d%s", n, strings.Repeat("x", 90))
			for range 200 {
				if status, _ := s.Invoke(t, name, `{}`); status != 404 {
					t.Errorf("answer %d", status)
				}
			}
		})
	}
	calls.Wait()
}

// Nobody waits for a log that nobody reads, and the lines that are missing are
// counted where they are missing.
func TestLog_readerStandsStill(t *testing.T) {
	s := newSite(t)
	log, end := noReader(t, s)
	s.many(t)
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "log lines dropped here") {
	}
	if !edgeLine.MatchString(lines.Text()) || !regexp.MustCompile(`lines=\d\d+$`).MatchString(lines.Text()) {
		t.Errorf("the note: %q", lines.Text())
	}
	var reading sync.WaitGroup
	last := ""
	reading.Go(func() {
		for lines.Scan() {
			last = lines.Text()
		}
	})
	end()
	reading.Wait()
	if !strings.Contains(last, "rtsptunnel ended") {
		t.Errorf("the last line: %s", last)
	}
}

// A reader that is still standing when the module ends, or that is gone, changes
// nothing of its end.
func TestLog_readerIsGone(t *testing.T) {
	for name, gone := range map[string]bool{"gone": true, "standing": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			log, end := noReader(t, s)
			if gone {
				log.Close()
			}
			s.many(t)
			end()
		})
	}
}
