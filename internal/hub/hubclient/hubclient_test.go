package hubclient_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/testkit/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(t *testing.T, connectionString string, roots *x509.CertPool) *hubclient.Client {
	t.Helper()
	c, err := hubclient.New(connectionString, hubclient.Options{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve returns a client of a server that answers as the handler does.
func serve(t *testing.T, handler http.HandlerFunc) *hubclient.Client {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return connect(t, "HostName="+server.Listener.Addr().String()+";SharedAccessKeyName=p;SharedAccessKey=a2V5", roots)
}

func TestTwin_readAndPatch(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c, id := hub.Client, hub.ID
	if _, err := c.PatchDesired(t.Context(), id, json.RawMessage(`{"a":{"b":1,"c":2}}`)); err != nil {
		t.Fatal(err)
	}
	patched, err := c.PatchDesired(t.Context(), id, json.RawMessage(`{"a":{"b":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	read, err := c.Twin(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for name, tw := range map[string]hubclient.Twin{"patched": patched, "read": read} {
		var got struct {
			A       map[string]int `json:"a"`
			Version int            `json:"$version"`
		}
		if err := json.Unmarshal(tw.Properties.Desired, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(map[string]int{"c": 2}, got.A); d != "" || got.Version != 3 || tw.ETag == "" {
			t.Errorf("%s: version %d, etag %q, %s", name, got.Version, tw.ETag, d)
		}
	}
}

func TestError_fields(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c, id := hub.Client, hub.ID
	unknown := hubclient.Identity{Device: "unknown"}
	_, readErr := c.Twin(t.Context(), unknown)
	_, _, callErr := c.Invoke(t.Context(), unknown, hubclient.Method{Name: "x"})
	_, _, offlineErr := c.Invoke(t.Context(), id, hubclient.Method{Name: "x"})
	_, _, timeoutErr := c.Invoke(t.Context(), id, hubclient.Method{Name: "x", ResponseTimeout: time.Second})
	_, patchErr := c.PatchDesired(t.Context(), id, json.RawMessage(`[]`))
	for name, want := range map[string]struct {
		err    error
		status int
	}{
		"twin of an unknown device": {readErr, 404}, "method of an unknown device": {callErr, 404}, "module offline": {offlineErr, 404},
		"timeout out of range": {timeoutErr, 400}, "patch that is not an object": {patchErr, 400},
	} {
		e, ok := errors.AsType[*hubclient.Error](want.err)
		if !ok || e.Status != want.status || e.Code == "" || e.Message == "" {
			t.Errorf("%s: %v, want an Error with status %d", name, want.err, want.status)
		}
	}
	e, _ := errors.AsType[*hubclient.Error](offlineErr)
	if e == nil || e.Number != 404103 || e.Message != "Timed out waiting for device to connect." || e.Host != c.Host() {
		t.Errorf("offline: %+v", e)
	}
}

// The hub refuses a wrong key, and the client refuses a hub of an unknown authority.
func TestNew_authentication(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	id := hub.ID
	wrongKey := make([]byte, 32)
	_, _ = rand.Read(wrongKey)
	before, _, _ := strings.Cut(hub.OwnerConnectionString(), "SharedAccessKey=")
	c := connect(t, before+"SharedAccessKey="+base64.StdEncoding.EncodeToString(wrongKey), hub.CA().Pool())
	_, err := c.Twin(t.Context(), id)
	if e, ok := errors.AsType[*hubclient.Error](err); !ok || e.Status != 401 {
		t.Errorf("wrong key: %v", err)
	}
	unverified := connect(t, hub.OwnerConnectionString(), nil)
	if _, err := unverified.Twin(t.Context(), id); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("hub of an unknown authority: %v", err)
	}
}

func TestNew_badConnectionString(t *testing.T) {
	const key = "not-base64-but-secret"
	for _, s := range []string{
		"", key, "HostName=h;SharedAccessKeyName=p", "HostName=h;SharedAccessKeyName=p;SharedAccessKey=" + key,
		"SharedAccessKey=" + key, "HostName=;SharedAccessKeyName=p;SharedAccessKey=" + key,
		"HostName=a b;SharedAccessKeyName=p;SharedAccessKey=AAAA", "HostName=h/" + key + ";SharedAccessKeyName=p;SharedAccessKey=AAAA",
	} {
		_, err := hubclient.New(s, hubclient.Options{})
		if err == nil {
			t.Errorf("New accepts %q", s)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("the error contains the key: %v", err)
		}
	}
}

// The client follows no redirect: the payload may contain a token, and the header
// contains one.
func TestRedirect_isNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	})
	_, _, err := c.Invoke(t.Context(), hubclient.Identity{Device: "d"}, hubclient.Method{Name: "m"})
	if e, ok := errors.AsType[*hubclient.Error](err); !ok || e.Status != 307 || e.Message == "" {
		t.Errorf("got %v", err)
	}
	if followed {
		t.Error("the redirect was followed")
	}
}

func TestError_containsNoKey(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c, id := hub.Client, hub.ID
	_, key, _ := strings.Cut(hub.OwnerConnectionString(), "SharedAccessKey=")
	if err := hub.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := c.Twin(t.Context(), id)
	if err == nil || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "SharedAccessSignature") {
		t.Errorf("got %v", err)
	}
}
