package relay_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/wire/pace"
	"rtsptunnel/internal/wire/relay"
)

// startPaced is start with a limit in bits per second.
func startPaced(t *testing.T, ctx context.Context, bits int64) (a, b *net.TCPConn, limit *pace.Limit, result <-chan relay.Result) {
	t.Helper()
	nearA, farA := tcpPair(t)
	nearB, farB := tcpPair(t)
	limit = new(pace.Limit)
	limit.Set(bits)
	ch := make(chan relay.Result, 1)
	go func() { ch <- relay.RunCounted(ctx, nearA, nearB, &relay.Counts{}, pace.New(limit)) }()
	return farA, farB, limit, ch
}

// Both directions share the rate. An end in order is passed on after the last byte,
// also if that takes longer than Linger.
func TestRunCounted_isHeldToItsPace(t *testing.T) {
	const rate = 100_000 // bytes per second
	a, b, _, result := startPaced(t, t.Context(), rate*8)
	up, down := random(t, rate*3/2), random(t, rate/2)
	begin := time.Now()
	var all sync.WaitGroup
	var gotUp, gotDown []byte
	all.Go(func() { _, _ = a.Write(up); _ = a.CloseWrite() })
	all.Go(func() { _, _ = b.Write(down); _ = b.CloseWrite() })
	all.Go(func() { gotUp, _ = io.ReadAll(b) })
	all.Go(func() { gotDown, _ = io.ReadAll(a) })
	all.Wait()
	if took, bar := time.Since(begin), 2*time.Second; took < bar*9/10 || took > 5*bar {
		t.Errorf("2 s of bytes took %s", took)
	}
	if !bytes.Equal(gotUp, up) || !bytes.Equal(gotDown, down) {
		t.Errorf("received %d and %d bytes that are not the %d and %d sent", len(gotUp), len(gotDown), len(up), len(down))
	}
	if r := wait(t, result); r.Err != nil || r.AtoB != int64(len(up)) || r.BtoA != int64(len(down)) {
		t.Errorf("result %+v", r)
	}
}

// A relay that waits for its rate holds no buffer, and ends immediately.
func TestRunCounted_waitsWithoutABuffer(t *testing.T) {
	const many = 100
	ctx, cancel := context.WithCancel(t.Context())
	var results []<-chan relay.Result
	before := liveHeap()
	for range many {
		a, b, _, result := startPaced(t, ctx, 1)
		results = append(results, result)
		for from, to := range map[*net.TCPConn]*net.TCPConn{a: b, b: a} {
			if _, err := from.Write(make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(to, make([]byte, 512)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if each := (liveHeap() - before) / many; each > 32<<10 {
		t.Errorf("a relay that waits has %d bytes of heap", each)
	}
	begin := time.Now()
	cancel()
	for _, result := range results {
		if r := wait(t, result); r.First != relay.Neither || r.AtoB+r.BtoA > 2000 {
			t.Errorf("result %+v", r)
		}
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the relays ended after %s", took)
	}
}

// A reset ends a relay whose other direction waits for its rate.
func TestRunCounted_noticesAResetWhileItWaits(t *testing.T) {
	a, b, _, result := startPaced(t, t.Context(), 1)
	if _, err := a.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := b.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if r := wait(t, result); r.First != relay.B || r.Err == nil {
		t.Errorf("result %+v", r)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it ended after %s", took)
	}
}

// Removing the limit releases a relay that waits for it.
func TestRunCounted_limitIsRemoved(t *testing.T) {
	a, b, limit, result := startPaced(t, t.Context(), 1)
	sent := random(t, 1<<20)
	go func() { _, _ = a.Write(sent); _ = a.CloseWrite() }()
	first := make([]byte, 512)
	if _, err := io.ReadFull(b, first); err != nil {
		t.Fatal(err)
	}
	limit.Set(0)
	if rest, err := io.ReadAll(b); err != nil || !bytes.Equal(append(first, rest...), sent) {
		t.Errorf("%d bytes, %v", len(first)+len(rest), err)
	}
	b.Close()
	wait(t, result)
}
