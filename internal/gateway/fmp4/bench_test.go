package fmp4_test

import (
	"testing"

	ours "rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
)

// BenchmarkFragment makes the fragment of a picture of 20 KB, as for a camera with 4 Mbit/s.
func BenchmarkFragment(b *testing.B) {
	e, _ := epoch(b, aac)
	u := &media.Unit{Epoch: e, Duration: 3600, Payload: [][]byte{make([]byte, 20000)}}
	b.ReportAllocs()
	for b.Loop() {
		if len(ours.AppendFragment(nil, u)) == 0 {
			b.Fatal("no fragment")
		}
	}
}
