package hubemulator_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// limitFiles makes writes beyond size bytes of a file fail in the running process, as on a
// full disk.
func limitFiles(t *testing.T, p *process, size uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// On a full disk the hub refuses changes and loses none that it has answered. It works
// again when there is space.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	p := startProcess(t, newDir(t), "--module", "edge1/m1")
	s := p.service(t)
	createDevice(t, s, "before")
	limitFiles(t, p, 100)
	for range 3 {
		status, body, err := s.do(t.Context(), http.MethodPatch, "/twins/edge1", `{"tags":{"a":1}}`)
		if err != nil || status != 503 || !strings.Contains(string(body), "ErrorCode:ServiceUnavailable;") {
			t.Errorf("patch: %d %s %v, want 503", status, body, err)
		}
	}
	if status, body, err := s.create(t.Context(), "meanwhile"); err != nil || status != 503 {
		t.Errorf("create: %d %s %v, want 503", status, body, err)
	}
	s.must(t, "GET", "/devices/before", "") // it is on disk
	state, err := os.ReadFile(p.stateFile())
	if err != nil {
		t.Fatal(err)
	}
	if loaded, err := store.Load(state); err != nil || len(loaded.Devices()) != 2 {
		t.Errorf("the state is %s, %v; want two devices", state, err)
	}
	if _, err := os.Stat(p.stateFile() + ".tmp"); !os.IsNotExist(err) {
		t.Errorf("the temporary file: %v, want it gone", err)
	}
	limitFiles(t, p, unix.RLIM_INFINITY)
	s.must(t, "PATCH", "/twins/edge1", `{"tags":{"a":2}}`)
	s.must(t, "GET", "/devices/meanwhile", "")
	for _, text := range []string{`"level":"error"`, `"failures":`} {
		if got := strings.Count(p.stderr.String(), text); got != 1 {
			t.Errorf("%s stands in the log %d times, want once:\n%s", text, got, p.stderr)
		}
	}
	limitFiles(t, p, 100)
	if code, _ := p.terminate(t); code != 1 {
		t.Errorf("exit code %d after a failed last write, want 1:\n%s", code, p.stderr)
	}
}
