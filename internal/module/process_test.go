package module_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
)

// process returns the module as a process that is not started yet. A timeout kills it.
func (s *site) process(t *testing.T) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "rtsptunnel")
	cmd.Env = []string{} // without the test's environment
	for k, v := range s.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// start starts the process, with all its output in out.
func (s *site) start(t *testing.T, out io.Writer) (end func(os.Signal)) {
	t.Helper()
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return ends(t, cmd)
}

// running runs the module as a process, and waits until its hub can call it.
func (s *site) running(t *testing.T, cmd *exec.Cmd) (pid int, end func(os.Signal)) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.log.Await(t, "connected to the hub", 1)
	return cmd.Process.Pid, ends(t, cmd)
}

// ends returns a function that ends a process by a signal, and waits for exit code 0.
func ends(t *testing.T, cmd *exec.Cmd) func(os.Signal) {
	t.Helper()
	return func(how os.Signal) {
		t.Helper()
		if err := cmd.Process.Signal(how); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the process ended with %v", err)
		}
	}
}
