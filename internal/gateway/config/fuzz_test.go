package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"rtsptunnel/internal/gateway/config"
)

// Any bytes end in a configuration, or in an error that has faults.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{full, hub, "", "a: &a [*a]", "{", "[[[[", "? ?", "log: !!binary x", "cameras: { e/c: { url: 'rtsp://h' } }", "data: \x00", "a: <<"} {
		f.Add([]byte(seed))
	}
	file := filepath.Join(f.TempDir(), "f")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{File: file, WithoutSecrets: true})
		bad, isFaults := errors.AsType[*config.Error](err)
		switch {
		case err == nil && c == nil, err != nil && !isFaults:
			t.Errorf("configuration %v, error %v", c, err)
		case isFaults && (len(bad.Faults) == 0 || len(err.Error()) > 1<<16):
			t.Errorf("%d faults, %d bytes", len(bad.Faults), len(err.Error()))
		}
	})
}
