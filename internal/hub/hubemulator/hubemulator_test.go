package hubemulator_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/testkit/porttest"
)

const methodsPath = "/twins/edge1/modules/m1/methods"

// A module logs in with a token of the workload API. A service reads its model id and
// reported properties, and calls a method.
func TestHub_endToEnd(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	client := connect(t, options(t, hub, generation))
	answers := make(chan paho.Message, 10)
	wait(t, client.Subscribe("$iothub/twin/res/#", 0, func(_ paho.Client, m paho.Message) { answers <- m }))
	wait(t, client.Publish("$iothub/twin/PATCH/properties/reported/?$rid=1", 1, false, `{"state":"up"}`))
	next(t, answers)
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
		_, rid, _ := strings.Cut(m.Topic(), "?$rid=")
		c.Publish("$iothub/methods/res/400/?$rid="+rid, 0, false, m.Payload())
	}))

	s := newService(t, hub)
	twin := s.must(t, "GET", "/twins/edge1/modules/m1", "")
	for _, want := range []string{`"modelId":"dtmi:example:Thing;1"`, `"state":"up"`} {
		if !strings.Contains(string(twin), want) {
			t.Errorf("twin lacks %s: %s", want, twin)
		}
	}
	got := s.must(t, "POST", methodsPath, `{"methodName":"m","payload":{"a":[1,null,"<>"]}}`)
	var answer struct {
		Status  int
		Payload any
	}
	if err := json.Unmarshal(got, &answer); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": []any{1.0, nil, "<>"}}
	if diff := cmp.Diff(want, answer.Payload); answer.Status != 400 || diff != "" {
		t.Errorf("status %d, want 400; payload (-want +got):\n%s", answer.Status, diff)
	}
}

func TestMethod_answers(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	client := connect(t, options(t, hub, generation))
	const largest = 128 * 1024
	answers := map[string]string{
		"empty": "", "garbage": "{",
		"largest": `"` + strings.Repeat("x", largest-2) + `"`, "larger": `"` + strings.Repeat("x", largest-1) + `"`,
	}
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
		path, rid, _ := strings.Cut(m.Topic(), "/?$rid=")
		c.Publish("$iothub/methods/res/200/?$rid="+rid, 0, false, answers[strings.TrimPrefix(path, "$iothub/methods/POST/")])
	}))
	s := newService(t, hub)
	if got, want := string(s.must(t, "POST", methodsPath, `{"methodName":"empty"}`)), `{"status":200,"payload":null}`+"\n"; got != want {
		t.Errorf("empty answer: got %s, want %s", got, want)
	}
	if got := s.must(t, "POST", methodsPath, `{"methodName":"largest"}`); len(got) < largest {
		t.Errorf("the largest response: got %d bytes", len(got))
	}
	for _, name := range []string{"garbage", "larger"} {
		status, body, err := s.do(t.Context(), "POST", methodsPath, `{"methodName":"`+name+`"}`)
		if err != nil || status != 502 || !strings.Contains(string(body), "BadDeviceResponse") {
			t.Errorf("%s: got %d %.200s %v, want 502", name, status, body, err)
		}
	}
}

// The test takes five seconds, the shortest response timeout that REST allows.
func TestMethod_noAnswer(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	client := connect(t, options(t, hub, generation))
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, nil))
	status, body, err := newService(t, hub).do(t.Context(), "POST", methodsPath, `{"methodName":"m","responseTimeoutInSeconds":5}`)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{\"errorCode\":504101,`; status != 504 || !strings.Contains(string(body), want) {
		t.Errorf("got %d %s, want 504 with %s", status, body, want)
	}
}

func TestDrop_thenReconnect(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	lost := make(chan struct{}, 1)
	o := options(t, hub, generation)
	o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
	o.SetOnConnectHandler(func(c paho.Client) {
		c.Subscribe("$iothub/methods/POST/#", 0, func(c paho.Client, m paho.Message) {
			_, rid, _ := strings.Cut(m.Topic(), "?$rid=")
			c.Publish("$iothub/methods/res/200/?$rid="+rid, 0, false, "{}")
		})
	})
	connect(t, o)
	hub.Drop("edge1", "m1")
	next(t, lost)
	newService(t, hub).must(t, "POST", methodsPath, `{"methodName":"m","connectTimeoutInSeconds":10}`)
}

func TestClose_withClientsAndPendingCall(t *testing.T) {
	t.Parallel()
	hub, err := hubemulator.Start(hubemulator.Options{HostName: hostName, GatewayName: gatewayName, Dir: newDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	generation, err := hub.AddModule("edge1", "m1")
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, options(t, hub, generation).SetAutoReconnect(false))
	called := make(chan struct{})
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(paho.Client, paho.Message) { close(called) }))
	s := newService(t, hub)
	done := make(chan struct{})
	go func() {
		defer close(done)
		status, _, err := s.do(t.Context(), "POST", methodsPath, `{"methodName":"m","responseTimeoutInSeconds":300}`)
		if err == nil && status != 503 {
			t.Errorf("status %d, want 503 or a closed connection", status)
		}
	}()
	next(t, called)
	closeHub(t, hub)
	<-done
	if _, err := os.Stat(strings.TrimPrefix(hub.WorkloadURI(), "unix://")); !os.IsNotExist(err) {
		t.Errorf("the workload socket is still there: %v", err)
	}
}

func TestStart_reusesFiles(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	var keys [2]string
	var authority [2][]byte
	for i := range 2 {
		hub, err := hubemulator.Start(hubemulator.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		_, key, _ := cut3(hub.OwnerConnectionString())
		keys[i], authority[i] = key, hub.CA().CertPEM()
		closeHub(t, hub)
	}
	if keys[0] != keys[1] || keys[0] == "" {
		t.Error("the owner key changed between starts")
	}
	if diff := cmp.Diff(authority[0], authority[1]); diff != "" {
		t.Error("the authority changed between starts")
	}
	for name, want := range map[string]os.FileMode{".": 0o700, "ca.pem": 0o644, "ca-key.pem": 0o600, "owner-key": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %o, want %o", name, got, want)
		}
	}
}

func TestStart_closesListenersAfterAnError(t *testing.T) {
	t.Parallel()
	taken, _ := start(t)
	addr := porttest.Reserve(t)
	if _, err := hubemulator.Start(hubemulator.Options{Dir: newDir(t), HTTPS: addr, MQTT: taken.MQTTAddr()}); err == nil {
		t.Fatal("started")
	}
	again, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatalf("the HTTPS port is still taken: %v", err)
	}
	again.Close()
}

// cut3 splits a connection string into host, key and policy name.
func cut3(text string) (host, key, policy string) {
	parts := strings.SplitN(text, ";", 3)
	return strings.TrimPrefix(parts[0], "HostName="), strings.TrimPrefix(parts[2], "SharedAccessKey="),
		strings.TrimPrefix(parts[1], "SharedAccessKeyName=")
}

func TestStart_refused(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	socketDir := filepath.Dir(strings.TrimPrefix(hub.WorkloadURI(), "unix://"))
	badKey := newDir(t)
	if err := os.MkdirAll(badKey, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(badKey, "owner-key"), []byte("*"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		options hubemulator.Options
		want    string
	}{
		{"no directory", hubemulator.Options{}, "no directory"},
		{"HTTPS port taken", hubemulator.Options{Dir: newDir(t), HTTPS: hub.HTTPSAddr()}, hub.HTTPSAddr() + " is taken, stop"},
		{"MQTT port taken", hubemulator.Options{Dir: newDir(t), MQTT: hub.MQTTAddr()}, hub.MQTTAddr() + " is taken, stop"},
		{"directory in use", hubemulator.Options{Dir: socketDir}, "in use by another hub emulator"},
		{"owner key garbage", hubemulator.Options{Dir: badKey}, "holds no base64 key"},
		{"no such address", hubemulator.Options{Dir: newDir(t), MQTT: "nonsense"}, "listen for MQTT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			other, err := hubemulator.Start(tt.options)
			if err == nil {
				closeHub(t, other)
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
		})
	}
	// The running hub still works.
	newService(t, hub).must(t, "GET", "/twins/edge1", "")
}

func TestCertificate_names(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	for _, addr := range []string{hub.HTTPSAddr(), hub.MQTTAddr()} {
		for _, name := range []string{hostName, gatewayName, "localhost", "127.0.0.1"} {
			conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: hub.CA().Pool(), ServerName: name})
			if err != nil {
				t.Errorf("%s as %s: %v", addr, name, err)
				continue
			}
			_ = conn.Close()
		}
		old := &tls.Config{RootCAs: hub.CA().Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		if conn, err := tls.Dial("tcp", addr, old); err == nil {
			_ = conn.Close()
			t.Errorf("%s: accepted TLS 1.1", addr)
		}
	}
}

func TestAddModule(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	again, err := hub.AddModule("edge1", "m1")
	if err != nil || again != generation || generation == "" {
		t.Errorf("second time: generation %q, %v; want %q", again, err, generation)
	}
	if _, err := hub.AddModule("edge 1", "m1"); !errors.Is(err, store.ErrInvalidID) {
		t.Errorf("got %v, want %v", err, store.ErrInvalidID)
	}
}

func TestOwnerConnectionString_port(t *testing.T) {
	t.Parallel()
	hub, _ := start(t)
	host, _, policy := cut3(hub.OwnerConnectionString())
	_, port, err := net.SplitHostPort(hub.HTTPSAddr())
	if err != nil {
		t.Fatal(err)
	}
	if want := "localhost:" + port; host != want || policy != "iothubowner" {
		t.Errorf("host %s, policy %s; want %s, iothubowner", host, policy, want)
	}
}
