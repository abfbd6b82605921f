package hubconn_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
)

// If the workload API misbehaves there are no credentials, and the error has its message.
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
			s.o.Identity.Auth = hubconn.Workload{URI: srv.URL + "/", GenerationID: s.Generation} // http, with a slash at the end
			_, err := s.dialer(t).Credentials(t.Context())
			expect(t, err, reason.HubWorkload, c.want)
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

// endless sends until the client closes, and fails the test after 64 MiB.
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
		if _, err := hubconn.New(hubconn.Options{Identity: hubconn.Identity{Auth: hubconn.Workload{URI: uri}}}); err == nil {
			t.Errorf("%q is accepted as a workload URI", uri)
		}
	}
}

// The bundle decides at each connect: an authority that was removed is not trusted for what
// it signed before, and a new one is trusted at once.
func TestWorkload_bundleIsRotated(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other, err := localca.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	var pem atomic.Value
	api := http.NewServeMux()
	api.HandleFunc("GET /trust-bundle", func(w http.ResponseWriter, r *http.Request) {
		says(200, `{"certificate":`+quoted(pem.Load().(string))+`}`)(w, r)
	})
	api.HandleFunc("POST /modules/{module}/genid/{generation}/sign", says(200, `{"digest":"c2lnbmF0dXJl"}`))
	srv := httptest.NewServer(api)
	defer srv.Close()
	s.o.Identity.Auth = hubconn.Workload{URI: srv.URL, GenerationID: s.Generation}
	d := s.dialer(t)
	dial := func() error {
		credentials, err := d.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Dial(t.Context(), d.Route(hubconn.MQTT, s.MQTTAddr()), credentials)
		if err == nil {
			p.Close()
		}
		return err
	}
	for range 2 {
		pem.Store(string(other.CertPEM()))
		expect(t, dial(), reason.HubTLSCA, "")
		pem.Store(string(s.CA().CertPEM()))
		if err := dial(); err != nil {
			t.Error(err)
		}
	}
}

// The signing call has the form that IoT Edge 1.2 and newer accept: JSON with its content
// type, and each id escaped into one segment of the path. Every call has a timeout.
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
	s.o.Identity.Auth = hubconn.Workload{URI: srv.URL, GenerationID: "g/?#"}
	d := s.dialer(t)
	if limit := hubconn.WorkloadTimeout(d); limit <= 0 || limit > time.Minute {
		t.Errorf("a call may take %s", limit)
	}
	_, err := d.Credentials(t.Context())
	expect(t, err, reason.HubWorkload, "enough")
	r := <-calls
	const want = "/modules/m%2F1%20%252F/genid/g%2F%3F%23/sign?api-version=2018-06-28"
	if r.Method != http.MethodPost || r.RequestURI != want || r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got  %s %s %v\nwant POST %s", r.Method, r.RequestURI, r.Header, want)
	}
}
