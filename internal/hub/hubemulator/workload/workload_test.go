package workload_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/workload"
)

const bundle = "-----BEGIN CERTIFICATE-----\n"

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wl") // the path of t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "workload.sock")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	ln, err := workload.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// start serves the API of module edge1/m1. It returns a client and the identity of m1.
func start(t *testing.T) (*http.Client, store.Identity) {
	t.Helper()
	return startWith(t, nil)
}

func startWith(t *testing.T, set *faults.Set) (*http.Client, store.Identity) {
	t.Helper()
	s := store.New()
	identity, err := s.Ensure(store.ID{Device: "edge1", Module: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	path := socketPath(t)
	server := httpd.Serve(listen(t, path), workload.New(workload.Options{
		Store: s, Device: "edge1", TrustBundle: []byte(bundle), Faults: set, Log: zerolog.Nop(),
	}), zerolog.Nop())
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &http.Client{Transport: transport}, identity
}

func do(t *testing.T, client *http.Client, method, target, contentType, body string) (int, map[string]string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://workload"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("%s: content type %q, want application/json", target, got)
	}
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]string
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatalf("%s: %v in %s", target, err, raw)
	}
	return response.StatusCode, document
}

func TestTrustBundle(t *testing.T) {
	client, _ := start(t)
	for _, version := range []string{"2018-06-28", "2019-11-05", "2022-08-03"} {
		status, document := do(t, client, http.MethodGet, "/trust-bundle?api-version="+version, "", "")
		if status != 200 || document["certificate"] != bundle {
			t.Errorf("%s: got %d %v, want 200 and the bundle", version, status, document)
		}
	}
}

func TestSign(t *testing.T) {
	client, identity := start(t)
	data := []byte("hub%2Fdevices%2Fedge1%2Fmodules%2Fm1\n1700000000")
	body := `{"keyId":"primary","algo":"HMACSHA256","data":"` + base64.StdEncoding.EncodeToString(data) + `"}`
	key, err := base64.StdEncoding.DecodeString(identity.PrimaryKey)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(data)
	want := base64.StdEncoding.EncodeToString(mac.Sum(nil))

	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", ""} {
		target := "/modules/m1/genid/" + identity.GenerationID + "/sign?api-version=2018-06-28"
		status, document := do(t, client, http.MethodPost, target, contentType, body)
		if status != 200 || document["digest"] != want {
			t.Errorf("%q: got %d %v, want 200 and the digest", contentType, status, document)
		}
	}
	status, document := do(t, client, http.MethodPost, "/modules/%6D1/genid/1/sign?api-version=2018-06-28", "", body)
	if status != 200 || document["digest"] != want {
		t.Errorf("escaped id: got %d %v, want 200 and the digest", status, document)
	}
}

func TestRefused(t *testing.T) {
	const sign = "/modules/m1/genid/1/sign?api-version=2018-06-28"
	const good = `{"data":"AAAA"}`
	client, _ := start(t)
	tests := []struct {
		name, method, target, contentType, body string
		want                                    int
	}{
		{"no api-version", "GET", "/trust-bundle", "", "", 400},
		{"unknown api-version", "GET", "/trust-bundle?api-version=2017-01-01", "", "", 400},
		{"sign without api-version", "POST", "/modules/m1/genid/1/sign", "", good, 400},
		{"text/plain", "POST", sign, "text/plain; charset=utf-8", good, 400},
		{"no body", "POST", sign, "application/json", "", 400},
		{"not JSON", "POST", sign, "application/json", "{", 422},
		{"not base64", "POST", sign, "application/json", `{"data":"*"}`, 400},
		{"too large", "POST", sign, "application/json", `{"data":"` + strings.Repeat("A", 70000) + `"}`, 400},
		{"unknown module", "POST", "/modules/m2/genid/1/sign?api-version=2018-06-28", "", good, 404},
		{"unknown path", "GET", "/nothing?api-version=2018-06-28", "", "", 404},
		{"wrong method", "POST", "/trust-bundle?api-version=2018-06-28", "", good, 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, document := do(t, client, tt.method, tt.target, tt.contentType, tt.body)
			if status != tt.want || document["message"] == "" {
				t.Errorf("got %d %v, want %d with a message", status, document, tt.want)
			}
		})
	}
}

func TestListen_modeAndRemoval(t *testing.T) {
	path := socketPath(t)
	ln := listen(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o666 {
		t.Errorf("mode %o, want 666", got)
	}
	if _, err := workload.Listen(t.Context(), path); err == nil {
		t.Error("replaced a socket that is in use")
	}
	ln.Close()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket outlived its listener: %v", err)
	}
}

func TestListen_staleSocket(t *testing.T) {
	path := socketPath(t)
	killed := listen(t, path).(*net.UnixListener)
	killed.SetUnlinkOnClose(false)
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("no stale socket to replace: %v", err)
	}
	conn, err := net.Dial("unix", listen(t, path).Addr().String())
	if err != nil {
		t.Fatalf("the new socket does not accept: %v", err)
	}
	conn.Close()
}

func TestListen_refused(t *testing.T) {
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := workload.Listen(t.Context(), path); err == nil {
		t.Error("replaced a file that is not a socket")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file was removed: %v", err)
	}
	long := filepath.Join(filepath.Dir(path), strings.Repeat("x", 108))
	if _, err := workload.Listen(t.Context(), long); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v, want an error about the length of the path", err)
	}
}
