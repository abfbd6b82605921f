package module_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/testkit/porttest"
)

// failure is a call that fails.
type failure struct {
	name    string
	before  func() // causes the failure; may be nil
	method  string // tunnelOpen if empty
	payload string
}

// Each failure gets, through the hub, exactly the status and body in testdata/errors.txt,
// and its reason is in the log.
func TestTunnelOpen_errors(t *testing.T) {
	b := newErrorBench(t)
	want := golden(t)
	var names []string
	for _, f := range b.failures(t) {
		names = append(names, f.name)
		t.Run(f.name, func(t *testing.T) {
			if f.before != nil {
				f.before()
			}
			method := f.method
			if method == "" {
				method = "tunnelOpen"
			}
			status, body := b.Invoke(t, method, f.payload)
			got := b.logged(t, status) + " " + anyEndpoint(f.payload, body)
			if d := cmp.Diff(want[f.name], got); d != "" {
				t.Error(d)
			}
		})
	}
	for name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("no failure has the name %q of the file", name)
		}
	}
	b.ends.Wait()
	if n := len(b.remote.tunnels); n != 0 {
		t.Errorf("%d tunnels were opened", n)
	}
}

// golden reads testdata/errors.txt, whose lines are name: REASON status body.
func golden(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/errors.txt")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, answer, _ := strings.Cut(strings.TrimSpace(line), ": ")
		answers[name] = answer
	}
	return answers
}

// anyEndpoint replaces an endpoint that comes back exactly as it was sent by ENDPOINT,
// since the file cannot know its port.
func anyEndpoint(payload, body string) string {
	var request struct{ RemoteEndpoint string }
	_ = json.Unmarshal([]byte(payload), &request)
	return strings.Replace(body, `"target":"`+request.RemoteEndpoint+`"`, `"target":"ENDPOINT"`, 1)
}

// errorBench is a site in which each failure can happen.
type errorBench struct {
	*site
	remote, stranger *remote // the stranger's authority is not trusted
	proxy            *httptest.Server
	proxySays        atomic.Int32 // status of the proxy's responses
	expired          *httptest.Server
	silent           net.Listener
	exhausted        atomic.Bool // look-ups find no descriptor left
	gone             string      // address that refuses connections
	stop             func()
	ends             sync.WaitGroup // a goroutine that calls stop
	held             []tunnel
	lines            int // outcomes in the log that were checked
}

func newErrorBench(t *testing.T) *errorBench {
	t.Helper()
	b := &errorBench{site: newSite(t), remote: newRemote(t), stranger: newRemote(t), silent: listen(t), gone: porttest.Reserve(t)}
	b.trust(t, b.remote.ca.CertPEM())
	b.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(b.proxySays.Load())) }))
	b.expired = expiredRemote(t)
	t.Cleanup(b.proxy.Close)
	b.env["https_proxy"], b.env["no_proxy"] = b.proxy.URL, ".direct.test"
	resolve(t, map[string][4]byte{
		"gw.direct.test.":       {127, 0, 0, 1},
		"metadata.direct.test.": {169, 254, 169, 254},
	}, "silent.direct.test.")
	b.exhaustible()
	front := echo(t)
	b.stop = b.runsWith(t, map[string]any{
		"cameras": map[string]any{
			"front":   at(front, 554),
			"narrow":  map[string]any{"host": "127.0.0.1", "port": at(front, 0).Port, "localPort": 1554, "maxTunnels": 1},
			"gone":    atAddress(t, b.gone, 2554),
			"unknown": map[string]any{"host": "camera.direct.test", "localPort": 3554},
			"silent":  map[string]any{"host": "silent.direct.test", "localPort": 4554},
		},
		"remoteEndpoints": b.allowed(),
		"tunnels":         map[string]any{"max": 2, "cameraTimeoutSeconds": 1, "remoteTimeoutSeconds": 2, "openTimeoutSeconds": 3},
	})
	return b
}

// exhaustible makes look-ups fail while exhausted is set, as if this process had no
// descriptor left.
func (b *errorBench) exhaustible() {
	dial := net.DefaultResolver.Dial
	net.DefaultResolver.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if b.exhausted.Load() {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return dial(ctx, network, address)
	}
}

// allowed has a pattern for each endpoint except gw.example.com.
func (b *errorBench) allowed() map[string]string {
	_, port, _ := net.SplitHostPort(b.remote.Listener.Addr().String())
	return map[string]string{
		"tests": "*.test", "named": "gw.direct.test:" + port, "metadata": "169.254.169.254",
		"remote": b.remote.Listener.Addr().String(), "stranger": b.stranger.Listener.Addr().String(),
		"expired": b.expired.Listener.Addr().String(), "silent": b.silent.Addr().String(), "gone": b.gone,
	}
}

// failures returns all failures in their order. The last ones leave tunnels open, and then
// stop the module.
func (b *errorBench) failures(t *testing.T) []failure {
	t.Helper()
	ask := func(endpoint string, localPort int) string { return payload(endpoint, "tok", localPort) }
	at554 := func(endpoint string) string { return ask(endpoint, 554) }
	good := at554(b.remote.endpoint())
	all := b.badRequests(good, ask)
	for _, status := range []int{301, 302, 401, 403, 404, 409, 429, 500, 502, 503, 599, 200} {
		all = append(all, failure{name: fmt.Sprint("remote says ", status), before: func() { b.remote.refuse(status) }, payload: good})
	}
	upgrade := func(tamper func(http.Header)) func() {
		return func() { b.remote.refuse(0); b.remote.misread(tamper) }
	}
	proxySays := func(status int32) func() { return func() { b.proxySays.Store(status) } }
	proxyIsDown := func() {
		b.apply(t, map[string]any{"proxy": map[string]any{"url": "http://" + b.gone, "noProxy": "127.0.0.1,.direct.test"}})
	}
	all = append(all,
		failure{"remote accepts another", upgrade(func(h http.Header) { h.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") }), "", good},
		failure{"remote compresses", upgrade(func(h http.Header) { h.Set("Sec-WebSocket-Extensions", "permessage-deflate") }), "", good},
		failure{"remote is unknown", upgrade(nil), "", at554("wss://nowhere.direct.test/")},
		failure{"there is no descriptor", func() { b.exhausted.Store(true) }, "", at554("wss://nowhere.direct.test/")},
		failure{"remote refuses", func() { b.exhausted.Store(false) }, "", at554("wss://" + b.gone + "/")},
		failure{"remote is expired", nil, "", at554("wss" + strings.TrimPrefix(b.expired.URL, "https") + "/")},
		failure{"remote has another name", nil, "", at554(strings.Replace(b.remote.endpoint(), "127.0.0.1", "gw.direct.test", 1))},
		failure{"remote is a stranger", nil, "", at554(b.stranger.endpoint())},
		failure{"remote is silent", nil, "", at554("wss://" + b.silent.Addr().String() + "/")},
		failure{"proxy wants a login", proxySays(407), "", at554("wss://gw.proxied.test/")},
		failure{"proxy forbids", proxySays(403), "", at554("wss://gw.proxied.test/")},
		failure{"proxy is down", proxyIsDown, "", at554("wss://gw.proxied.test/")},
		failure{"another method", nil, "reboot", `{}`},
		failure{"the module panics", b.panics, "", ask(b.remote.endpoint(), 555)},
		failure{"camera has its tunnels", b.opens(t, 1554), "", ask(b.remote.endpoint(), 1554)},
		failure{"there are all tunnels", b.opens(t, 554), "", good},
	)
	return append(all,
		failure{"the module ends", b.endsMeanwhile(t), "", at554("wss://" + b.silent.Addr().String() + "/")},
		failure{"tunnels are switched off", b.switchedOff(t), "", good},
	)
}

// badRequests returns the failures whose request alone causes them. good is a valid
// payload.
func (b *errorBench) badRequests(good string, ask func(endpoint string, localPort int) string) []failure {
	at554 := func(endpoint string) string { return ask(endpoint, 554) }
	return []failure{
		{name: "a list", payload: `[1]`},
		{name: "null", payload: `null`},
		{name: "a string", payload: `"x"`},
		{name: "nothing in it", payload: `{}`},
		{name: "no endpoint", payload: strings.Replace(good, "remoteEndpoint", "endpoint", 1)},
		{name: "no token", payload: strings.Replace(good, "remoteAuthorizationToken", "token", 1)},
		{name: "no port", payload: strings.Replace(good, "localPort", "port", 1)},
		{name: "token twice", payload: strings.Replace(good, "{", `{"remoteAuthorizationToken":"t",`, 1)},
		{name: "endpoint of another type", payload: `{"remoteEndpoint":1}`},
		{name: "port of another type", payload: strings.Replace(good, "554", `"554"`, 1)},
		{name: "port with a fraction", payload: strings.Replace(good, "554", `554.0`, 1)},
		{name: "too deep", payload: `{"x":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`},
		{name: "plaintext", payload: at554("ws://gw.direct.test/")},
		{name: "userinfo", payload: at554("wss://user:pass@gw.direct.test/t?a=b")},
		{name: "token with CRLF", payload: payload(b.remote.endpoint(), "a\r\nX: y", 554)},
		{name: "empty token", payload: payload(b.remote.endpoint(), "", 554)},
		{name: "port without a camera", payload: ask(b.remote.endpoint(), 555)},
		{name: "port that is none", payload: ask(b.remote.endpoint(), 70000)},
		{name: "camera refuses", payload: ask(b.remote.endpoint(), 2554)},
		{name: "camera is unknown", payload: ask(b.remote.endpoint(), 3554)},
		{name: "camera is silent", payload: ask(b.remote.endpoint(), 4554)},
		{name: "forbidden by name", payload: at554("wss://gw.example.com/")},
		{name: "forbidden by address", payload: at554("wss://169.254.169.254/")},
		{name: "forbidden by the address of its name", payload: at554("wss://metadata.direct.test/")},
	}
}

// panics makes the next call of tunnelOpen panic, in its log line.
func (b *errorBench) panics() {
	var once sync.Once
	b.log.OnWrite(func(all string) {
		if strings.Contains(all[strings.LastIndex(all[:len(all)-1], "\n")+1:], "tunnel not opened") {
			once.Do(func() { panic("a bug") })
		}
	})
}

// opens opens a tunnel and keeps it open.
func (b *errorBench) opens(t *testing.T, localPort int) func() {
	t.Helper()
	return func() {
		b.log.OnWrite(nil)
		if status, body := b.Invoke(t, "tunnelOpen", payload(b.remote.endpoint(), "tok", localPort)); status != 200 {
			t.Errorf("port %d: %d %s", localPort, status, body)
			return
		}
		b.held = append(b.held, <-b.remote.tunnels)
	}
}

// endsMeanwhile closes the held tunnels, and stops the module during the next call.
func (b *errorBench) endsMeanwhile(t *testing.T) func() {
	t.Helper()
	return func() {
		for _, far := range b.held {
			far.Close()
		}
		b.log.Await(t, closedBy, len(b.held))
		calls := strings.Count(b.log.String(), received)
		b.ends.Go(func() {
			b.log.Await(t, received, calls+1)
			b.stop()
		})
	}
}

// switchedOff runs the module again, with a twin that disables tunnels.
func (b *errorBench) switchedOff(t *testing.T) func() {
	t.Helper()
	return func() {
		b.ends.Wait()
		b.runsWith(t, map[string]any{"tunnels": map[string]any{"enabled": false}})
	}
}

// runsWith changes desired properties, runs the module, and waits until it has applied
// them.
func (b *errorBench) runsWith(t *testing.T, changes map[string]any) (stop func()) {
	t.Helper()
	b.patch(t, changes)
	before := strings.Count(b.log.String(), twinApplied)
	stop = b.run(t)
	b.log.Await(t, twinApplied, before+1)
	return stop
}

// outcome matches the log line of a call that failed.
var outcome = regexp.MustCompile(`(?:tunnel not opened|direct method refused|internal error) .*`)

// logged returns the reason in the log line of the last call, and the status, which the
// line must have too.
func (b *errorBench) logged(t *testing.T, status int) string {
	t.Helper()
	lines := outcome.FindAllString(b.log.String(), -1)
	if len(lines) <= b.lines {
		t.Fatalf("no line for the call:\n%s", b.log)
	}
	b.lines = len(lines)
	last := lines[len(lines)-1]
	if !strings.Contains(last, fmt.Sprint(" code=", status, " ")) {
		t.Errorf("the log line has another code than %d: %s", status, last)
	}
	reason := regexp.MustCompile(` reason=(\w+)`).FindStringSubmatch(last)
	if reason == nil {
		t.Fatalf("the log line has no reason: %s", last)
	}
	return reason[1] + " " + strconv.Itoa(status)
}

// expiredRemote returns a server whose certificate has expired.
func expiredRemote(t *testing.T) *httptest.Server {
	t.Helper()
	old := newCertificate(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	pair, err := tls.X509KeyPair(old.cert, old.key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}
