package demo_test

import (
	"bytes"
	"net"
	"strings"
	"testing"
)

// Another program on the port: the error names the remedy, the exit code is 1, and nothing
// is left.
func TestDemo_portTaken(t *testing.T) {
	tempDir(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--once", "--port", port}, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if output := stderr.String(); !strings.Contains(output, busy.Addr().String()) || !strings.Contains(output, "--port") {
		t.Errorf("it wrote: %s", output)
	}
}
