package module_test

import (
	"bufio"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// noReader starts the module with a pipe for its log that nobody reads.
func noReader(t *testing.T, s *site) (log *os.File, end func()) {
	t.Helper()
	log, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	cmd := s.process(t)
	cmd.Stdout, cmd.Stderr = stdout, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	return log, func() { ends(t, cmd)(syscall.SIGTERM) }
}

// full is how many calls write more log lines than pipe and queue can hold.
const full = 1000

// calls opens tunnels to no camera: the names of remote endpoints make the log lines long.
func (s *site) calls(t *testing.T, n int) {
	t.Helper()
	call := payload("wss://"+strings.Repeat(strings.Repeat("x", 60)+".", 4)+"test/", "tok", 554)
	var calls sync.WaitGroup
	const callers = 8
	for range callers {
		calls.Go(func() {
			for range n / callers {
				if status, _ := s.Invoke(t, "tunnelOpen", call); status != 400 {
					t.Errorf("answer %d", status)
				}
			}
		})
	}
	calls.Wait()
}

// Nobody waits for a log that nobody reads, and the lines that are missing are
// counted where they are missing.
func TestLog_readerStandsStill(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	log, end := noReader(t, s)
	s.calls(t, full)
	lines := bufio.NewScanner(log)
	for lines.Scan() && !strings.Contains(lines.Text(), "log lines dropped here") {
	}
	if !edgeLine.MatchString(lines.Text()) || !regexp.MustCompile(`lines=\d\d+$`).MatchString(lines.Text()) {
		t.Errorf("the note: %q", lines.Text())
	}
	var reading sync.WaitGroup
	last := ""
	reading.Go(func() {
		for lines.Scan() {
			last = lines.Text()
		}
	})
	end()
	reading.Wait()
	if !strings.Contains(last, "rtsptunnel ended") {
		t.Errorf("the last line: %s", last)
	}
}

// A reader that is still standing when the module ends, or that is gone, changes
// nothing of its end.
func TestLog_readerIsGone(t *testing.T) {
	t.Parallel()
	for name, calls := range map[string]int{"gone": 100, "standing": full} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			log, end := noReader(t, s)
			if name == "gone" {
				log.Close()
			}
			s.calls(t, calls)
			end()
		})
	}
}
