package module_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/testkit/porttest"
)

// A caller cannot turn the log over: calls that are refused cause a bounded number of lines,
// and no line is long, however many names a caller invents and however long they are.
func TestLog_isBoundedForCallers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.env["RuntimeLogLevel"] = "info"
	_, end := s.running(t, s.process(t))
	s.apply(t, map[string]any{
		"cameras":         map[string]any{"front": atAddress(t, porttest.Reserve(t), 554)},
		"remoteEndpoints": map[string]any{"gateway": "gw.example"},
	})
	host := strings.Repeat(strings.Repeat("x", 60)+".", 100) + "test"
	for i := range 60 {
		endpoint := fmt.Sprintf("wss://%d.%s/", i, host)
		for _, c := range []struct {
			name, payload string
			want          int
		}{
			{"tunnelOpen", payload(endpoint, "tok", 10_000+i), 400},
			{"tunnelOpen", payload(endpoint, "tok", 554), 403},
			{fmt.Sprint(i, strings.Repeat("y", 90)), `{}`, 404},
		} {
			if status, body := s.Invoke(t, c.name, c.payload); status != c.want {
				t.Errorf("%s: %d %s", c.name, status, body)
			}
		}
	}
	end(syscall.SIGTERM)
	lines, refusals := 0, 0
	for line := range strings.Lines(s.log.String()) {
		if !strings.HasPrefix(line, "<") { // the hub's
			continue
		}
		if lines++; len(line) > 2<<10 && !strings.Contains(line, "settings;") {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
		if strings.Contains(line, "tunnel not opened") || strings.Contains(line, "direct method refused") {
			refusals++
		}
	}
	if refusals != 30 || lines > 50 {
		t.Errorf("%d lines, of these %d refusals:\n%s", lines, refusals, s.log)
	}
	for _, reason := range []string{"METHOD_UNKNOWN", "PORT_NOT_ALLOWED", "POLICY_REMOTE"} {
		s.log.AwaitFields(t, 1, "calls=50", "reason="+reason)
	}
}

// SIGHUP ends neither the module nor a tunnel.
func TestMain_SIGHUP(t *testing.T) {
	t.Parallel()
	s, r, cam := newSite(t), newRemote(t), echo(t)
	s.trust(t, r.ca.CertPEM())
	process := s.process(t)
	_, end := s.running(t, process)
	s.apply(t, map[string]any{"cameras": map[string]any{"front": at(cam, 554)}})
	far := s.open(t, r, 554)
	for range 2 {
		if err := process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		far.isOpen(t)
	}
	s.open(t, r, 554).isOpen(t)
	end(syscall.SIGTERM)
}
