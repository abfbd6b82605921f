package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/testkit/logtest"
)

// asCommand in the environment makes the test binary the command, or the program
// hubemulator.
const asCommand = "TUNNELCTL_TEST_RUN"

func TestMain(m *testing.M) {
	switch os.Getenv(asCommand) {
	case "tunnelctl":
		main()
	case "hubemulator":
		hub := cli.Program{Name: "hubemulator", Brief: "test", Commands: []*cli.Command{hubemulator.Command()}}
		os.Exit(hub.Run(context.Background(), os.Args[1:], cli.IO{Out: os.Stdout, Err: os.Stderr}))
	}
	os.Exit(m.Run())
}

// command is the program, as another process that ends with the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asCommand+"=tunnelctl")
	return c
}

func TestProgram(t *testing.T) {
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"", 2, "", "no command given\nSee tunnelctl --help.\n"},
		{"dance", 2, "", `unknown command "dance"`},
		{"device add edge1", 2, "", `unknown command "device", did you mean "hub device"?`},
		{"--help", 0, "\n  manifest     make", ""},
		{"manifest --help", 0, "merge BASE LAYER...", ""},
		{"manifest", 2, "", "See tunnelctl manifest --help."},
		{"manifest validate none.json", 1, "", "none.json: open: no such file"},
		{"demo --help", 0, "Usage: tunnelctl demo", ""},
		{"hub --help", 0, "\n  method call DEVICE[/MODULE] NAME ", ""},
		{"hub metod call", 2, "", `unknown command "metod", did you mean "method"?`},
		{"version", 0, "tunnelctl ", ""},
		{"completion bash", 0, "complete -", ""},
	} {
		var stdout, stderr bytes.Buffer
		code := program().Run(t.Context(), strings.Fields(c.args), cli.IO{Out: &stdout, Err: &stderr, Lookup: os.LookupEnv})
		for _, out := range []struct{ got, want string }{{stdout.String(), c.stdout}, {stderr.String(), c.stderr}} {
			if !strings.Contains(out.got, out.want) || (out.want == "") != (out.got == "") {
				t.Errorf("%s: wrote %q, want %q", c.args, out.got, out.want)
			}
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.args, code, c.code)
		}
	}
}

// serve starts a hub and returns its lines before "ready".
func serve(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	hub := exec.CommandContext(t.Context(), os.Args[0], "serve", "--state", dir+"/it's here", "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	hub.Env = append(os.Environ(), asCommand+"=hubemulator")
	reader, writer := io.Pipe()
	hub.Stdout = writer
	if err := hub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hub.Process.Kill(); reader.Close(); _ = hub.Wait() })
	var lines strings.Builder
	buffer := make([]byte, 4096)
	for !strings.HasSuffix(lines.String(), "\nready\n") {
		n, err := reader.Read(buffer)
		if err != nil {
			t.Fatalf("the hub did not start: %v\n%s", err, lines.String())
		}
		lines.Write(buffer[:n])
	}
	return strings.TrimSuffix(lines.String(), "ready\n")
}

// In a shell, as users have it: the verbs need only what serve prints.
func TestHub_inAShell(t *testing.T) {
	lines := serve(t)
	script := exec.CommandContext(t.Context(), "sh", "-c", `
set -eu
eval "$LINES_OF_SERVE"
export HUB_CONNECTION_STRING CA_FILE
hub() { "$TUNNELCTL" hub "$@"; }
hub device add edge1 --edge >/dev/null
hub module add edge1/mymodule --connection-string >/dev/null
echo '{"interval":5}' | hub twin set edge1/mymodule --desired -
hub twin get edge1/mymodule | grep '"interval": 5'
hub module list edge1
hub method call --connect-timeout 0s edge1/mymodule reboot && exit 1
echo "exit code $?"
`)
	script.Env = append(os.Environ(), asCommand+"=tunnelctl", "TUNNELCTL="+os.Args[0], "LINES_OF_SERVE="+lines)
	output, err := script.CombinedOutput()
	if err != nil {
		t.Errorf("%v:\n%s", err, output)
	}
	logtest.NoSecret(t, string(output))
	for _, want := range []string{
		"desired properties are at version 2", `"interval": 5`, "edge1/mymodule     Disconnected",
		"404 DeviceNotOnline (404103)", "exit code 1",
	} {
		if !strings.Contains(string(output), want) {
			t.Errorf("no %q in:\n%s", want, output)
		}
	}
}

// Ctrl-C ends a verb that waits for the hub, without a message.
func TestHub_interrupted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := command(t, "hub", "device", "list")
	c.Env = append(c.Env, "HUB_CONNECTION_STRING=HostName="+ln.Addr().String()+";SharedAccessKeyName=p;SharedAccessKey=a2V5")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept() // so it waits for our answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	checkSignal(t, c.Wait(), syscall.SIGINT, stderr.String())
}

// A reader that goes away (| head) ends a verb, without a message.
func TestHub_brokenPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	c := command(t, "hub", "device", "--help")
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = writer, &stderr
	err = c.Run()
	writer.Close()
	checkSignal(t, err, syscall.SIGPIPE, stderr.String())
}

func checkSignal(t *testing.T, err error, want syscall.Signal, stderr string) {
	t.Helper()
	var state syscall.WaitStatus
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		state, _ = exit.Sys().(syscall.WaitStatus)
	}
	if state.Signal() != want || stderr != "" {
		t.Errorf("%v, want %v; stderr %q", err, want, stderr)
	}
}
