package rest_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/rest"
	"rtsptunnel/internal/hub/hubemulator/rollout"
	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/hub/hubemulator/store"
)

const (
	hostName = "hub.example"
	policy   = "owner"
	version  = "?api-version=2021-04-12"
	twinPath = "/twins/d1/modules/m1"
)

var module = store.ID{Device: "d1", Module: "m1"}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// env is a server of the API over TLS, with a store and without connected devices.
type env struct {
	store  *store.Store
	key    string
	server *httptest.Server
}

func start(t *testing.T) *env {
	t.Helper()
	return startWith(t, rest.Options{})
}

// startWith starts a server with the options that o sets, and defaults for the others.
func startWith(t *testing.T, o rest.Options) *env {
	t.Helper()
	e := &env{store: store.New(), key: newKey()}
	if _, err := e.store.Ensure(module); err != nil {
		t.Fatal(err)
	}
	devices, err := broker.New(broker.Options{Store: e.store, HostName: hostName, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if o.Rollout, err = rollout.New(rollout.Options{Store: e.store, Drop: devices.Drop}); err != nil {
		t.Fatal(err)
	}
	o.Store, o.Broker, o.HostNames = e.store, devices, []string{hostName, "localhost"}
	o.PolicyName, o.PolicyKey = policy, e.key
	e.server = httptest.NewTLSServer(rest.New(o))
	t.Cleanup(func() {
		e.server.Close()
		if err := devices.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func newKey() string {
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

func sign(t *testing.T, resource, policy, key string, life time.Duration) string {
	t.Helper()
	token, err := sas.Sign(resource, policy, key, time.Now().Add(life))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// message returns the error body's Message.
func (a answer) message(t *testing.T) string {
	t.Helper()
	var document struct{ Message, ExceptionMessage string }
	if err := json.Unmarshal(a.body, &document); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	if document.ExceptionMessage == "" {
		t.Error("no ExceptionMessage")
	}
	return document.Message
}

// do sends a request with headers as pairs of name and value. The default Authorization
// is the owner's.
func (e *env) do(t *testing.T, method, target, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, e.server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", sign(t, hostName, policy, e.key, time.Hour))
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := e.server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); response.StatusCode != http.StatusNoContent && !strings.HasPrefix(got, "application/json") {
		t.Errorf("%s: content type %q, want application/json", target, got)
	}
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: raw}
}

func TestAuthorization(t *testing.T) {
	e := start(t)
	tests := []struct {
		name, token string
		want        int
	}{
		{"owner", sign(t, hostName, policy, e.key, time.Hour), 200},
		{"host with a port", sign(t, "localhost:8443", policy, e.key, time.Hour), 200},
		{"escaped twice", sign(t, url.QueryEscape(hostName+"/twins"), policy, e.key, time.Hour), 200},
		{"none", "", 401},
		{"bad signature", sign(t, hostName, policy, newKey(), time.Hour), 401},
		{"wrong audience", sign(t, "hub2.example", policy, e.key, time.Hour), 401},
		{"another twin's", sign(t, hostName+"/twins/d2", policy, e.key, time.Hour), 401},
		{"expired", sign(t, hostName, policy, e.key, -time.Second), 401},
		{"other policy", sign(t, hostName, "service", e.key, time.Hour), 401},
		{"no policy", sign(t, hostName, "", e.key, time.Hour), 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := e.do(t, "GET", twinPath+version, "", "Authorization", tt.token)
			if got.status != tt.want {
				t.Fatalf("status %d, want %d", got.status, tt.want)
			}
			if tt.want != 200 && !strings.HasPrefix(got.message(t), "ErrorCode:IotHubUnauthorizedAccess;") {
				t.Errorf("message %q", got.message(t))
			}
		})
	}
}

// The log has the reason for a refused token, for each of the hub's names. The response
// does not.
func TestAuthorization_logHasReason(t *testing.T) {
	var log bytes.Buffer // written before a response, read after it
	e := startWith(t, rest.Options{Log: zerolog.New(&log)})
	tests := []struct{ name, token, want string }{
		{"bad signature", sign(t, hostName, policy, newKey(), time.Hour), "bad signature"},
		{"wrong audience", sign(t, "hub2.example", policy, e.key, time.Hour), `wrong audience: token is for \"hub2.example\", not for \"` + hostName},
		{"expired", sign(t, hostName, policy, e.key, -time.Second), "expired token"},
		{"expired, for localhost", sign(t, "localhost", policy, e.key, -time.Second), "expired token"},
		{"other policy", sign(t, hostName, "service", e.key, time.Hour), "unknown policy"},
		{"none", "", "malformed token"},
	}
	for _, tt := range tests {
		log.Reset()
		got := e.do(t, "GET", twinPath+version, "", "Authorization", tt.token)
		if want := "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"; got.message(t) != want {
			t.Errorf("%s: message %q, want %q", tt.name, got.message(t), want)
		}
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, tt.want) || strings.Contains(text, "sig=") {
			t.Errorf("%s: want one line with %q and no token, got %s", tt.name, tt.want, text)
		}
	}
}

func TestErrors(t *testing.T) {
	const methods = twinPath + "/methods" + version
	large := strings.Repeat("x", 129*1024)
	e := start(t)
	tests := []struct {
		name, method, target, body string
		status                     int
		code                       string
	}{
		{"no api-version", "GET", twinPath, "", 400, "ArgumentInvalid"},
		{"unknown route", "GET", "/nothing" + version, "", 404, "NotFound"},
		{"empty segment", "GET", "//devices" + version, "", 404, "NotFound"},
		{"dots", "GET", "/twins/../devices" + version, "", 404, "NotFound"},
		{"unknown device", "GET", "/twins/d2" + version, "", 404, "DeviceNotFound"},
		{"unknown module", "GET", "/twins/d1/modules/m2" + version, "", 404, "ModuleNotFound"},
		{"unknown device's module", "GET", "/twins/d2/modules/m1" + version, "", 404, "DeviceNotFound"},
		{"patch unknown module", "PATCH", "/twins/d1/modules/m2" + version, `{"properties":{"desired":{}}}`, 404, "ModuleNotFound"},
		{"patch no JSON", "PATCH", twinPath + version, `{`, 400, "ArgumentInvalid"},
		{"patch no object", "PATCH", twinPath + version, `{"properties":{"desired":[]}}`, 400, "ArgumentInvalid"},
		{"patch tags null", "PATCH", twinPath + version, `{"tags":null}`, 400, "ArgumentInvalid"},
		{"patch beyond a limit", "PATCH", twinPath + version, `{"tags":{"a.b":1}}`, 400, "ArgumentInvalid"},
		{"put unknown module", "PUT", "/twins/d1/modules/m2" + version, `{"tags":{}}`, 404, "ModuleNotFound"},
		{"method of unknown device", "POST", "/twins/d2/methods" + version, `{"methodName":"m"}`, 404, "DeviceNotFound"},
		{"method of unknown module", "POST", "/twins/d1/modules/m2/methods" + version, `{"methodName":"m"}`, 404, "ModuleNotFound"},
		{"method no JSON", "POST", methods, `{"methodName"`, 400, "ArgumentInvalid"},
		{"method no name", "POST", methods, `{}`, 400, "ArgumentInvalid"},
		{"method bad name", "POST", methods, `{"methodName":"a/#"}`, 400, "ArgumentInvalid"},
		{"method name too long", "POST", methods, `{"methodName":"` + strings.Repeat("é", 101) + `"}`, 400, "ArgumentInvalid"},
		{"method name with properties", "POST", methods, `{"methodName":"m/?$rid=1"}`, 400, "ArgumentInvalid"},
		{"method name with a question mark", "POST", methods, `{"methodName":"m?a=b"}`, 400, "ArgumentInvalid"},
		{"method name with a newline", "POST", methods, `{"methodName":"a\n"}`, 400, "ArgumentInvalid"},
		{"response timeout 4", "POST", methods, `{"methodName":"m","responseTimeoutInSeconds":4}`, 400, "ArgumentInvalid"},
		{"response timeout 301", "POST", methods, `{"methodName":"m","responseTimeoutInSeconds":301}`, 400, "ArgumentInvalid"},
		{"connect timeout -1", "POST", methods, `{"methodName":"m","connectTimeoutInSeconds":-1}`, 400, "ArgumentInvalid"},
		{"connect timeout 301", "POST", methods, `{"methodName":"m","connectTimeoutInSeconds":301}`, 400, "ArgumentInvalid"},
		{"payload too large", "POST", methods, `{"methodName":"m","payload":"` + large + `"}`, 413, "MessageTooLarge"},
		{"request too large", "POST", methods, `{"payload":"` + strings.Repeat(large, 5) + `"}`, 413, "MessageTooLarge"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := e.do(t, tt.method, tt.target, tt.body)
			if got.status != tt.status || got.header.Get("iothub-errorcode") != tt.code {
				t.Errorf("got %d %q, want %d %q", got.status, got.header.Get("iothub-errorcode"), tt.status, tt.code)
			}
			if want := "ErrorCode:" + tt.code + ";"; !strings.HasPrefix(got.message(t), want) {
				t.Errorf("message %q, want prefix %q", got.message(t), want)
			}
		})
	}
}

func TestMethod_offline(t *testing.T) {
	e := start(t)
	for _, target := range []string{"/twins/d1/methods", twinPath + "/methods"} {
		got := e.do(t, "POST", target+version, `{"methodName":"`+strings.Repeat("é", 100)+`","responseTimeoutInSeconds":5}`)
		if got.status != 404 || got.header.Get("iothub-errorcode") != "DeviceNotOnline" {
			t.Errorf("%s: got %d %q", target, got.status, got.header.Get("iothub-errorcode"))
		}
		var inner struct {
			ErrorCode int    `json:"errorCode"`
			Message   string `json:"message"`
		}
		if err := json.Unmarshal([]byte(got.message(t)), &inner); err != nil {
			t.Fatal(err)
		}
		if inner.ErrorCode != 404103 || inner.Message != "Timed out waiting for device to connect." {
			t.Errorf("%s: got %+v", target, inner)
		}
	}
}
