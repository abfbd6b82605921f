package hubemulator_test

import (
	"bufio"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/logtest"
)

// process is a process that runs the command.
type process struct {
	cmd    *exec.Cmd
	dir    string
	values map[string]string // from its standard output
	stderr *logtest.Record
	ended  chan error
}

// startProcess runs "serve --state dir" with free ports and further arguments, and waits
// until it is ready. Its umask is 0, which must not change the files' modes.
func startProcess(tb testing.TB, dir string, args ...string) *process {
	tb.Helper()
	p := &process{dir: dir, values: make(map[string]string), stderr: logtest.New(), ended: make(chan error, 1)}
	args = append([]string{
		"-c", `umask 0; exec "$0" "$@"`, os.Args[0],
		"serve", "--state", dir, "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0",
		"--hostname", hostName, "--gateway-hostname", gatewayName,
	}, args...)
	p.cmd = exec.Command("sh", args...)
	p.cmd.Env = append(os.Environ(), serveEnv+"=1")
	p.cmd.Stderr = p.stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() && lines.Text() != "ready" {
		name, value, _ := strings.Cut(lines.Text(), "=")
		p.values[name] = strings.Trim(value, "'")
	}
	go func() { p.ended <- p.cmd.Wait() }()
	tb.Cleanup(func() { p.kill(tb) })
	if p.values["MQTT"] == "" {
		tb.Fatalf("the process did not start:\n%s", p.stderr)
	}
	return p
}

// kill kills the process. Another call does nothing.
func (p *process) kill(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Error(err)
	}
	p.ended <- <-p.ended
}

// terminate sends SIGTERM and returns the exit code and the duration. It kills a process
// that does not end; the code is -1 then.
func (p *process) terminate(t *testing.T) (code int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	defer time.AfterFunc(5*testTimeout, func() { _ = p.cmd.Process.Kill() }).Stop()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err := <-p.ended
	p.ended <- err
	return p.cmd.ProcessState.ExitCode(), time.Since(begin)
}

func (p *process) roots(tb testing.TB) *x509.CertPool {
	tb.Helper()
	pem, err := os.ReadFile(p.values["CA_FILE"])
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		tb.Fatal("CA_FILE holds no certificate")
	}
	return pool
}

func (p *process) service(tb testing.TB) *service {
	tb.Helper()
	return newServiceOf(tb, p.values["HUB_CONNECTION_STRING"], p.roots(tb))
}

func (p *process) stateFile() string {
	return filepath.Join(p.dir, "state.json")
}
