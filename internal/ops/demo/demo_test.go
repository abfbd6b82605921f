package demo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
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

// The demo starts this binary again as the edge module and as the gateway.
func TestMain(m *testing.M) {
	if demo.IsPart(os.Args) {
		os.Exit(demo.Part(os.Args))
	}
	goleak.VerifyTestMain(m)
}

// run is tunnelctl demo.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	program := cli.Program{Name: "tunnelctl", Brief: "test", Commands: []*cli.Command{demo.Command()}}
	return program.Run(ctx, append([]string{"demo"}, args...), cli.IO{Out: stdout, Err: stderr, Lookup: os.LookupEnv})
}

const patience = 60 * time.Second // for steps that take seconds at most

// tempDir gives the demo a temporary folder, which must be empty at the end.
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

// noProcess fails if a process that the demo named still exists.
func noProcess(t *testing.T, output string) {
	t.Helper()
	for _, m := range processID.FindAllStringSubmatch(output, -1) {
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
	if code := run(t.Context(), []string{"--once", "--json", "--verbose", "--port", "0", "--page-port", "0"}, &stdout, &stderr); code != 0 {
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
		if want := map[string]string{"mse": "ok", "hls": "ok", "still": "ok", "rtsp-ws": "ok"}; !maps.Equal(c.Outputs, want) {
			t.Errorf("outputs for browsers %v", c.Outputs)
		}
		if !rtspURL.MatchString(c.URL) || !strings.Contains(c.URL, "/"+c.Name+"?") {
			t.Errorf("URL %s", c.URL)
		}
	}
	// --verbose writes the log lines of all parts to standard error.
	for _, want := range []string{"tunnel opened camera=front", `"message":"tunnelgateway starts"`, `"part":"hub emulator"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error has no %s", want)
		}
	}
	logtest.NoSecret(t, stderr.String())
	noProcess(t, stderr.String())
}

var rtspURL = regexp.MustCompile(`(?m)^rtsp://127\.0\.0\.1:\d+/edge1/(front|yard|camera1)\?token=rtt_[\w-]{43}$`)

// running is a demo that runs until interrupt.
type running struct {
	out, logs *logtest.Record
	interrupt context.CancelFunc
	code      chan int
}

// startDemo starts the demo with free ports and waits until it invites to watch.
func startDemo(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	t.Cleanup(interrupt)
	d := &running{out: logtest.New(), logs: logtest.New(), interrupt: interrupt, code: make(chan int, 1)}
	go func() {
		d.code <- run(ctx, append([]string{"--port", "0", "--page-port", "0"}, args...), d.out, d.logs)
	}()
	d.out.Await(t, "Ctrl-C ends everything.", 1)
	return d
}

// end interrupts the demo, which must exit with 0 in ten seconds and leave nothing.
func (d *running) end(t *testing.T) {
	t.Helper()
	begin := time.Now()
	d.interrupt()
	if code := exitCode(t, d.code); code != 0 || time.Since(begin) > 10*time.Second {
		t.Errorf("exit code %d after %s:\n%s", code, time.Since(begin), d.out)
	}
	noProcess(t, d.out.String())
}

// exitCode waits for the exit code of a demo.
func exitCode(t *testing.T, code <-chan int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case got := <-code:
		return got
	case <-ctx.Done():
		t.Fatal("the demo does not end")
		return -1
	}
}

// The parts that are processes, in the order of their first start.
const (
	edgeModule = iota
	gateway
)

// pid is the first process of a part.
func (d *running) pid(t *testing.T, part int) int {
	t.Helper()
	pid, err := strconv.Atoi(processID.FindAllStringSubmatch(d.out.String(), -1)[part][1])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// signal sends a signal to the first process of a part.
func (d *running) signal(t *testing.T, part int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(d.pid(t, part), signal); err != nil {
		t.Fatal(err)
	}
}

// watch pulls a few frames from a URL.
func (d *running) watch(t *testing.T, url string) {
	t.Helper()
	if got, err := rtsptest.Pull(t.Context(), url, 5); err != nil || got.Frames < 5 {
		t.Errorf("%s: %d frames, %v\n%s", url, got.Frames, err, d.out)
	}
}

// A person's demo: two URLs on one port, players come and go, module and gateway are killed
// and come back, and Ctrl-C ends everything under two tunnels.
func TestDemo_forPeople(t *testing.T) {
	tempDir(t)
	d := startDemo(t, "--verbose")
	urls := rtspURL.FindAllString(d.out.String(), -1)
	if len(urls) != 2 {
		t.Fatalf("URLs %v in:\n%s", urls, d.out)
	}
	for _, url := range urls {
		d.watch(t, url)
		for _, player := range []string{"ffplay -rtsp_transport tcp ", "vlc --rtsp-tcp "} {
			if !strings.Contains(d.out.String(), player+"'"+url+"'\n") {
				t.Errorf("no %s%s", player, url)
			}
		}
	}
	d.out.Await(t, "viewer ended", 2)
	if port := regexp.MustCompile(`:\d+/`); port.FindString(urls[0]) != port.FindString(urls[1]) {
		t.Errorf("two ports: %v", urls)
	}

	stranger, _, _ := strings.Cut(urls[0], "?")
	if _, err := rtsptest.Pull(t.Context(), stranger+"?token=rtt_"+strings.Repeat("A", 43), 1); err == nil {
		t.Error("a player with another token gets video")
	}
	d.out.Await(t, "a valid token is required (ACCESS_LOGIN)", 1)

	d.signal(t, edgeModule, syscall.SIGKILL)
	d.out.Await(t, "edge module     started again", 1)
	d.watch(t, urls[0])
	d.signal(t, gateway, syscall.SIGKILL)
	d.out.Await(t, "gateway         started again", 1)
	d.logs.Await(t, `"message":"cameras changed"`, 2)
	d.watch(t, urls[0])

	var watching sync.WaitGroup
	for _, url := range urls {
		watching.Go(func() { _, _ = rtsptest.Pull(t.Context(), url, 10000) })
	}
	d.out.Await(t, "viewer started", 6)
	before := strings.Count(d.out.String(), "viewer ended")
	d.end(t)
	watching.Wait()
	told := regexp.MustCompile(`viewer ended .* SHUTTING_DOWN`).FindAllString(d.out.String(), -1)
	if got := len(told); got != 2 || strings.Count(d.out.String(), "viewer ended") != before+2 {
		t.Errorf("%d viewers were told that the gateway shuts down:\n%s", got, d.out)
	}
	if !strings.Contains(d.logs.String(), "rtsptunnel ended") || !strings.Contains(d.logs.String(), "tunnelgateway ended") {
		t.Errorf("module and gateway were not stopped in order:\n%s", d.logs)
	}
	logtest.NoSecret(t, d.logs.String())
	if strings.Contains(d.logs.String(), "rtt_") {
		t.Error("a token is in the log")
	}
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
	if got := exitCode(t, code); got != 0 {
		t.Errorf("exit code %d", got)
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

// Another program as the module: its environment is the one that edge agent gives, and no
// more. The demo starts it again, also after exit code 0.
func TestDemo_anotherModule(t *testing.T) {
	tempDir(t)
	dir := t.TempDir()
	script := "#!/bin/sh\nenv >" + dir + "/env.$$\nexec '" + os.Args[0] + "' rtsptunnel\n"
	program := filepath.Join(dir, "module")
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, "--module", program)
	d.signal(t, edgeModule, syscall.SIGTERM)
	d.out.Await(t, "ended unexpectedly (exit status 0)", 1)
	d.out.Await(t, "started again", 1)
	d.watch(t, rtspURL.FindString(d.out.String()))
	d.end(t)
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
			!slices.Contains([]string{"PWD", "OLDPWD", "_", "SHLVL"}, name) { // the shell sets these
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
	if output := stderr.String(); !strings.Contains(output, "edge module: ") || !strings.Contains(output, "/nonexistent") {
		t.Errorf("it wrote: %s", output)
	}
}

// Ctrl-C after each step of the start: a message, exit code 0, and nothing is left.
func TestDemo_interruptedWhileStarting(t *testing.T) {
	for _, step := range []string{"ports", "hub emulator", "cameras", "deployment", "edge module", "hub connection"} {
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
			if output := out.String(); !strings.Contains(output, "interrupted") || strings.Contains(output, "rtsp://") {
				t.Errorf("it wrote:\n%s", output)
			}
			noProcess(t, out.String())
		})
	}
}

// The error names the hop that failed.
func TestOnce_namesTheHop(t *testing.T) {
	for name, c := range map[string]struct {
		sabotage func(demo.Parts)
		want     map[string]string // camera: its error's beginning
	}{
		"a camera is off": {
			func(p demo.Parts) { p.StopCamera("yard") },
			map[string]string{"front": "", "yard": "camera: the camera refused the connection"},
		},
		"the hub is off": {
			func(p demo.Parts) { p.StopHub() },
			map[string]string{"front": "hub: ", "yard": "hub: "},
		},
		"the module lacks these ports": {
			func(p demo.Parts) { p.ChangePorts() },
			map[string]string{"front": "module: no camera has this local port", "yard": "module: "},
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

func TestDemo_usage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--help"}, 0},
		{[]string{"--json"}, 2},
		{[]string{"--port", "70000"}, 2},
		{[]string{"--camera", "http://10.0.0.9/"}, 2},
		{[]string{"--port", "-1"}, 2},
		{[]string{"now"}, 2},
		{[]string{"--nope"}, 2},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code {
			t.Errorf("%v: exit code %d, want %d", c.args, code, c.code)
		}
		if output := stdout.String() + stderr.String(); !strings.Contains(output, "Usage: tunnelctl demo") && !strings.Contains(output, "\nSee tunnelctl demo --help.\n") {
			t.Errorf("%v does not say how it is used: %s", c.args, output)
		}
	}
}
