package wsconn_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"rtsptunnel/internal/wire/wsconn"
)

// sessionServer starts a server that reports for each tunnel whether its TLS session was
// resumed.
func sessionServer(t *testing.T) (srv *httptest.Server, resumed <-chan bool) {
	t.Helper()
	all := make(chan bool, 16)
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsconn.Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		all <- r.TLS.DidResume
		_, _ = c.Write([]byte("x")) // the session's ticket is sent before it
		_, _ = io.Copy(io.Discard, c)
		c.Close()
	}))
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	srv.TLS.SetSessionTicketKeys([][32]byte{{1}}) // either server could resume the other's sessions
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, all
}

// A session is resumed only with its own endpoint, until Forget.
func TestSessions(t *testing.T) {
	one, resumedAtOne := sessionServer(t)
	other, resumedAtOther := sessionServer(t) // the same host and key, another port
	pool := roots(one)
	pool.AddCert(other.Certificate())
	sessions := wsconn.NewSessions()
	open := func(srv *httptest.Server, resumed <-chan bool, with *wsconn.Sessions) bool {
		t.Helper()
		c, err := wsconn.Dialer{Roots: pool, Sessions: with}.Dial(t.Context(), wss(srv), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Error(err)
		}
		return <-resumed
	}
	for i, step := range []struct {
		srv     *httptest.Server
		resumed <-chan bool
		with    *wsconn.Sessions
		forget  bool
		want    bool
	}{
		{srv: one, resumed: resumedAtOne, with: sessions},
		{srv: one, resumed: resumedAtOne, with: sessions, want: true},
		{srv: one, resumed: resumedAtOne},
		{srv: one, resumed: resumedAtOne, with: sessions, forget: true},
		{srv: one, resumed: resumedAtOne, with: sessions, want: true},
		{srv: other, resumed: resumedAtOther, with: sessions},
	} {
		if step.forget {
			sessions.Forget()
		}
		if got := open(step.srv, step.resumed, step.with); got != step.want {
			t.Errorf("step %d: resumed %t", i+1, got)
		}
	}
}
