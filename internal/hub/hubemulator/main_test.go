package hubemulator_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubemulator"
)

// runCommand is the program hubemulator, with serve alone.
func runCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	program := cli.Program{Name: "hubemulator", Brief: "test", Commands: []*cli.Command{hubemulator.Command()}}
	return program.Run(ctx, args, cli.IO{Out: stdout, Err: stderr})
}

func TestServe(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(newDir(t), "it's here")
	ctx, stop := context.WithCancel(t.Context())
	stdout, writer := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		defer writer.CloseWithError(io.EOF)
		code <- runCommand(ctx, []string{
			"serve", "--state", dir, "--https", "127.0.0.1:0", "--mqtt=127.0.0.1:0",
			"--module", "dev/m1", "--module", "dev/m2", "--gateway-hostname", gatewayName,
		}, writer, &stderr)
	}()

	var names []string
	values := make(map[string]string)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		name, value, _ := strings.Cut(lines.Text(), "=")
		names = append(names, name)
		values[name] = value
	}
	if got, want := strings.Join(names, " "), "HUB_CONNECTION_STRING CA_FILE WORKLOAD_URI HTTPS MQTT"; got != want {
		t.Errorf("lines %s, want %s", got, want)
	}
	quotedDir := strings.ReplaceAll(dir, "'", `'\''`)
	if got, want := values["CA_FILE"], "'"+quotedDir+"/ca.pem'"; got != want {
		t.Errorf("CA_FILE=%s, want %s", got, want)
	}
	if got, want := values["WORKLOAD_URI"], "'unix://"+quotedDir+"/workload.sock'"; got != want {
		t.Errorf("WORKLOAD_URI=%s, want %s", got, want)
	}
	if !strings.HasPrefix(values["HUB_CONNECTION_STRING"], "'HostName=localhost:") {
		t.Errorf("HUB_CONNECTION_STRING=%s", values["HUB_CONNECTION_STRING"])
	}

	client := workloadClient("unix://" + dir + "/workload.sock")
	response, err := client.Post("http://workload/modules/m2/genid/1/sign?api-version=2018-06-28", "", strings.NewReader(`{"data":""}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	client.CloseIdleConnections()
	if response.StatusCode != 200 {
		t.Errorf("sign for dev/m2: status %d, want 200", response.StatusCode)
	}

	stop()
	for lines.Scan() {
		t.Errorf("a line after ready: %s", lines.Text())
	}
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want 0; stderr:\n%s", got, stderr.String())
	}
}

func TestServe_arguments(t *testing.T) {
	t.Parallel()
	taken, _ := start(t)
	tests := []struct {
		name   string
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{"help", []string{"serve", "--help"}, 0, "Usage: hubemulator serve", ""},
		{"help of serve", []string{"serve", "-h"}, 0, "--gateway-hostname", ""},
		{"nothing", nil, 2, "", "no command given"},
		{"no verb", []string{"--state", "x"}, 2, "", "unknown flag --state"},
		{"unknown command", []string{"dance"}, 2, "", `unknown command "dance"`},
		{"unknown flag", []string{"serve", "--nope"}, 2, "", "-nope"},
		{"no state", []string{"serve"}, 2, "", "--state is missing"},
		{"bad module", []string{"serve", "--state", "x", "--module", "m1"}, 2, "", "want DEVICE/MODULE"},
		{"argument too many", []string{"serve", "--state", "x", "y"}, 2, "", `unexpected argument "y"`},
		{"invalid module name", []string{
			"serve", "--state", newDir(t), "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--module", "a b/c",
		}, 2, "", "invalid id"},
		{"port taken", []string{"serve", "--state", newDir(t), "--https", taken.HTTPSAddr()}, 1, "", "is taken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if got := runCommand(t.Context(), tt.args, &stdout, &stderr); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || tt.stdout == "" && stdout.Len() > 0 {
				t.Errorf("stdout %q, want %q", stdout.String(), tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("stderr %q, want %q", stderr.String(), tt.stderr)
			}
		})
	}
}
