package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/testkit/logtest"
)

// asCommand in the environment makes the test binary the command.
const asCommand = "HUBEMULATOR_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// serve starts a hub and returns its lines before "ready".
func serve(t *testing.T) (hub *exec.Cmd, lines string) {
	t.Helper()
	return serveBy(t, os.Args[0])
}

// serveBy is serve by a command that starts the test binary.
func serveBy(t *testing.T, command ...string) (hub *exec.Cmd, lines string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	args := append(command[1:len(command):len(command)],
		"serve", "--state", filepath.Join(dir, "it's here"), "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	hub = exec.CommandContext(t.Context(), command[0], args...)
	hub.Env = append(os.Environ(), asCommand+"=1")
	stdout, err := hub.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Process.Kill(); _ = hub.Wait() })
	for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
		if scanner.Text() == "ready" {
			return hub, lines
		}
		lines += scanner.Text() + "\n"
	}
	t.Fatalf("the hub did not start:\n%s", lines)
	return nil, ""
}

// A signal ends the hub in order, SIGHUP of a closed terminal too.
func TestServe_endsBySignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		hub, lines := serve(t)
		if !strings.HasPrefix(lines, "HUB_CONNECTION_STRING='") {
			t.Errorf("serve wrote:\n%s", lines)
		}
		if err := hub.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := hub.Wait(); err != nil {
			t.Errorf("serve after %s: %v", signal, err)
		}
	}
}

// A hub that nohup has started outlives its terminal.
func TestServe_nohup(t *testing.T) {
	hub, _ := serveBy(t, "sh", "-c", `trap "" HUP; exec "$0" "$@"`, os.Args[0])
	ended := make(chan error, 1)
	go func() { ended <- hub.Wait() }()
	if err := hub.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	quiet, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	select {
	case err := <-ended:
		t.Fatalf("serve ended by an ignored SIGHUP: %v", err)
	case <-quiet.Done():
	}
	if err := hub.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve after SIGTERM: %v", err)
	}
}

func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = program().Run(t.Context(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs, Lookup: os.LookupEnv})
	return code, out.String(), errs.String()
}

func TestCommand_help(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		code, stdout, stderr := run(t, args...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "\n  serve --state DIR ") || !strings.Contains(stdout, "tunnelctl hub ") {
			t.Errorf("%v: exit code %d, stdout:\n%s%s", args, code, stdout, stderr)
		}
	}
	for _, args := range [][]string{nil, {"dance"}, {"serve"}} {
		if code, stdout, stderr := run(t, args...); code != 2 || stdout != "" || !strings.Contains(stderr, "--help") {
			t.Errorf("%v: exit code %d, stdout %q, stderr:\n%s", args, code, stdout, stderr)
		}
	}
}

// A verb that has moved says where it is.
func TestCommand_moved(t *testing.T) {
	for _, line := range []string{
		"device add edge1", "module list edge1", "deployment list", "twin get edge1 --json", "method call --help", "query SELECT",
	} {
		args := strings.Fields(line)
		want := "hubemulator: \"" + args[0] + "\" has moved to \"tunnelctl hub " + args[0] + "\"\nSee tunnelctl hub " + args[0] + " --help.\n"
		if code, stdout, stderr := run(t, args...); code != 2 || stdout != "" || stderr != want {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", line, code, stdout, stderr)
		}
	}
	code, _, stderr := run(t, "device", "list", "HostName=h;SharedAccessKeyName=p;SharedAccessKey=a2V5a2V5a2V5a2V5")
	if logtest.NoSecret(t, stderr); code != 2 || !strings.Contains(stderr, "Every user of this machine") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
