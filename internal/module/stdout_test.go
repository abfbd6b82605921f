package module_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"rtsptunnel/internal/module"
)

// The output of a library that prints to os.Stdout is not in the log.
func TestMain_takesStandardOutput(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	before := os.Stdout
	os.Stdout = file
	defer func() { os.Stdout = before }()
	out := module.TakeStdout()
	defer os.Stdout.Close()
	fmt.Print("parse twin props topic error")
	_, _ = out.WriteString("a line")
	if got, err := os.ReadFile(file.Name()); err != nil || string(got) != "a line" {
		t.Errorf("%q, %v", got, err)
	}
}
