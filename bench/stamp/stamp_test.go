package stamp_test

import (
	"bytes"
	"testing"
	"time"

	"rtsptunnel/bench/stamp"
)

func TestRead_whatPutWrote(t *testing.T) {
	t.Parallel()
	sent := time.Now()
	b := make([]byte, stamp.Size+3)
	stamp.Put(b, 70000, sent)
	number, got, ok := stamp.Read(b)
	if !ok || number != 70000 || !got.Equal(sent) {
		t.Errorf("%d at %s, %t; want 70000 at %s", number, got, ok, sent)
	}
	if bytes.IndexByte(b[3:], 0) >= 0 {
		t.Errorf("a mark has a zero, which may be a start code: %q", b)
	}
}

func TestRead_noMark(t *testing.T) {
	t.Parallel()
	whole := make([]byte, stamp.Size)
	stamp.Put(whole, 1, time.Now())
	wrong := bytes.Clone(whole)
	wrong[len(wrong)-1] = 'x'
	for _, b := range [][]byte{nil, whole[1:], whole[:stamp.Size-1], wrong, make([]byte, 100)} {
		if _, _, ok := stamp.Read(b); ok {
			t.Errorf("%q is read as a mark", b)
		}
	}
}
