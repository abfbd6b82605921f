package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/module/edge"
)

// A workload API that misbehaves costs an attempt, with its own words in the log,
// and never verification.
func TestWorkload_failures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bundle http.HandlerFunc
		sign   http.HandlerFunc
		want   string
	}{
		"bundle 404":     {says(404, `{"message":"certificate not found"}`), nil, "workload API trust bundle: status 404 certificate not found"},
		"bundle garbage": {says(200, `<html>`), nil, "workload API trust bundle: invalid character"},
		"bundle empty":   {says(200, `{"certificate":""}`), nil, "no certificate in it"},
		"bundle endless": {endless(t), nil, "workload API trust bundle:"},
		"sign 403":       {nil, says(403, `{"message":"caller not authorized"}`), "workload API sign: status 403 caller not authorized"},
		"sign 500 mute":  {nil, says(500, ``), "workload API sign: status 500"},
		"sign no digest": {nil, says(200, `{}`), "no digest in the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			bundle := says(200, `{"certificate":`+quoted(string(s.CA().CertPEM()))+`}`)
			api := http.NewServeMux()
			api.HandleFunc("GET /trust-bundle", or(c.bundle, bundle))
			api.HandleFunc("POST /modules/{module}/genid/{generation}/sign", or(c.sign, says(500, "")))
			srv := httptest.NewServer(api)
			defer srv.Close()
			s.o.Identity.Login = edge.Workload{URI: srv.URL + "/", GenerationID: s.Generation} // http, with the slash that some write
			stop := s.run(t)
			s.log.Await(t, "no hub connection", 1)
			stop()
			if log := s.log.String(); !strings.Contains(log, c.want) || !strings.Contains(log, `"reason":"HUB_WORKLOAD"`) || strings.Contains(log, "connected to the hub") {
				t.Errorf("the log does not say %q:\n%s", c.want, log)
			}
		})
	}
}

func or(a, b http.HandlerFunc) http.HandlerFunc {
	if a != nil {
		return a
	}
	return b
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// endless sends as long as somebody reads, and fails the test after 64 MiB.
func endless(t *testing.T) http.HandlerFunc {
	t.Helper()
	return func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		t.Error("all of an endless answer was read")
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, "\n", `\n`) + `"` }

func TestNew_badWorkloadURI(t *testing.T) {
	for _, uri := range []string{"", "ftp://x", "unix", "://"} {
		if _, err := edge.New(edge.Options{Identity: edge.Identity{Login: edge.Workload{URI: uri}}}); err == nil {
			t.Errorf("%q is taken for a workload URI", uri)
		}
	}
}

// The bundle decides at each connect: an authority that is gone is not trusted for
// what it signed before, and a new one counts at once.
func TestWorkload_bundleIsRotated(t *testing.T) {
	t.Parallel()
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

// The signing call is what IoT Edge 1.2 and newer take: JSON that says so, and ids that
// stay one segment of the path each. No call lasts for ever.
func TestWorkload_signingCall(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	calls := make(chan *http.Request, 64)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/trust-bundle" {
			says(200, `{"certificate":`+quoted(string(s.CA().CertPEM()))+`}`)(w, r)
			return
		}
		calls <- r
		says(403, `{"message":"enough"}`)(w, r)
	}))
	defer srv.Close()
	s.o.Identity.ModuleID = "m/1 %2F"
	s.o.Identity.Login = edge.Workload{URI: srv.URL, GenerationID: "g/?#"}
	c := s.client(t)
	if d := edge.WorkloadTimeout(c); d <= 0 || d > time.Minute {
		t.Errorf("a call may take %s", d)
	}
	stop := s.keep(t, c)
	r := <-calls
	stop()
	const want = "/modules/m%2F1%20%252F/genid/g%2F%3F%23/sign?api-version=2018-06-28"
	if r.Method != http.MethodPost || r.RequestURI != want || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got  %s %s %v\nwant POST %s", r.Method, r.RequestURI, r.Header, want)
	}
}
