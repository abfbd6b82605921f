package statefile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hub/hubemulator/statefile"
)

func TestMain(m *testing.M) {
	syscall.Umask(0) // files must be private regardless of the umask
	goleak.VerifyTestMain(m)
}

// number is a document whose text is its revision. If gate is not nil, Snapshot receives
// from it before it returns.
type number struct {
	gate    chan struct{}
	taken   chan int64 // the revision of each snapshot; may be nil
	mu      sync.Mutex
	current int64
}

func (n *number) change() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current++
	return n.current
}

func (n *number) Snapshot() (int64, io.WriterTo, error) {
	n.mu.Lock()
	current := n.current
	n.mu.Unlock()
	if n.taken != nil {
		n.taken <- current
	}
	if n.gate != nil {
		<-n.gate
	}
	return current, strings.NewReader(fmt.Sprint(current)), nil
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkMissing fails the test if path exists.
func checkMissing(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: got %v, want a missing file", path, err)
	}
}

func TestKeep_andClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	n := &number{}
	f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot})
	if err := f.Keep(0); err != nil || read(t, path) != "0" {
		t.Errorf("first revision: %v, %q", err, read(t, path))
	}
	if err := f.Keep(n.change()); err != nil || read(t, path) != "1" {
		t.Errorf("a change: %v, %q", err, read(t, path))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Keep(1); err != nil {
		t.Errorf("same revision again: %v", err)
	}
	checkMissing(t, path) // the revision was written before
	last := n.change()
	if err := f.Close(); err != nil || read(t, path) != "2" {
		t.Errorf("close: %v, %q", err, read(t, path))
	}
	checkMissing(t, path+".tmp")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info.Mode(), err)
	}
	if err := f.Keep(last); err != nil {
		t.Errorf("after Close, the last revision: %v", err)
	}
	if err := f.Keep(n.change()); !errors.Is(err, statefile.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, statefile.ErrClosed)
	}
}

// Calls that arrive during a write share the next write.
func TestKeep_groups(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	n := &number{gate: make(chan struct{}), taken: make(chan int64)}
	f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot})
	var first, others sync.WaitGroup
	keep := func(revision int64) {
		if err := f.Keep(revision); err != nil {
			t.Error(err)
		}
	}
	first.Go(func() { keep(n.change()) })
	if got := <-n.taken; got != 1 {
		t.Errorf("first snapshot of revision %d, want 1", got)
	}
	const many = 100
	var changed sync.WaitGroup
	for range many {
		changed.Add(1)
		others.Go(func() {
			revision := n.change()
			changed.Done()
			keep(revision)
		})
	}
	changed.Wait()
	n.gate <- struct{}{}
	first.Wait()
	if got := <-n.taken; got != many+1 {
		t.Errorf("second snapshot of revision %d, want %d", got, many+1)
	}
	n.gate <- struct{}{}
	others.Wait() // hangs if there is a third write
	done := make(chan error)
	go func() { done <- f.Close() }()
	<-n.taken
	n.gate <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Close answers the waiting calls, and writes the revisions that they wait for.
func TestClose_answersWaitingCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		const many = 20
		n := &number{gate: make(chan struct{}), taken: make(chan int64, many)}
		f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot})
		var all sync.WaitGroup
		keep := func() {
			if err := f.Keep(n.change()); err != nil {
				t.Error(err)
			}
		}
		all.Go(keep)
		<-n.taken
		for range many {
			all.Go(keep)
		}
		synctest.Wait() // until one write is in progress and the others wait for the next
		all.Go(func() {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(n.gate)
		all.Wait()
		if got, want := read(t, path), fmt.Sprint(1+many); got != want {
			t.Errorf("the file has %s, want %s", got, want)
		}
	})
}

func TestKeep_logsFailureAndRecovery(t *testing.T) {
	parent := t.TempDir()
	dir, away := filepath.Join(parent, "dir"), filepath.Join(parent, "away")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state")
	n := &number{}
	var log bytes.Buffer // written by the writer only, read after Close
	f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot, Log: zerolog.New(&log)})
	for range 2 {
		if err := f.Keep(n.change()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(dir, away); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := f.Keep(n.change()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("without a directory: %v, want %v", err, fs.ErrNotExist)
			}
		}
		if err := os.Rename(away, dir); err != nil {
			t.Fatal(err)
		}
		n.mu.Lock()
		current := n.current
		n.mu.Unlock()
		if err := f.Keep(current); err != nil || read(t, path) != fmt.Sprint(current) {
			t.Errorf("with the directory again: %v, %s, want %d", err, read(t, path), current)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]int{`"level":"error"`: 2, `"level":"info"`: 2, `"failures":3`: 2} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%s is in the log %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}

func TestClose_returnsWriteError(t *testing.T) {
	n := &number{}
	f := statefile.Start(statefile.Options{Path: filepath.Join(t.TempDir(), "no", "state"), Snapshot: n.Snapshot})
	if err := f.Close(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestKeep_snapshotFails(t *testing.T) {
	want := errors.New("no snapshot")
	f := statefile.Start(statefile.Options{
		Path:     filepath.Join(t.TempDir(), "state"),
		Snapshot: func() (int64, io.WriterTo, error) { return 0, nil, want },
	})
	if err := f.Keep(0); !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if err := f.Close(); !errors.Is(err, want) {
		t.Errorf("close: got %v, want %v", err, want)
	}
}
