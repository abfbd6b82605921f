package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/module/config"
	"rtsptunnel/internal/testkit/logtest"
	"rtsptunnel/internal/testkit/porttest"
)

// The test binary is the program if its first argument is the program's name.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "rtsptunnel" {
		os.Args = os.Args[1:]
		main()
	}
	goleak.VerifyTestMain(m)
}

const patience = time.Minute

// program returns the program as a process with this environment only, not started yet.
func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], append([]string{"rtsptunnel"}, args...)...)
	cmd.Env = append([]string{}, env...)
	return cmd
}

// result is the exit code and the output of a process.
type result struct {
	code           int
	stdout, stderr string
}

func runs(t *testing.T, env []string, args ...string) result {
	t.Helper()
	cmd := program(t, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || !exit.Exited()) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// An unknown command prints one line and runs nothing.
func TestUnknownCommand(t *testing.T) {
	for _, args := range [][]string{
		{"rum"}, {"run", "x"}, {"--listen"}, {"version", "--jsn"}, {"healthcheck", "-v"}, {"help", "me"}, {"a\nb"}, {strings.Repeat("x", 9999)},
	} {
		var stdout, stderr bytes.Buffer
		code := run(args, &stdout, &stderr, func() int { t.Errorf("%q starts the module", args); return 0 })
		if line := stderr.String(); code != 2 || stdout.Len() != 0 || strings.Count(line, "\n") != 1 || len(line) > 300 || !strings.Contains(line, "--help") {
			t.Errorf("%.20q: exit code %d, %q, %q", args, code, &stdout, line)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, arg := range []string{"help", "--help", "-h", "run --help", "validate --help", "validate -h", "version --help", "healthcheck -h"} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(arg), &stdout, &stderr, func() int { t.Errorf("%s starts the module", arg); return 0 })
		if code != 0 || stderr.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", arg, code, &stderr)
		}
		for _, v := range config.Variables {
			if !regexp.MustCompile(`(?m)^  ` + v.Name + ` +\S`).MatchString(stdout.String()) {
				t.Errorf("%s does not list %s", arg, v.Name)
			}
		}
		for line := range strings.Lines(stdout.String()) {
			if len(line) > 120 {
				t.Errorf("a line of %d: %s", len(line), line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	r := runs(t, nil, "version")
	if r.code != 0 || !regexp.MustCompile(`^rtsptunnel dev, commit \S+( of \S+)?, go1\.\S+, \S+/\S+\n$`).MatchString(r.stdout) {
		t.Errorf("%+v", r)
	}
	r = runs(t, nil, "version", "--json")
	var b map[string]string
	if err := json.Unmarshal([]byte(r.stdout), &b); err != nil || r.code != 0 || strings.Count(r.stdout, "\n") != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, name := range []string{"version", "commit", "date", "go", "os", "arch"} {
		if b[name] == "" {
			t.Errorf("no %s in %s", name, r.stdout)
		}
	}
}

// Both spellings run the module, which finds no identity here.
func TestRun(t *testing.T) {
	for _, args := range [][]string{nil, {"run"}} {
		if r := runs(t, nil, args...); r.code != 2 || !strings.Contains(r.stderr, "no identity") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

// A HEALTHCHECK has the environment of the module, and gets an exit code.
func TestHealthcheck(t *testing.T) {
	env := []string{
		"RTSPTUNNEL_METRICS_LISTEN=127.0.0.1:0",
		"RTSPTUNNEL_HUB_ADDRESS=127.0.0.1:1", "RTSPTUNNEL_CONNECTION_STRING=HostName=h;DeviceId=d;SharedAccessKey=Y2FuYXJ5",
		"https_proxy=http://127.0.0.1:1", "http_proxy=http://127.0.0.1:1",
	}
	log := logtest.New()
	module := program(t, env)
	module.Stdout, module.Stderr = log, log
	if err := module.Start(); err != nil {
		t.Fatal(err)
	}
	if r := runs(t, listening(healthAddress(t, log)), "healthcheck"); r != (result{0, "healthy\n", ""}) {
		t.Errorf("a module without a hub: %+v", r)
	}
	if err := module.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := module.Wait(); err != nil {
		t.Errorf("the module ended with %v:\n%s", err, log)
	}
	r := runs(t, listening(porttest.Reserve(t)), "healthcheck")
	if r.code != 1 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "connection refused") {
		t.Errorf("no module: %+v", r)
	}
	if r := runs(t, listening("off"), "healthcheck"); r.code != 0 || !strings.Contains(r.stdout, "off") || r.stderr != "" {
		t.Errorf("off: %+v", r)
	}
	if r := runs(t, listening("127.0.0.1:0"), "healthcheck"); r.code != 1 || !strings.Contains(r.stderr, "port 0") {
		t.Errorf("port 0: %+v", r)
	}
}

// listening is the environment of a module whose health endpoints have this address.
func listening(address string) []string { return []string{"RTSPTUNNEL_METRICS_LISTEN=" + address} }

// healthAddress waits until the module serves health, and returns the address.
func healthAddress(t *testing.T, log *logtest.Record) string {
	t.Helper()
	log.Await(t, `"address":`, 1)
	for line := range strings.Lines(log.String()) {
		var record struct{ Address string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Address != "" {
			return record.Address
		}
	}
	t.Fatalf("no address:\n%s", log)
	return ""
}
