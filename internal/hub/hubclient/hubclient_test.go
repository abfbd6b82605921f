package hubclient_test

import (
	"crypto/rand"
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

func connect(t *testing.T, hub *hubtest.Hub, connectionString string) *hubclient.Client {
	t.Helper()
	c, err := hubclient.New(connectionString, hubclient.Options{Roots: hub.CA().Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
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

func TestErrors_areTheHubs(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	c, id := hub.Client, hub.ID
	unknown := hubclient.Identity{Device: "nobody"}
	_, readErr := c.Twin(t.Context(), unknown)
	_, _, callErr := c.Invoke(t.Context(), unknown, hubclient.Method{Name: "x"})
	_, _, offlineErr := c.Invoke(t.Context(), id, hubclient.Method{Name: "x"})
	_, _, timeoutErr := c.Invoke(t.Context(), id, hubclient.Method{Name: "x", ResponseTimeout: time.Second})
	_, patchErr := c.PatchDesired(t.Context(), id, json.RawMessage(`[]`))
	for name, want := range map[string]struct {
		err    error
		status int
	}{
		"twin of nobody": {readErr, 404}, "method of nobody": {callErr, 404}, "module offline": {offlineErr, 404},
		"timeout out of range": {timeoutErr, 400}, "patch that is no object": {patchErr, 400},
	} {
		e, ok := errors.AsType[*hubclient.Error](want.err)
		if !ok || e.Status != want.status || e.Code == "" || e.Message == "" {
			t.Errorf("%s: %v, want the hub's %d", name, want.err, want.status)
		}
	}
	e, _ := errors.AsType[*hubclient.Error](offlineErr)
	if e == nil || e.Number != 404103 || e.Message != "Timed out waiting for device to connect." || e.Host != c.Host() {
		t.Errorf("offline: %+v", e)
	}
}

// A key of another is refused by the hub, and a hub of another by us.
func TestNew_trustsNobodyElse(t *testing.T) {
	hub := hubtest.Start(t, io.Discard)
	id := hub.ID
	other := make([]byte, 32)
	_, _ = rand.Read(other)
	before, _, _ := strings.Cut(hub.OwnerConnectionString(), "SharedAccessKey=")
	stranger := connect(t, hub, before+"SharedAccessKey="+base64.StdEncoding.EncodeToString(other))
	_, err := stranger.Twin(t.Context(), id)
	if e, ok := errors.AsType[*hubclient.Error](err); !ok || e.Status != 401 {
		t.Errorf("a wrong key: %v", err)
	}
	unverified, err := hubclient.New(hub.OwnerConnectionString(), hubclient.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer unverified.Close()
	if _, err := unverified.Twin(t.Context(), id); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a hub of an unknown authority: %v", err)
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
			t.Errorf("%q is taken for a connection string", s)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
}

// A payload may hold a token, and the SAS would go along: no redirect is followed.
func TestRedirect_isNotFollowed(t *testing.T) {
	followed := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed = true }))
	defer elsewhere.Close()
	hub := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
	}))
	defer hub.Close()
	c, err := hubclient.New("HostName="+strings.TrimPrefix(hub.URL, "https://")+";SharedAccessKeyName=p;SharedAccessKey=a2V5",
		hubclient.Options{Roots: hub.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = c.Invoke(t.Context(), hubclient.Identity{Device: "d"}, hubclient.Method{Name: "m"})
	if e, ok := errors.AsType[*hubclient.Error](err); !ok || e.Status != 307 || e.Message == "" {
		t.Errorf("got %v", err)
	}
	if followed {
		t.Error("the redirect was followed")
	}
}

func TestErrors_tellNoKey(t *testing.T) {
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
