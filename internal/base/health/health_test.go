package health_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a program with these answers.
type program struct {
	loops   []health.Loop
	missing []health.Missing
}

func (p program) Loops() []health.Loop      { return p.loops }
func (p program) Missing() []health.Missing { return p.missing }

var since = time.Date(2026, 11, 22, 3, 42, 20, 0, time.UTC)

func TestHandler(t *testing.T) {
	good := program{loops: []health.Loop{{Name: "hub", Last: time.Now(), Within: time.Hour}}}
	bad := program{
		loops:   []health.Loop{{Name: "hub", Last: since, Within: time.Minute}, {Name: "other", Last: time.Now(), Within: time.Hour}},
		missing: []health.Missing{{Part: "hub", Reason: "R", Text: "why", Since: since}},
	}
	for _, c := range []struct {
		method, path string
		program      program
		status       int
		body         string
	}{
		{"GET", "/livez", good, 200, `{"live":true}` + "\n"},
		{"HEAD", "/livez", good, 200, ""},
		{"GET", "/livez?x=y", bad, 503, `{"live":false,"stuck":[{"loop":"hub","lastTurn":"2026-11-22T03:42:20Z"}]}` + "\n"},
		{"HEAD", "/livez", bad, 503, ""},
		{"GET", "/readyz", good, 200, `{"ready":true}` + "\n"},
		{"GET", "/readyz", bad, 503, `{"ready":false,"missing":[{"part":"hub","reason":"R","text":"why","since":"2026-11-22T03:42:20Z"}]}` + "\n"},
		{"POST", "/livez", good, 405, "Method Not Allowed\n"},
		{"DELETE", "/readyz", good, 405, "Method Not Allowed\n"},
		{"GET", "/metrics", good, 404, "404 page not found\n"},
		{"GET", "/", good, 404, "404 page not found\n"},
		{"GET", "/livez/", good, 404, "404 page not found\n"},
	} {
		server := httptest.NewServer(health.Handler(c.program))
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != c.status || string(body) != c.body {
			t.Errorf("%s %s: %d %q, %v; want %d %q", c.method, c.path, response.StatusCode, body, err, c.status, c.body)
		}
		response.Body.Close()
		server.Close()
	}
}

// noted is a ready program with a note.
type noted struct{ program }

func (noted) Notes() []health.Missing {
	return []health.Missing{{Part: "file", Reason: "R", Text: "why", Since: since}}
}

func TestHandler_notes(t *testing.T) {
	recorder := httptest.NewRecorder()
	health.Handler(noted{}).ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	want := `{"ready":true,"notes":[{"part":"file","reason":"R","text":"why","since":"2026-11-22T03:42:20Z"}]}` + "\n"
	if got := recorder.Body.String(); got != want || recorder.Code != http.StatusOK {
		t.Errorf("%d %s", recorder.Code, got)
	}
}

// A loop is stuck after Within, not before.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := program{loops: []health.Loop{{Name: "slow", Last: time.Now(), Within: 2 * time.Minute}, {Name: "fast", Last: time.Now(), Within: time.Minute}}}
		for _, want := range []int{0, 1, 2} {
			if got := health.Stuck(p); len(got) != want {
				t.Errorf("after %d minutes %v are stuck", want, got)
			}
			<-time.After(time.Minute + time.Second)
		}
	})
}

// serve runs a server on address until stop, or the end of the test.
func serve(t *testing.T, address string, log io.Writer) (s *health.Server, stop func()) {
	t.Helper()
	p := program{loops: []health.Loop{{Name: "l", Last: time.Now(), Within: time.Hour}}}
	ctx, cancel := context.WithCancel(t.Context())
	s = health.New(ctx, health.Config{Address: address, Handler: health.Handler(p), Log: zerolog.New(log), Reason: "HEALTH_LISTEN", Advice: "choose another"})
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(stop)
	return s, stop
}

// served waits until an address is served for the n-th time, and returns the first.
func served(t *testing.T, log *logtest.Record, n int) string {
	t.Helper()
	log.Await(t, "health is served", n)
	return regexp.MustCompile(`"address":"([^"]+)","failedAttempts"`).FindStringSubmatch(log.String())[1]
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// A port in use is logged and retried. It is served when it is free, and closed at the
// end.
func TestServer_portInUse(t *testing.T) {
	t.Parallel()
	log := logtest.New()
	taken := listen(t, "127.0.0.1:0")
	address := taken.Addr().String()
	s, stop := serve(t, address, log)
	if s.Listening() {
		t.Error("listening on a port in use")
	}
	log.Await(t, `"reason":"HEALTH_LISTEN"`, 2) // a second attempt, which failed
	taken.Close()
	if got := served(t, log, 1); got != address || !s.Listening() {
		t.Errorf("%s is served, want %s; listening: %t", got, address, s.Listening())
	}
	if err := health.Ask(t.Context(), address); err != nil {
		t.Error(err)
	}
	stop()
	if s.Listening() {
		t.Error("listening after Run")
	}
	listen(t, address)
	if err := health.Ask(t.Context(), address); err == nil {
		t.Error("served after Run")
	}
}

// A port that stays in use is tried once a minute and logged at growing intervals.
func TestServer_repeatedFailures(t *testing.T) {
	address := listen(t, "127.0.0.1:0").Addr().String()
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		_, stop := serve(t, address, &log)
		<-time.After(24 * time.Hour)
		stop()
	})
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var last struct{ Attempt int }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 11 || last.Attempt != 1024 {
		t.Errorf("%d lines, the last of attempt %d:\n%s", len(lines), last.Attempt, &log)
	}
}

// Clients that hold connections without a request delay no answer: the oldest of them is
// closed. Later ones keep theirs until the timeout.
func TestServer_silentClients(t *testing.T) {
	t.Parallel()
	log := logtest.New()
	_, stop := serve(t, "127.0.0.1:0", log)
	address := served(t, log, 1)
	for i := range 200 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("GET /livez HTTP/1.1\r\nHost:")); err != nil {
			continue // closed already
		}
		if i%50 != 0 {
			continue
		}
		if err := health.Ask(t.Context(), address); err != nil {
			t.Errorf("with %d silent clients: %v", i+1, err)
		}
	}
	stop()
}

// Ask accepts only the program's own answer.
func TestAsk(t *testing.T) {
	body := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); _, _ = io.WriteString(w, text) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string // in the error; empty for none
	}{
		"live":    {body(200, `{"live":true}`), ""},
		"stuck":   {body(503, `{"live":false,"stuck":[{"loop":"hub","lastTurn":"2026-11-22T03:42:20Z"}]}`), "hub since 2026-11-22T03:42:20Z"},
		"another": {body(404, "404 page not found"), "another program uses the address"},
		"metrics": {body(200, "up 1\n"), "another program uses the address"},
		"JSON":    {body(200, `{"status":"ok"}`), "another program uses the address"},
		"liar":    {body(500, `{"live":true}`), "status 500"},
		"endless": {body(200, strings.Repeat(" ", 1<<20)+`{"live":true}`), "another program uses the address"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "status 302"},
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.handler)
			defer server.Close()
			_, port, err := net.SplitHostPort(server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			err = health.Ask(t.Context(), "0.0.0.0:"+port)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for _, address := range []string{"127.0.0.1:0", "nonsense", "[::1]:1", ":1"} {
		if err := health.Ask(t.Context(), address); err == nil || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
