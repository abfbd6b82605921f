package module_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module"
)

// openedOnce expects one tunnel, to a camera that was dialled once: whoever was let in
// before has been counted when it answers.
func openedOnce(t *testing.T, r *remote, accepted func() int) {
	t.Helper()
	far := <-r.tunnels
	defer far.Close()
	far.isOpen(t)
	if n := accepted(); n != 1 || len(r.tunnels) != 0 {
		t.Errorf("the camera was dialled %d times, %d tunnels too many were opened", n, len(r.tunnels))
	}
}

// What a hub lets through and nobody who means well sends: no camera and no remote end
// hears of it, and the log tells nothing of it. Package tunnel tries what no hub lets
// through, too.
func TestTunnelOpen_hostilePayloadsDialNothing(t *testing.T) {
	t.Parallel()
	s, r := newSite(t), newRemote(t)
	cam, accepted := counting(t)
	s.trust(t, r.ca.CertPEM())
	s.run(t)
	s.desire(t, map[string]camera{"front": at(cam, 554)})
	good := payload(r.endpoint(), "canary", 554)
	with := func(old, replacement string) string { return strings.Replace(good, old, replacement, 1) }
	long := strings.Repeat("a", 127<<10)
	for name, payload := range map[string]string{
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
	} {
		status, body := s.Invoke(t, "tunnelOpen", payload)
		var members map[string]string
		if err := json.Unmarshal([]byte(body), &members); err != nil || status != 400 || len(members) != 3 || len(body) > 4<<10 {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
	if log := s.log.String(); strings.Contains(log, "canary") || len(log) > 64<<10 {
		t.Errorf("the log tells too much:\n%.4000s", log)
	}
	if status, body := s.Invoke(t, "tunnelOpen", good); status != 200 {
		t.Fatalf("the good one: %d %s", status, body)
	}
	openedOnce(t, r, accepted)
}

// Of all ports there are, and of those that cannot be, the one that a camera has is
// dialled, and the others are answered alike: nobody can look for open ports. The
// module is called as the hub connection calls it; a hub would take minutes.
func TestMethod_dialsNoPortButTheCameras(t *testing.T) {
	t.Parallel()
	r := newRemote(t)
	cam, accepted := counting(t)
	camera := at(cam, 554)
	call := module.MethodOf(t, r.ca.Pool(), `{"desired":{"$version":1,"cameras":{"front":{"host":"127.0.0.1","localPort":554,"port":`+strconv.Itoa(camera.Port)+`}}}}`)
	ask := func(port int) {
		status, body := call(payload(r.endpoint(), "tok", port))
		want, answer := 400, `{"code":"400","target":"localhost:`+strconv.Itoa(port)+`","message":"Local port is not available"}`
		if port == 554 {
			want, answer = 200, `{}`
		}
		if status != want || body != answer {
			t.Fatalf("port %d: %d %s", port, status, body)
		}
	}
	for port := -1000; port <= 65536; port++ {
		ask(port)
	}
	for _, port := range []int{-65536 + 554, 65536 + 554, -1 << 31, 1<<31 - 1} {
		ask(port)
	}
	openedOnce(t, r, accepted)
}

// A call that MQTT delivers twice opens one tunnel, and both deliveries get its answer.
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
	s.log.Await(t, `"status":200,"message":"method answer without a pending call dropped"`, 1) // the second one
	openedOnce(t, r, accepted)
}
