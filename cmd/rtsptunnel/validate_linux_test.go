package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// On a terminal validate says that it waits for a document.
func TestValidate_terminal(t *testing.T) {
	operator, terminal := pseudoTerminal(t)
	var stdout, stderr bytes.Buffer
	cmd := program(t, nil, "validate")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := operator.WriteString("{}\n\x04"); err != nil { // Ctrl-D
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if stdout.String() != "faults: 0\n" || strings.Count(stderr.String(), "\n") != 1 || !strings.Contains(stderr.String(), "validate < FILE") {
		t.Errorf("%q, %q", &stdout, &stderr)
	}
}

// pseudoTerminal returns a terminal, and the operator's side of it.
func pseudoTerminal(t *testing.T) (operator, terminal *os.File) {
	t.Helper()
	operator, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { operator.Close() })
	if err := unix.IoctlSetPointerInt(int(operator.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(operator.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return operator, terminal
}
