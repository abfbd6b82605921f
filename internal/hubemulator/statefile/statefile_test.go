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

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/hubemulator/statefile"
)

func TestMain(m *testing.M) {
	syscall.Umask(0) // files must be private all the same
	goleak.VerifyTestMain(m)
}

// number is a document that says its revision. Snapshot takes one from gate, if
// there is one, before it returns.
type number struct {
	gate    chan struct{}
	taken   chan int64 // the revision of each snapshot; may be nil
	breaks  error      // what writing the document ends with; may be nil
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
	return current, document{text: fmt.Sprint(current), err: n.breaks}, nil
}

type document struct {
	text string
	err  error
}

func (d document) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, d.text)
	return int64(n), errors.Join(err, d.err)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := statefile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkAlone fails if anything but names is in the directory.
func checkAlone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("the directory holds %q, want %q", got, names)
	}
}

func TestKeep_andClose(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	n := &number{}
	f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot})
	if err := f.Keep(0); err != nil || read(t, path) != "0" {
		t.Errorf("the first: %v, %q", err, read(t, path))
	}
	if err := f.Keep(n.change()); err != nil || read(t, path) != "1" {
		t.Errorf("a change: %v, %q", err, read(t, path))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Keep(1); err != nil {
		t.Errorf("kept already: %v", err)
	}
	checkAlone(t, dir) // kept already, so not written again
	last := n.change()
	if err := f.Close(); err != nil || read(t, path) != "2" {
		t.Errorf("close: %v, %q", err, read(t, path))
	}
	checkAlone(t, dir, "state")
	if err := f.Keep(last); err != nil {
		t.Errorf("after Close, what it kept: %v", err)
	}
	if err := f.Keep(n.change()); !errors.Is(err, statefile.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, statefile.ErrClosed)
	}
}

// All who come while a write is under way share the next one.
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
	var came sync.WaitGroup
	for range many {
		came.Add(1)
		others.Go(func() {
			revision := n.change()
			came.Done()
			keep(revision)
		})
	}
	came.Wait()
	n.gate <- struct{}{}
	first.Wait()
	if got := <-n.taken; got != many+1 {
		t.Errorf("second snapshot of revision %d, want %d", got, many+1)
	}
	n.gate <- struct{}{}
	others.Wait() // hangs if there is a third
	done := make(chan error)
	go func() { done <- f.Close() }()
	<-n.taken
	n.gate <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Those who wait at the end are answered.
func TestClose_answersWhoWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	n := &number{}
	f := statefile.Start(statefile.Options{Path: path, Snapshot: n.Snapshot})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := f.Keep(n.change()); err != nil && !errors.Is(err, statefile.ErrClosed) {
				t.Error(err)
			}
		})
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestKeep_failuresAreToldAndEnd(t *testing.T) {
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
	for text, want := range map[string]int{`"level":"error"`: 2, "kept again": 2, `"failures":3`: 2} {
		if got := strings.Count(log.String(), text); got != want {
			t.Errorf("%s stands in the log %d times, want %d:\n%s", text, got, want, log.String())
		}
	}
}

func TestClose_tellsOfFailure(t *testing.T) {
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

// Whatever goes wrong, the document before it is there and nothing else.
func TestWrite_leavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := statefile.Write(path, strings.NewReader("before")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := statefile.Write(path, document{text: strings.Repeat("x", 1<<20), err: broken}); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	checkAlone(t, dir, "state")
	if got := read(t, path); got != "before" {
		t.Errorf("the file holds %.20q, want before", got)
	}
	// A rename that fails.
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := statefile.Write(filepath.Join(dir, "taken"), strings.NewReader("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	checkAlone(t, dir, "state", "taken")
}

func TestWrite_isPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := statefile.Write(path, modes{t: t, path: path + ".tmp"}); err != nil {
		t.Fatal(err)
	}
	checkPrivate(t, path)
}

// modes looks at the mode of the file it is being written to.
type modes struct {
	t    *testing.T
	path string
}

func (m modes) WriteTo(w io.Writer) (int64, error) {
	checkPrivate(m.t, m.path)
	return document{text: "x"}.WriteTo(w)
}

func checkPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != 0o600 {
		t.Errorf("%s has mode %v, want 0600", path, got)
	}
}

func TestRead_cleansUp(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.WriteFile(path+".tmp", []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := statefile.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	checkAlone(t, dir)
}
