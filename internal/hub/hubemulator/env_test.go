package hubemulator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/hub/hubemulator/sas"
)

const (
	hostName    = "hub.example"
	gatewayName = "gateway.example"
	version     = "?api-version=2021-04-12"
	testTimeout = 10 * time.Second
)

// serveEnv is the variable that makes this test program run the command; see
// startProcess.
const serveEnv = "HUBEMULATOR_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		code := runCommand(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// newDir returns the path of a directory that does not exist yet. The path is short
// enough for a unix socket.
func newDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "hub") // tb.TempDir is too long for a socket's path
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "state")
}

// start starts a hub with the module edge1/m1, and closes it when the test ends.
func start(t *testing.T) (hub *hubemulator.Hub, generation string) {
	t.Helper()
	return startIn(t, newDir(t))
}

func startIn(t *testing.T, dir string) (hub *hubemulator.Hub, generation string) {
	t.Helper()
	hub, generation = startUnclosed(t, dir)
	t.Cleanup(func() { closeHub(t, hub) })
	return hub, generation
}

// startUnclosed starts a hub that the caller closes.
func startUnclosed(t *testing.T, dir string) (hub *hubemulator.Hub, generation string) {
	t.Helper()
	hub, err := hubemulator.Start(hubemulator.Options{
		HostName: hostName, GatewayName: gatewayName, Dir: dir, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if generation, err = hub.AddModule("edge1", "m1"); err != nil {
		t.Fatal(err)
	}
	return hub, generation
}

func closeHub(t *testing.T, hub *hubemulator.Hub) {
	t.Helper()
	if err := hub.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// service is a client of the REST API.
type service struct {
	base  string
	token string
	http  *http.Client
}

func newService(t *testing.T, hub *hubemulator.Hub) *service {
	t.Helper()
	return newServiceOf(t, hub.OwnerConnectionString(), hub.CA().Pool())
}

func newServiceOf(tb testing.TB, connectionString string, roots *x509.CertPool) *service {
	tb.Helper()
	parts := make(map[string]string)
	for part := range strings.SplitSeq(connectionString, ";") {
		name, value, _ := strings.Cut(part, "=")
		parts[name] = value
	}
	host := parts["HostName"]
	token, err := sas.Sign(host, parts["SharedAccessKeyName"], parts["SharedAccessKey"], time.Now().Add(time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 100}
	tb.Cleanup(transport.CloseIdleConnections)
	return &service{base: "https://" + host, token: token, http: &http.Client{Transport: transport}}
}

func (s *service) do(ctx context.Context, method, path, body string) (int, []byte, error) {
	ifMatch := ""
	if method == http.MethodPut {
		ifMatch = "*" // an update; to create, call request
	}
	return s.request(ctx, method, path, body, ifMatch)
}

func (s *service) request(ctx context.Context, method, path, body, ifMatch string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base+path+version, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", s.token)
	request.Header.Set("If-Match", ifMatch)
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, raw, err
}

// must sends a request and fails the test if the status is not 200.
func (s *service) must(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, raw, err := s.do(t.Context(), method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", method, path, status, raw)
	}
	return raw
}

// signedToken returns a token for edge1/m1 that the workload API has signed.
func signedToken(t *testing.T, hub *hubemulator.Hub, generation string) string {
	t.Helper()
	resource := url.QueryEscape(hostName + "/devices/edge1/modules/m1")
	expiry := "4102444800"
	data, err := json.Marshal(map[string][]byte{"data": []byte(resource + "\n" + expiry)})
	if err != nil {
		t.Fatal(err)
	}
	target := "http://workload/modules/m1/genid/" + generation + "/sign?api-version=2018-06-28"
	client := workloadClient(hub.WorkloadURI())
	defer client.CloseIdleConnections()
	response, err := client.Post(target, "application/json", strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var signed struct{ Digest string }
	if err := json.NewDecoder(response.Body).Decode(&signed); err != nil {
		t.Fatal(err)
	}
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(signed.Digest) + "&se=" + expiry
}

// workloadClient returns a client that sends all requests to the workload API.
func workloadClient(uri string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", strings.TrimPrefix(uri, "unix://"))
		},
	}}
}

// options returns the options of edge1/m1 with a token from the workload API.
func options(t *testing.T, hub *hubemulator.Hub, generation string) *paho.ClientOptions {
	t.Helper()
	return paho.NewClientOptions().
		AddBroker("tls://" + hub.MQTTAddr()).
		SetTLSConfig(&tls.Config{RootCAs: hub.CA().Pool(), ServerName: gatewayName}).
		SetProtocolVersion(4).
		SetOrderMatters(false).
		SetMaxReconnectInterval(10 * time.Millisecond).
		SetClientID("edge1/m1").
		SetUsername(hostName + "/edge1/m1/?api-version=2021-04-12&model-id=dtmi:example:Thing;1").
		SetPassword(signedToken(t, hub, generation))
}

func connect(t *testing.T, o *paho.ClientOptions) paho.Client {
	t.Helper()
	client := paho.NewClient(o)
	wait(t, client.Connect())
	t.Cleanup(func() { client.Disconnect(0) })
	return client
}

func wait(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(testTimeout) {
		t.Fatal("no answer from the hub")
	}
	if token.Error() != nil {
		t.Fatal(token.Error())
	}
}

func next[T any](t *testing.T, values <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	select {
	case v := <-values:
		return v
	case <-ctx.Done():
		t.Fatal("nothing arrived")
		panic("unreachable")
	}
}
