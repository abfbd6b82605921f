package logtest_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"rtsptunnel/internal/testkit/logtest"
)

// spy is a test that notes whether it was failed.
type spy struct {
	testing.TB
	failed bool
}

func (s *spy) Helper()               {}
func (s *spy) Errorf(string, ...any) { s.failed = true }

func TestNoSecret(t *testing.T) {
	var key [32]byte
	_, _ = rand.Read(key[:])
	for _, c := range []struct {
		text string
		want bool
	}{
		{"token " + base64.StdEncoding.EncodeToString(key[:]), true},
		{"token " + base64.RawURLEncoding.EncodeToString(key[:]) + ".", true},
		{fmt.Sprintf("digest %x", sha256.Sum256(key[:])), true},
		{fmt.Sprintf("id %x, tunnel %x", key[:16], key[:8]), false},
		{"rtsp://127.0.0.1:8554/front and a long sentence of short words, all of them harmless", false},
	} {
		s := &spy{TB: t}
		logtest.NoSecret(s, c.text)
		if s.failed != c.want {
			t.Errorf("%q: failed %v, want %v", c.text, s.failed, c.want)
		}
	}
}

func TestRecord(t *testing.T) {
	r := logtest.New()
	var seen string
	r.OnWrite(func(all string) { seen = all })
	go func() {
		for range 3 {
			_, _ = fmt.Fprintln(r, "connected")
		}
	}()
	r.Await(t, "connected\n", 3)
	if r.String() != seen || len(seen) != 30 {
		t.Errorf("record %q, seen %q", r, seen)
	}
}
