package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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

// command is the program, as another process that ends with the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), asCommand+"=1")
	return c
}

// serve starts a hub and returns its lines before "ready".
func serve(t *testing.T) (hub *exec.Cmd, lines string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hub-") // t.TempDir is too long for a unix socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	hub = command(t, "serve", "--state", filepath.Join(dir, "it's here"), "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
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

// As a user has it, in a shell: what serve prints is all the verbs need.
func TestCommand_inAShell(t *testing.T) {
	hub, lines := serve(t)
	script := exec.CommandContext(t.Context(), "sh", "-c", `
set -eu
eval "$LINES_OF_SERVE"
export HUB_CONNECTION_STRING CA_FILE
hub() { "$HUB" "$@"; }
hub device add edge1 --edge >/dev/null
hub module add edge1/mymodule --connection-string >/dev/null
echo '{"interval":5}' | hub twin set edge1/mymodule --desired -
hub twin get edge1/mymodule | grep '"interval": 5'
hub module list edge1
hub method call --connect-timeout 0s edge1/mymodule reboot && exit 1
echo "exit code $?"
`)
	script.Env = append(os.Environ(), asCommand+"=1", "HUB="+os.Args[0], "LINES_OF_SERVE="+lines)
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
	if err := hub.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := hub.Wait(); err != nil {
		t.Errorf("serve after SIGTERM: %v", err)
	}
}

func TestCommand_help(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		var stdout, stderr bytes.Buffer
		code := run(args, strings.NewReader(""), &stdout, &stderr, os.Getenv)
		if code != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), "\n  serve --state DIR ") || !strings.Contains(stdout.String(), "\n  twin set ") {
			t.Errorf("%v: exit code %d, stdout:\n%s%s", args, code, &stdout, &stderr)
		}
	}
	for _, args := range [][]string{nil, {"dance"}, {"serve"}} {
		var stdout, stderr bytes.Buffer
		if code := run(args, strings.NewReader(""), &stdout, &stderr, os.Getenv); code != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "--help") {
			t.Errorf("%v: exit code %d, stdout %q, stderr:\n%s", args, code, &stdout, &stderr)
		}
	}
}

// Ctrl-C ends a verb that waits for the hub, without a word.
func TestCommand_interrupted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := command(t, "device", "list")
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

// A reader that goes away (| head) ends a verb, without a word.
func TestCommand_brokenPipe(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	c := command(t, "device", "--help")
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
