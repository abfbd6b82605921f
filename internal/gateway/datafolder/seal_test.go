package datafolder_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rtsptunnel/internal/gateway/datafolder"
)

const operatorsKey = "0123456789abcdef0123456789abcdef"

// openStore returns the store of a folder. The folder is closed before the next call.
func openStore(t *testing.T, path, key string) *datafolder.Store {
	t.Helper()
	f, err := datafolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := f.Store(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	for name, key := range map[string]string{"its own key": "", "an operator's key": operatorsKey + "\r\n"} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			s := openStore(t, path, key)
			for _, file := range []string{"keys/signing", "shares.json"} {
				if _, err := s.Load(file); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v", file, err)
				}
				for _, content := range []string{"first content", "", strings.Repeat("second", 1000)} {
					if err := s.Save(file, []byte(content)); err != nil {
						t.Fatal(err)
					}
					got, err := openStore(t, path, strings.TrimSpace(key)).Load(file)
					if err != nil || string(got) != content {
						t.Errorf("%s: %.20q, %v", file, got, err)
					}
				}
			}
			for file, clear := range map[string]bool{"keys/signing": false, "shares.json": true} {
				raw, err := os.ReadFile(filepath.Join(path, file))
				if err != nil || bytes.Contains(raw, []byte("second")) != clear {
					t.Errorf("%s is in clear: %v, %v", file, !clear, err)
				}
			}
			checkModes(t, path, map[string]fs.FileMode{"keys": 0o700, "keys/signing": 0o600, "shares.json": 0o600})
			if _, err := os.Stat(filepath.Join(path, "seal.key")); (err == nil) != (key == "") {
				t.Errorf("seal.key: %v", err)
			}
		})
	}
}

func checkModes(t *testing.T, path string, want map[string]fs.FileMode) {
	t.Helper()
	for file, mode := range want {
		info, err := os.Stat(filepath.Join(path, file))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
	}
}

// A sealed file that was changed, cut, renamed or sealed with another key cannot be read.
func TestStore_damagedSeal(t *testing.T) {
	path := t.TempDir()
	s := openStore(t, path, operatorsKey)
	if err := s.Save("keys/signing", []byte("content")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(path, "keys/signing"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openStore(t, path, strings.Repeat("x", 32)).Load("keys/signing"); !errors.Is(err, datafolder.ErrSeal) {
		t.Errorf("another key: %v", err)
	}
	if _, err := openStore(t, path, "").Load("keys/signing"); !errors.Is(err, datafolder.ErrSeal) {
		t.Errorf("the folder's own key: %v", err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		for name, content := range map[string][]byte{"changed": changed, "cut": raw[:i]} {
			if err := os.WriteFile(filepath.Join(path, "keys/signing"), content, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load("keys/signing"); !errors.Is(err, datafolder.ErrSeal) {
				t.Errorf("%s at byte %d: %v", name, i, err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(path, "keys/other"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("keys/other"); !errors.Is(err, datafolder.ErrSeal) {
		t.Errorf("renamed: %v", err)
	}
	aside, err := s.SetAside("keys/other")
	if err != nil || aside != "keys/other.damaged" {
		t.Fatalf("%s, %v", aside, err)
	}
	if _, err := s.Load("keys/other"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("set aside: %v", err)
	}
	if kept, err := os.ReadFile(filepath.Join(path, aside)); err != nil || !bytes.Equal(kept, raw) {
		t.Errorf("set aside: %v", err)
	}
}

func TestStore_refuses(t *testing.T) {
	path := t.TempDir()
	f, err := datafolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Store("too short"); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") || strings.Contains(err.Error(), "too short") {
		t.Errorf("a short key: %v", err)
	}
	s, err := f.Store(operatorsKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "shares.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("shares.json"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder is loaded: %v", err)
	}
	if err := s.Save("shares.json", nil); err == nil {
		t.Error("a folder is replaced")
	}
	if err := os.WriteFile(filepath.Join(path, "large"), make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("large"); err == nil {
		t.Error("a file of 5 MiB is loaded")
	}
	if err := syscall.Mkfifo(filepath.Join(path, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("pipe"); err == nil {
		t.Error("a pipe is loaded")
	}
	if err := os.WriteFile(filepath.Join(path, "keys"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Save("keys/signing", nil); err == nil {
		t.Error("a file is a folder")
	}
}

// A damaged seal key is set aside, and the folder gets a new one and says so.
func TestStore_damagedSealKey(t *testing.T) {
	for _, content := range []string{"", "short", strings.Repeat(" ", 100)} {
		path := t.TempDir()
		if err := openStore(t, path, "").Save("keys/signing", []byte("content")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "seal.key"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := datafolder.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Store("")
		if s == nil || err == nil || !strings.Contains(err.Error(), "seal.key cannot be used") {
			t.Fatalf("%q: %v", content, err)
		}
		f.Close()
		if _, err := s.Load("keys/signing"); !errors.Is(err, datafolder.ErrSeal) {
			t.Errorf("%q: %v", content, err)
		}
		if err := s.Save("keys/signing", []byte("new")); err != nil {
			t.Fatal(err)
		}
		if got, err := openStore(t, path, "").Load("keys/signing"); err != nil || string(got) != "new" {
			t.Errorf("%q: %q, %v", content, got, err)
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want := []string{"keys", "lock", "seal.key", "seal.key.damaged"}; !slices.Equal(names, want) {
			t.Errorf("%q: the folder has %q", content, names)
		}
		checkModes(t, path, map[string]fs.FileMode{"seal.key": 0o600})
	}
}

// A seal key that the folder does not take at first is saved before what is sealed with it.
func TestStore_sealKeyLater(t *testing.T) {
	path := t.TempDir()
	inTheWay := filepath.Join(path, "seal.key.tmp", "x")
	if err := os.MkdirAll(inTheWay, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := datafolder.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := f.Store("")
	if s == nil || err == nil {
		t.Fatalf("store %v, %v", s, err)
	}
	if err := s.Save("keys/signing", []byte("lost")); err == nil {
		t.Error("a file is sealed with a key that is not saved")
	}
	if err := s.Save("shares.json", []byte("[]")); err != nil {
		t.Errorf("a file in clear: %v", err)
	}
	if err := os.RemoveAll(filepath.Dir(inTheWay)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save("keys/signing", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got, err := openStore(t, path, "").Load("keys/signing"); err != nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}
