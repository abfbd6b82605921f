package datafolder_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/datafolder"
)

const writerFolder = "DATAFOLDER_TEST_WRITER" // set in the process that the test kills

// TestMain runs the writer of TestStore_killed in its process.
func TestMain(m *testing.M) {
	if path := os.Getenv(writerFolder); path != "" {
		saveForEver(path)
	}
	os.Exit(m.Run())
}

// saveForEver saves the two versions of a file by turns, and prints a line after each.
func saveForEver(path string) {
	f, err := datafolder.Open(path)
	if err != nil {
		panic(err)
	}
	s, err := f.Store("")
	if err != nil {
		panic(err)
	}
	for {
		for _, content := range versions {
			if err := s.Save("keys/signing", []byte(content)); err != nil {
				panic(err)
			}
			if _, err := os.Stdout.WriteString("saved\n"); err != nil {
				panic(err)
			}
		}
	}
}

var versions = []string{"first", strings.Repeat("second", 50_000)}

// A process that is killed while it saves leaves one of the versions, and a folder that the next
// one opens.
func TestStore_killed(t *testing.T) {
	path := t.TempDir()
	for round := range 15 {
		writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		writer.Env = append(os.Environ(), writerFolder+"="+path)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 1 + round%4 {
			if !lines.Scan() {
				t.Fatal("the writer has ended")
			}
		}
		if err := writer.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = writer.Wait() // it was killed
		content, err := openStore(t, path, "").Load("keys/signing")
		if err != nil || !slices.Contains(versions, string(content)) {
			t.Fatalf("round %d: %d bytes, %v", round, len(content), err)
		}
		entries, err := os.ReadDir(filepath.Join(path, "keys"))
		if err != nil || len(entries) != 1 {
			t.Errorf("round %d: the folder holds %v, %v", round, entries, err)
		}
	}
}
