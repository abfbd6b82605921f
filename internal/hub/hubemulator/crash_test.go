package hubemulator_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/hub/hubemulator/store"
)

const (
	crashClients = 8
	sharedTwin   = "/twins/shared"
)

// ledger records the responses to one client over all rounds.
type ledger struct {
	twin    string // path of the twin that only this client changes
	tried   int    // the last value in a request
	n       int    // the last value in a response
	version float64
	etag    string
	devices map[string]string // responses to creations, by path
}

// Several clients change twins and create devices while the process is killed. After the
// next start the hub has everything that a response contained, and no version that a
// client has seen is reverted.
func TestKill_keepsAnsweredChanges(t *testing.T) {
	t.Parallel()
	const rounds = 5
	dir := newDir(t)
	p := startProcess(t, dir)
	s := p.service(t)
	ledgers := make([]*ledger, crashClients)
	for i := range ledgers {
		device := fmt.Sprintf("own%d", i)
		createDevice(t, s, device)
		ledgers[i] = &ledger{twin: "/twins/" + device, devices: make(map[string]string)}
	}
	createDevice(t, s, "shared")
	var seen float64 // the newest version of the shared twin in a response
	for round := range rounds {
		limit := 1 + rand.Int64N(150)
		t.Logf("round %d: killed after %d responses", round, limit)
		reached, answered := make(chan struct{}), atomic.Int64{}
		count := func() {
			if answered.Add(1) == limit {
				close(reached)
			}
		}
		var clients sync.WaitGroup
		for i, l := range ledgers {
			clients.Go(func() { l.change(t, s, fmt.Sprintf("r%d-%d", round, i), count) })
		}
		clients.Go(func() { seen = max(seen, readVersions(t, s)) })
		next(t, reached)
		p.kill(t)
		clients.Wait()

		p = startProcess(t, dir)
		s = p.service(t)
		for _, l := range ledgers {
			l.check(t, s)
		}
		if got := member(t, s.must(t, "GET", sharedTwin, ""), "version").(float64); got < seen {
			t.Errorf("the shared twin has version %v, but a client has seen %v", got, seen)
		}
	}
}

func createDevice(t *testing.T, s *service, device string) {
	t.Helper()
	if status, body, err := s.create(t.Context(), device); err != nil || status != 200 {
		t.Fatalf("create %s: %d %s %v", device, status, body, err)
	}
}

func (s *service) create(ctx context.Context, device string) (int, []byte, error) {
	return s.request(ctx, http.MethodPut, "/devices/"+device, `{"deviceId":"`+device+`"}`, "")
}

// change changes twins and creates devices until the hub does not respond. prefix is the
// prefix of the devices' names.
func (l *ledger) change(t *testing.T, s *service, prefix string, answered func()) {
	t.Helper()
	for i := 0; ; i++ {
		l.tried++
		status, twin, err := s.do(t.Context(), "PATCH", l.twin, fmt.Sprintf(`{"properties":{"desired":{"n":%d}}}`, l.tried))
		if err != nil {
			return
		}
		if status != 200 {
			t.Errorf("patch: %d %s", status, twin)
			return
		}
		l.n, l.version, l.etag = l.tried, member(t, twin, "version").(float64), member(t, twin, "etag").(string)
		answered()
		if status, _, err := s.do(t.Context(), "PATCH", sharedTwin, `{"tags":{"n":1}}`); err != nil || status != 200 {
			return
		}
		device := fmt.Sprintf("%s-%d", prefix, i)
		status, body, err := s.create(t.Context(), device)
		if err != nil {
			return
		}
		if status != 200 {
			t.Errorf("create: %d %s", status, body)
			return
		}
		l.devices["/devices/"+device] = string(body)
		answered()
	}
}

// check compares the hub with the responses. The hub may also have one more change, which
// got no response.
func (l *ledger) check(t *testing.T, s *service) {
	t.Helper()
	twin := s.must(t, "GET", l.twin, "")
	n, _ := member(t, twin, "properties", "desired", "n").(float64)
	version := member(t, twin, "version").(float64)
	if int(n) != l.n && int(n) != l.tried {
		t.Errorf("%s has %v, want %d of the last response or %d of the last request", l.twin, n, l.n, l.tried)
	}
	if l.n > 0 && (version < l.version || version-l.version != n-float64(l.n)) {
		t.Errorf("%s with %v has version %v, the last response %v with %d", l.twin, n, version, l.version, l.n)
	}
	etag := member(t, twin, "etag").(string)
	if int(n) == l.n && l.n > 0 && etag != l.etag {
		t.Errorf("%s has etag %v, the last response %s", l.twin, etag, l.etag)
	}
	// A request that the killed hub did not store is lost: the next round uses its value.
	// One that it stored without a response counts from here as if it had responded: the
	// next round may end before this client gets a response.
	l.tried, l.n, l.version, l.etag = int(n), int(n), version, etag
	for path, want := range l.devices {
		if got := s.must(t, "GET", path, ""); string(got) != want {
			t.Errorf("%s is\n%s, the response was\n%s", path, got, want)
		}
	}
}

// readVersions reads the shared twin until the hub does not respond, and returns the
// newest version.
func readVersions(t *testing.T, s *service) (newest float64) {
	t.Helper()
	for {
		status, twin, err := s.do(t.Context(), "GET", sharedTwin, "")
		if err != nil {
			return newest
		}
		if status != 200 {
			t.Errorf("read: %d %s", status, twin)
			return newest
		}
		newest = max(newest, member(t, twin, "version").(float64))
	}
}

// moduleOptions returns the options of a module that has a key of its own and connects to
// the current process.
func moduleOptions(t *testing.T, p *atomic.Pointer[process]) *paho.ClientOptions {
	t.Helper()
	identity := p.Load().service(t).must(t, "GET", "/devices/edge1/modules/m1", "")
	key := member(t, identity, "authentication", "symmetricKey", "primaryKey").(string)
	token, err := sas.Sign(hostName+"/devices/edge1/modules/m1", "", key, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: p.Load().roots(t), ServerName: hostName}
	return paho.NewClientOptions().
		AddBroker("tls://hub").
		SetCustomOpenConnectionFn(func(_ *url.URL, o paho.ClientOptions) (net.Conn, error) {
			return tls.DialWithDialer(o.Dialer, "tcp", p.Load().values["MQTT"], config)
		}).
		SetProtocolVersion(4).
		SetOrderMatters(false).
		SetCleanSession(false).
		SetMaxReconnectInterval(10 * time.Millisecond).
		SetClientID("edge1/m1").
		SetUsername(hostName + "/edge1/m1/?api-version=2021-04-12").
		SetPassword(token)
}

// A connected module reconnects with the same credentials after the hub was killed and
// started again. It gets the same twin, and its session still has the subscriptions:
// like Microsoft's device SDKs, it does not subscribe again.
func TestKill_connectedModule(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	var current atomic.Pointer[process]
	current.Store(startProcess(t, dir, "--module", "edge1/m1"))
	twins, desired, connected := make(chan string, 10), make(chan string, 10), make(chan struct{}, 10)
	o := moduleOptions(t, &current)
	o.SetResumeSubs(false)
	o.SetOnConnectHandler(func(paho.Client) { connected <- struct{}{} })
	client := connect(t, o)
	next(t, connected)
	wait(t, client.Subscribe("$iothub/twin/res/#", 0, func(_ paho.Client, m paho.Message) { twins <- string(m.Payload()) }))
	wait(t, client.Subscribe("$iothub/twin/PATCH/properties/desired/#", 0, func(_ paho.Client, m paho.Message) { desired <- string(m.Payload()) }))
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, nil))
	wait(t, client.Unsubscribe("$iothub/methods/POST/#")) // its response comes last
	current.Load().kill(t)
	current.Store(startProcess(t, dir, "--module", "edge1/m1"))
	next(t, connected)
	current.Load().service(t).must(t, "PATCH", "/twins/edge1/modules/m1", `{"properties":{"desired":{"a":1}}}`)
	if got, want := next(t, desired), `{"$version":2,"a":1}`; got != want {
		t.Errorf("desired patch %s, want %s", got, want)
	}
	current.Load().kill(t)
	current.Store(startProcess(t, dir, "--module", "edge1/m1"))
	next(t, connected)
	// QoS 0: paho stores other messages, and reports them as sent again while it sends them.
	client.Publish("$iothub/twin/GET/?$rid=1", 0, false, " ")
	if got, want := next(t, twins), `{"desired":{"$version":2,"a":1},"reported":{"$version":1}}`; got != want {
		t.Errorf("twin %s, want %s", got, want)
	}
	status, body, err := current.Load().service(t).do(t.Context(), "POST", methodsPath, `{"methodName":"m","responseTimeoutInSeconds":5}`)
	if err != nil || !strings.Contains(string(body), "404103") {
		t.Errorf("method without a subscription: %d %s %v; want 404103", status, body, err)
	}
}

// SIGTERM ends the process cleanly while clients are connected.
func TestTerminate_withClients(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[process]
	p := startProcess(t, newDir(t), "--module", "edge1/m1")
	current.Store(p)
	client := connect(t, moduleOptions(t, &current).SetAutoReconnect(false))
	called := make(chan struct{}, 1)
	wait(t, client.Subscribe("$iothub/methods/POST/#", 0, func(paho.Client, paho.Message) { called <- struct{}{} }))
	s := p.service(t)
	var clients sync.WaitGroup
	clients.Go(func() { // a call without a response
		_, _, _ = s.do(t.Context(), "POST", methodsPath, `{"methodName":"m","responseTimeoutInSeconds":300}`)
	})
	next(t, called)
	patched, count := make(chan struct{}), atomic.Int64{}
	var last [4]int // the last value in a response to each client
	for i := range last {
		clients.Go(func() {
			for n := 1; ; n++ {
				status, _, err := s.do(t.Context(), "PATCH", "/twins/edge1/modules/m1", fmt.Sprintf(`{"properties":{"desired":{"c%d":%d}}}`, i, n))
				if err != nil || status != 200 {
					return
				}
				last[i] = n
				if count.Add(1) == 40 {
					close(patched)
				}
			}
		})
	}
	next(t, patched)
	code, took := p.terminate(t)
	clients.Wait()
	if code != 0 || took > 10*time.Second {
		t.Errorf("exit code %d after %v, want 0 within 10 s:\n%s", code, took, p.stderr)
	}
	if strings.Contains(p.stderr.String(), `"level":"error"`) {
		t.Errorf("errors in the log:\n%s", p.stderr)
	}
	state, err := os.ReadFile(p.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := store.Load(state)
	if err != nil {
		t.Fatal(err)
	}
	twin, err := loaded.Twin(store.ID{Device: "edge1", Module: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range last {
		value, _ := twin.Desired.Properties[fmt.Sprintf("c%d", i)].(json.Number)
		if got, _ := value.Int64(); got < int64(n) {
			t.Errorf("client %d has a response with %d, the state has %d", i, n, got)
		}
	}
}
