package logtest_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"

	"rtsptunnel/internal/testkit/logtest"
)

// fakeTB records whether the code under test fails its test.
type fakeTB struct {
	testing.TB
	failed bool
}

func (f *fakeTB) Helper()               {}
func (f *fakeTB) Errorf(string, ...any) { f.failed = true }

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
		tb := &fakeTB{TB: t}
		logtest.NoSecret(tb, c.text)
		if tb.failed != c.want {
			t.Errorf("%q: failed %v, want %v", c.text, tb.failed, c.want)
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

func TestAwaitFields(t *testing.T) {
	r := logtest.New()
	go func() {
		for n := range 3 {
			_, _ = fmt.Fprintf(r, `{"reason":"HUB_DNS","retries":%d}`+"\n", n)
		}
	}()
	r.AwaitFields(t, 3, "reason=HUB_DNS")
	r.AwaitFields(t, 1, "reason=HUB_DNS", "retries=2")
}

// A field matches as a whole, in both log formats and only in complete lines.
func TestCountFields(t *testing.T) {
	r := logtest.New()
	_, _ = fmt.Fprint(r, `{"reason":"HUB_DNS","retries":12,"last":false}
{"retries":1,"reason":"HUB_DNS"}
<4> 2026-11-22 03:42:20.123 +00:00 [WRN] - no hub connection reason=HUB_DNS retries=12
<4> 2026-11-22 03:42:20.123 +00:00 [WRN] - no hub connection cause="no such host" reason=HUB_DNS_OLD retries=12
{"reason":"HUB_DNS","retries":12`)
	for _, c := range []struct {
		fields []string
		want   int
	}{
		{[]string{"reason=HUB_DNS"}, 3},
		{[]string{"retries=12"}, 3},
		{[]string{"retries=1"}, 1},
		{[]string{"last=false"}, 1},
		{[]string{"reason=HUB_DNS", "retries=12"}, 2},
		{[]string{"reason=HUB_DNS_OLD", "retries=1"}, 0},
		{[]string{"cause=no such host"}, 1},
		{[]string{"reason=HUB"}, 0},
	} {
		if got := r.CountFields(t, c.fields...); got != c.want {
			t.Errorf("%v: %d lines, want %d", c.fields, got, c.want)
		}
	}
}
