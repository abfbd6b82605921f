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

// noReader starts the module with a pipe for its log that no one reads yet.
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

// full is a number of calls whose log lines overflow the pipe and the queue.
const full = 1000

// dropped is the end of the line that counts dropped lines: 10 or more of them.
var dropped = regexp.MustCompile(` lines=\d\d+$`)

// calls makes n calls for a camera that does not exist. The long names of the remote
// endpoints make the log lines long.
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

// The log drops lines instead of blocking, and one line in their place counts them.
func TestLog_dropsLinesOfASlowReader(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	log, end := noReader(t, s)
	s.calls(t, full)
	lines := bufio.NewScanner(log)
	for lines.Scan() && !dropped.MatchString(lines.Text()) {
	}
	if !edgeLine.MatchString(lines.Text()) {
		t.Errorf("the line for the dropped ones: %q", lines.Text())
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

// A reader that is gone or does not read does not keep the module from ending.
func TestLog_readerIsGone(t *testing.T) {
	t.Parallel()
	for name, calls := range map[string]int{"gone": 100, "not reading": full} {
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
