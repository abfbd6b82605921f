package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/ops/demo"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/rtsptest"
)

// The demo starts this very binary again as the edge module.
func TestMain(m *testing.M) {
	if demo.IsModule(os.Args) {
		os.Exit(demo.Module())
	}
	goleak.VerifyTestMain(m)
}

// run is tunnelctl demo.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	program := cli.Program{Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{demo.Command()}}
	return program.Run(ctx, append([]string{"demo"}, args...), cli.IO{Out: stdout, Err: stderr})
}

const patience = 60 * time.Second // for what takes seconds at most

// tempDir is the demo's temporary folder, which must be empty in the end.
func tempDir(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "rt-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(left) != 0 {
			t.Errorf("left in the temporary folder: %v, %v", left, err)
		}
		_ = os.RemoveAll(dir)
	})
}

var processID = regexp.MustCompile(`process (\d+)`)

// noProcess fails if a module process that the demo named is still there.
func noProcess(t *testing.T, said string) {
	t.Helper()
	for _, m := range processID.FindAllStringSubmatch(said, -1) {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is left: %v", pid, err)
		}
	}
}

func TestOnce_json(t *testing.T) {
	tempDir(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--json", "--verbose", "--port", "0"}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, &stderr)
	}
	var got struct {
		Cameras []demo.Watched `json:"cameras"`
	}
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if dec.More() {
		t.Error("there is more than one object on standard output")
	}
	if len(got.Cameras) != 2 {
		t.Fatalf("%d cameras", len(got.Cameras))
	}
	for _, c := range got.Cameras {
		if c.Error != "" || c.Frames < 100 || c.OpenMillis <= 0 || c.FirstFrameMillis <= 0 || c.BytesUp <= 0 || c.BytesDown <= 0 {
			t.Errorf("watched %+v", c)
		}
		if !strings.HasPrefix(c.URL, "rtsp://127.0.0.1:") || !strings.HasSuffix(c.URL, "/"+c.Name) {
			t.Errorf("URL %s", c.URL)
		}
	}
	// --verbose has put the log lines of every part on standard error.
	for _, want := range []string{"tunnel opened camera=front", `"part":"gateway"`, `"part":"hub emulator"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error has no %s", want)
		}
	}
	logtest.NoSecret(t, stderr.String())
	noProcess(t, stderr.String())
}

var rtspURL = regexp.MustCompile(`(?m)^rtsp://127\.0\.0\.1:\d+/(front|yard)$`)

// A person's demo: two URLs, players come and go, the module is killed and comes
// back, Ctrl-C ends it all.
func TestDemo_forPeople(t *testing.T) {
	tempDir(t)
	out := logtest.New()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	logs := logtest.New()
	go func() { code <- run(ctx, []string{"--port", "0", "--verbose"}, out, logs) }()
	out.Await(t, "Ctrl-C ends everything.", 1)
	urls := rtspURL.FindAllString(out.String(), -1)
	if len(urls) != 2 {
		t.Fatalf("URLs %v in:\n%s", urls, out)
	}
	for _, url := range urls {
		if got, err := rtsptest.Pull(ctx, url, 5); err != nil || got.Frames < 5 {
			t.Errorf("%s: %d frames, %v", url, got.Frames, err)
		}
		for _, player := range []string{"ffplay -rtsp_transport tcp ", "vlc --rtsp-tcp "} {
			if !strings.Contains(out.String(), player+url+"\n") {
				t.Errorf("no %s%s", player, url)
			}
		}
	}
	out.Await(t, "tunnel closed", 2)

	pid, err := strconv.Atoi(processID.FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	out.Await(t, "started again", 1)
	if got, err := rtsptest.Pull(ctx, urls[0], 5); err != nil || got.Frames < 5 {
		t.Errorf("after kill -9: %d frames, %v\n%s", got.Frames, err, out)
	}

	// Two more players are watching when the end comes.
	var watching sync.WaitGroup
	for _, url := range urls {
		watching.Go(func() { _, _ = rtsptest.Pull(t.Context(), url, 10000) })
	}
	out.Await(t, "tunnel opened", 5)
	begin := time.Now()
	interrupt()
	select {
	case got := <-code:
		if got != 0 || time.Since(begin) > 10*time.Second {
			t.Errorf("exit code %d after %s:\n%s", got, time.Since(begin), out)
		}
	case <-time.After(patience):
		t.Fatal("the demo does not end")
	}
	watching.Wait()
	if opened, closed := strings.Count(out.String(), "tunnel opened"), strings.Count(out.String(), "tunnel closed"); opened != closed {
		t.Errorf("%d tunnels opened, %d closed:\n%s", opened, closed, out)
	}
	if !strings.Contains(logs.String(), "rtsptunnel ended") {
		t.Errorf("the module was not ended in order:\n%s", logs)
	}
	logtest.NoSecret(t, out.String()+logs.String())
	noProcess(t, out.String())
}

// readerGone is a pipe whose reader has read two lines and left.
type readerGone struct{ lines int }

func (r *readerGone) Write(p []byte) (int, error) {
	if r.lines++; r.lines > 2 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

func TestDemo_endsWithItsReader(t *testing.T) {
	tempDir(t)
	code := make(chan int, 1)
	go func() { code <- run(t.Context(), []string{"--port", "0"}, &readerGone{}, io.Discard) }()
	select {
	case got := <-code:
		if got != 0 {
			t.Errorf("exit code %d", got)
		}
	case <-time.After(patience):
		t.Fatal("the demo goes on for nobody")
	}
}

func TestOnce_interrupted(t *testing.T) {
	tempDir(t)
	out := logtest.New()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out.OnWrite(func(all string) {
		if strings.Contains(all, "tunnel opened") {
			interrupt()
		}
	})
	if code := run(ctx, []string{"--once", "--port", "0"}, out, out); code != 1 || !strings.HasSuffix(out.String(), "tunnelctl: interrupted\n") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	noProcess(t, out.String())
}

// Another program is the module: it gets what edge agent would give it, and no more, and
// is started again when it ends in order, too.
func TestDemo_anotherModule(t *testing.T) {
	tempDir(t)
	dir := t.TempDir()
	script := "#!/bin/sh\nenv >" + dir + "/env.$$\nexec '" + os.Args[0] + "' rtsptunnel\n"
	program := filepath.Join(dir, "module")
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	out := logtest.New()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"--port", "0", "--module", program}, out, io.Discard) }()
	out.Await(t, "Ctrl-C ends everything.", 1)
	pid, err := strconv.Atoi(processID.FindStringSubmatch(out.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	out.Await(t, "ended by itself (exit status 0)", 1)
	out.Await(t, "started again", 1)
	if got, err := rtsptest.Pull(ctx, rtspURL.FindString(out.String()), 5); err != nil || got.Frames < 5 {
		t.Errorf("%d frames, %v\n%s", got.Frames, err, out)
	}
	interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d:\n%s", got, out)
	}
	noProcess(t, out.String())
	written, err := filepath.Glob(filepath.Join(dir, "env.*"))
	if err != nil || len(written) != 2 {
		t.Fatalf("the program ran %d times, %v", len(written), err)
	}
	env, err := os.ReadFile(written[0])
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(env)) {
		name, _, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, "IOTEDGE_") && !strings.HasPrefix(name, "RTSPTUNNEL_") && name != "RuntimeLogLevel" &&
			!slices.Contains([]string{"PWD", "OLDPWD", "_", "SHLVL"}, name) { // a shell's own
			t.Errorf("it gets %s", name)
		}
	}
	if !strings.Contains(string(env), "IOTEDGE_WORKLOADURI=unix:///") {
		t.Errorf("it gets:\n%s", env)
	}
}

func TestDemo_noSuchModule(t *testing.T) {
	tempDir(t)
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--port", "0", "--module", "/nonexistent"}, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := stderr.String(); !strings.Contains(said, "edge module: ") || !strings.Contains(said, "/nonexistent") {
		t.Errorf("it said: %s", said)
	}
}

// Ctrl-C in the middle of the start, after each step: a clear line, exit code 0,
// nothing left.
func TestDemo_interruptedWhileStarting(t *testing.T) {
	for _, step := range []string{"ports", "hub emulator", "cameras", "gateway", "deployment", "edge module"} {
		t.Run(step, func(t *testing.T) {
			tempDir(t)
			out := logtest.New()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out.OnWrite(func(all string) {
				if strings.Contains(all, "s  "+step) {
					interrupt()
				}
			})
			if code := run(ctx, []string{"--port", "0"}, out, out); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if said := out.String(); !strings.Contains(said, "interrupted") || strings.Contains(said, "rtsp://") {
				t.Errorf("it said:\n%s", said)
			}
			noProcess(t, out.String())
		})
	}
}

// A second demo, or anything else on one of the two ports: a line that says what to
// do, exit code 1, nothing left. The first port must be free again.
func TestDemo_portTaken(t *testing.T) {
	for taken := range 2 {
		tempDir(t)
		first, second := neighbours(t)
		busy := []net.Listener{first, second}[taken]
		free := []net.Listener{first, second}[1-taken]
		free.Close()
		port := strconv.Itoa(first.Addr().(*net.TCPAddr).Port)
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), []string{"--once", "--port", port}, &stdout, &stderr); code != 1 {
			t.Errorf("exit code %d", code)
		}
		if said := stderr.String(); !strings.Contains(said, busy.Addr().String()) || !strings.Contains(said, "--port") {
			t.Errorf("it said: %s", said)
		}
		again, err := net.Listen("tcp", free.Addr().String())
		if err != nil {
			t.Errorf("the free port is still taken: %v", err)
		} else {
			again.Close()
		}
		busy.Close()
	}
}

// neighbours are two listeners on ports n and n+1.
func neighbours(t *testing.T) (first, second net.Listener) {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		next := net.JoinHostPort("127.0.0.1", strconv.Itoa(first.Addr().(*net.TCPAddr).Port+1))
		if second, err = net.Listen("tcp", next); err == nil {
			return first, second
		}
		first.Close()
	}
	t.Fatal("no two ports side by side")
	return nil, nil
}

// Whatever is broken, the error names the hop.
func TestOnce_namesTheHop(t *testing.T) {
	for name, c := range map[string]struct {
		sabotage func(demo.Parts)
		want     map[string]string // camera: its error's beginning
	}{
		"a camera is off": {
			func(p demo.Parts) { p.StopCamera("yard") },
			map[string]string{"front": "", "yard": "camera: tunnelOpen answered 400: Could not connect to RTSP endpoint"},
		},
		"the hub is off": {
			func(p demo.Parts) { p.StopHub() },
			map[string]string{"front": "hub: ", "yard": "hub: "},
		},
		"nobody has these ports": {
			func(p demo.Parts) { p.ForgetPorts() },
			map[string]string{"front": "camera: tunnelOpen answered 400: Local port is not available", "yard": "camera: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tempDir(t)
			watched, err := demo.WatchBroken(t.Context(), c.sabotage)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range watched {
				want := c.want[w.Name]
				if !strings.HasPrefix(w.Error, want) || want == "" && w.Error != "" {
					t.Errorf("camera %s: %q, want %q", w.Name, w.Error, want)
				}
				if want != "" && !strings.Contains(err.Error(), "camera "+w.Name+": "+want) {
					t.Errorf("the error is %v", err)
				}
			}
		})
	}
}

func TestMain_usage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--help"}, 0},
		{[]string{"--json"}, 2},
		{[]string{"--port", "70000"}, 2},
		{[]string{"--port", "-1"}, 2},
		{[]string{"now"}, 2},
		{[]string{"--nope"}, 2},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
		if said := stdout.String() + stderr.String(); !strings.Contains(said, "Usage: tunnelctl demo") && !strings.Contains(said, "\nSee tunnelctl demo --help.\n") {
			t.Errorf("%v does not say how it is used: %s", c.args, said)
		}
	}
}
