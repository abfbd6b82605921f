package hubemulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/testkit/logtest"
)

func TestStart_loadsState(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	paths := []string{"/devices/edge1/modules/m1", "/twins/edge1/modules/m1", "/devices/edge1", "/devices"}
	var answers [2][]string
	var generations [2]string
	for i := range 2 {
		hub, err := hubemulator.Start(hubemulator.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if generations[i], err = hub.AddModule("edge1", "m1"); err != nil {
			t.Fatal(err)
		}
		s := newService(t, hub)
		if i == 0 {
			s.must(t, "PATCH", "/twins/edge1/modules/m1", `{"tags":{"t":1},"properties":{"desired":{"a":1.0}}}`)
		}
		for _, path := range paths {
			answers[i] = append(answers[i], string(s.must(t, "GET", path, "")))
		}
		closeHub(t, hub)
		closeHub(t, hub) // a second Close has no effect
	}
	if generations[0] != generations[1] {
		t.Error("AddModule created the module again")
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("responses (-before +after):\n%s", diff)
	}
}

// contents returns all files in a directory with modes and times.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var text []byte
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		all[path] = fmt.Sprintf("%v %v %s", info.Mode(), info.ModTime(), text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestStart_secondHubChangesNothing(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	hub, _ := startIn(t, dir)
	// A hub removes this file when it starts; here it belongs to the first hub.
	if err := os.WriteFile(filepath.Join(dir, "state.json.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	_, err := hubemulator.Start(hubemulator.Options{Dir: dir})
	if want := dir + " is in use by another hub emulator, stop it or"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v does not say %q", err, want)
	}
	if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
		t.Errorf("the directory (-before +after):\n%s", diff)
	}
	newService(t, hub).must(t, "PATCH", "/twins/edge1", `{"tags":{}}`)
}

func TestStart_brokenState(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state.json")
	const text = `{"format":1,"revision":1,"writes":1,"identities":[{"identity"`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := hubemulator.Start(hubemulator.Options{Dir: dir})
	for _, want := range []string{path + ": broken document: unexpected end of JSON", "move it away to start with an empty hub"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("the file contains %s, %v; want it unchanged", got, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	startIn(t, dir) // the directory is not locked
}

func TestAddModule_writeFails(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	hub, _ := startIn(t, dir)
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if generation, err := hub.AddModule("edge1", "m2"); err == nil || generation != "" {
		t.Errorf("got %q, %v; want an error", generation, err)
	}
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.AddModule("edge1", "m2"); err != nil {
		t.Error(err)
	}
}

// A hub that cannot write its state does not start, and says why.
func TestStart_writeFails(t *testing.T) {
	t.Parallel()
	p := startProcess(t, newDir(t), "--module", "edge1/m1")
	p.terminate(t)
	before := contents(t, p.dir)
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `ulimit -f 0; exec "$0" "$@"`, os.Args[0], // no file may grow
		"serve", "--state", p.dir, "--https", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	output, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err == nil || code != 1 {
		t.Errorf("exit code %d, %v; want 1", code, err)
	}
	if text := string(output); !strings.Contains(text, "write the hub's state: ") || strings.Contains(text, "ready") {
		t.Errorf("output:\n%s", text)
	}
	delete(before, p.dir) // the directory's time may change
	after := contents(t, p.dir)
	delete(after, p.dir)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the directory (-before +after):\n%s", diff)
	}
}

func TestOwnerKeyFile(t *testing.T) {
	t.Parallel()
	const key = "c2VjcmV0IGtleSBvZiB0aGUgb3duZXIsIDMyIGI="
	path := filepath.Join(t.TempDir(), "key")
	tests := []struct {
		name, text string
		mode       os.FileMode
		err, log   string
	}{
		{"good", key, 0o600, "", ""},
		{"newline", key + "\n", 0o600, "", ""},
		{"open to others", key + "\r\n", 0o644, "", "mode 0600 is advised"},
		{"no base64", "!" + key, 0o600, path + " holds no base64 key", ""},
		{"two lines", "c2VjcmV0\n" + key, 0o600, path + " holds no base64 key", ""},
		{"empty", "\n", 0o600, path + " holds no base64 key", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.text), tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			dir, log := newDir(t), logtest.New()
			hub, err := hubemulator.Start(hubemulator.Options{Dir: dir, OwnerKeyFile: path, Log: zerolog.New(log)})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), key) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer closeHub(t, hub)
			if _, got, _ := cut3(hub.OwnerConnectionString()); got != key {
				t.Errorf("key %s, want %s", got, key)
			}
			newService(t, hub).must(t, "GET", "/devices", "")
			if _, err := os.Stat(filepath.Join(dir, "owner-key")); !os.IsNotExist(err) {
				t.Errorf("the hub created another key: %v", err)
			}
			if tt.log == "" && log.String() != "" || !strings.Contains(log.String(), tt.log) || strings.Contains(log.String(), key) {
				t.Errorf("log %q, want %q", log, tt.log)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := hubemulator.Start(hubemulator.Options{Dir: newDir(t), OwnerKeyFile: missing}); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v does not name the file", err)
	}
}

// Only the owner can read keys, even if the process runs with umask 0.
func TestFiles_arePrivate(t *testing.T) {
	t.Parallel()
	const key = "c2VjcmV0IGtleSBvZiB0aGUgb3duZXIsIDMyIGI="
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"--owner-key-file", keyFile}} {
		p := startProcess(t, newDir(t), append(args, "--module", "edge1/m1")...)
		if strings.Contains(p.values["HUB_CONNECTION_STRING"], key) != (args != nil) {
			t.Error("the hub uses another owner key")
		}
		p.service(t).must(t, "PATCH", "/twins/edge1/modules/m1", `{"tags":{"a":1}}`)
		if code, _ := p.terminate(t); code != 0 {
			t.Errorf("exit code %d:\n%s", code, p.stderr)
		}
		logtest.NoSecret(t, p.stderr.String())
		want := map[string]string{"ca-key.pem": "-rw-------", "ca.pem": "-rw-r--r--", "lock": "-rw-------", "owner-key": "-rw-------", "state.json": "-rw-------"}
		if args != nil {
			delete(want, "owner-key")
		}
		got := make(map[string]string)
		entries, err := os.ReadDir(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			got[entry.Name()] = info.Mode().String()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		if info, err := os.Stat(p.dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("directory: %v, %v", info.Mode(), err)
		}
	}
}

// member returns the member of a JSON document at a path.
func member(t *testing.T, document []byte, path ...string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		t.Fatalf("%v in %s", err, document)
	}
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("no %v in %s", path, document)
		}
		value = object[name]
	}
	return value
}
