package datafolder_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/datafolder"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "data")
	f, err := datafolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := datafolder.Open(path); err == nil || !strings.Contains(err.Error(), "is in use by another gateway") {
		t.Errorf("a second gateway: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	again, err := datafolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestOpen_refuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := datafolder.Open(dir); err == nil || !strings.Contains(err.Error(), "has mode 0777") {
		t.Errorf("a folder of all users: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := datafolder.Open(file); err == nil {
		t.Error("a file is opened as a folder")
	}
}

// The hash is made once; after its file was removed, a new one is made.
func TestTokenHash(t *testing.T) {
	f, err := datafolder.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, c := range []struct {
		made, want string
		created    bool
	}{{"a", "a", true}, {"b", "a", false}} {
		hash, created, err := f.TokenHash(func() string { return c.made })
		if err != nil || hash != c.want || created != c.created {
			t.Errorf("%q, %v, %v; want %q, %v", hash, created, err, c.want, c.created)
		}
	}
	info, err := os.Stat(f.TokenFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Remove(f.TokenFile()); err != nil {
		t.Fatal(err)
	}
	if hash, created, err := f.TokenHash(func() string { return "c" }); err != nil || hash != "c" || !created {
		t.Errorf("%q, %v, %v", hash, created, err)
	}
}
