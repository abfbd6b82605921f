package wholefile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/base/wholefile"
)

func TestMain(m *testing.M) {
	syscall.Umask(0) // the modes must not depend on it
	m.Run()
}

// document is a text whose WriteTo returns err.
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
	text, err := wholefile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkAlone fails the test unless the directory holds exactly names.
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

// After an error the previous file is unchanged and no other file is left.
func TestWrite_errorsKeepTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := wholefile.Write(path, wholefile.Private, strings.NewReader("before")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := wholefile.Write(path, wholefile.Private, document{text: strings.Repeat("x", 1<<20), err: broken}); !errors.Is(err, broken) {
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
	if err := wholefile.Write(filepath.Join(dir, "taken"), wholefile.Private, strings.NewReader("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	checkAlone(t, dir, "state", "taken")
}

func TestWrite_isPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Write(path, wholefile.Private, modes{t: t, path: path + ".tmp"}); err != nil {
		t.Fatal(err)
	}
	checkPrivate(t, path)
}

// modes is a document that checks the mode of its file while it is written.
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

func TestRead_removesTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := os.WriteFile(path+".tmp", []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := wholefile.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
	checkAlone(t, dir)
}
