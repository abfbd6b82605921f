package module_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module"
)

// opened expects one new tunnel, which it closes, and so many dials of the camera so far.
// Earlier connections were counted when the camera's response comes.
func opened(t *testing.T, r *remote, accepted func() int, dials int) {
	t.Helper()
	far := <-r.tunnels
	defer far.Close()
	far.isOpen(t)
	if n := accepted(); n != dials || len(r.tunnels) != 0 {
		t.Errorf("the camera was dialed %d times, and %d more tunnels were opened", n, len(r.tunnels))
	}
}

// hostilePayloads are changes of a valid payload, with the token canary and the port 554.
func hostilePayloads(good string) map[string]string {
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	long := strings.Repeat("a", 127<<10)
	return map[string]string{
		"128 KB endpoint":             with("/tunnel/1", "/"+long),
		"128 KB token":                with("canary", long),
		"128 KB port":                 with(":554}", ":"+strings.Repeat("5", 127<<10)+"}"),
		"deep":                        with("{", `{"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+","),
		"endpoint twice":              with("{", `{"remoteEndpoint":"wss://other.example.com/",`),
		"token twice":                 with("{", `{"remoteAuthorizationToken":"t",`),
		"port twice in disguise":      with("}", `,"local\u0050ort":554}`),
		"CRLF in the token":           with("canary", `canary\r\nX-Other: y`),
		"NUL in the token":            with("canary", `canary\u0000`),
		"line separator in the token": with("canary", `canary\u2028y`),
		"lone surrogate in the token": with("canary", `canary\ud800`),
		"CRLF in the endpoint":        with("/tunnel", `/\r\nHost: other`),
		"line separator in the host":  with("127.0.0.1", `127.0.0.1\u2029`),
		"lone surrogate in the host":  with("127.0.0.1", `\udfff127.0.0.1`),
		"1e999":                       with(":554}", ":1e999}"),
		"5.54e2":                      with(":554}", ":5.54e2}"),
		"2^64 above the port":         with(":554}", ":18446744073709552170}"),
	}
}

// Hostile payloads that a hub delivers cause no dial, and the log holds nothing of them.
// The tests of package tunnel include payloads that no hub delivers.
func TestTunnelOpen_hostilePayloadsDialNothing(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	cam, accepted := counting(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	good := payload(r.endpoint(), "canary", 554)
	for name, payload := range hostilePayloads(good) {
		status, body := s.Invoke(t, "tunnelOpen", payload)
		var members map[string]string
		if err := json.Unmarshal([]byte(body), &members); err != nil || status != 400 || len(members) != 3 || len(body) > 4<<10 {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	if log := s.log.String(); strings.Contains(log, "canary") || len(log) > 64<<10 {
		t.Errorf("the log holds too much:\n%.4000s", log)
	}
	if status, body := s.Invoke(t, "tunnelOpen", good); status != 200 {
		t.Fatalf("the valid payload: %d %s", status, body)
	}
	opened(t, r, accepted, 1)
}

// Of all port numbers, valid or not, only the camera's local port causes a dial. The
// others get the same response, so that a caller cannot scan for open ports. The test
// calls the module directly, since a hub would take minutes.
func TestMethod_dialsNoPortButTheCameras(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	cam, accepted := counting(t)
	camera := at(cam, 554)
	call := module.MethodOf(t, r.ca.Pool(), `{"desired":{"$version":1,"cameras":{"front":{"host":"127.0.0.1","localPort":554,"port":`+strconv.Itoa(camera.Port)+`}}}}`)
	dials := 0
	ask := func(port int) {
		status, body := call(payload(r.endpoint(), "tok", port))
		want, answer := 400, `{"code":"400","target":"localhost:`+strconv.Itoa(port)+`","message":"Local port is not available"}`
		if port == 554 {
			want, answer = 200, `{}`
		}
		if status != want || body != answer {
			t.Fatalf("port %d: %d %s", port, status, body)
		}
		if port == 554 {
			dials++
			opened(t, r, accepted, dials)
		}
	}
	for port := -1000; port <= 65536; port++ {
		ask(port)
	}
	for _, port := range []int{-65536 + 554, 65536 + 554, -1 << 31, 1<<31 - 1} {
		ask(port)
	}
	ask(554) // no other port has caused a dial
}

// A call that MQTT delivers twice opens one tunnel, and has one response.
func TestTunnelOpen_deliveredTwice(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	cam, accepted := counting(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	if err := s.Faults().Put(faults.Rules{Methods: &faults.Methods{DeliverTwice: true}}); err != nil {
		t.Fatal(err)
	}
	if status, body := s.Invoke(t, "tunnelOpen", payload(r.endpoint(), "tok", 554)); status != 200 || body != "{}" {
		t.Fatalf("%d %s", status, body)
	}
	s.Faults().Clear()
	s.Invoke(t, "another", `{}`) // calls are received in order: both deliveries came before it
	opened(t, r, accepted, 1)
}
