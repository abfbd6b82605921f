package stream_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// BenchmarkPublish measures what one unit costs with readers that wait for it: until the
// source may go on (publish-ns/op), and until all readers have it (ns/op).
func BenchmarkPublish(b *testing.B) {
	for _, readers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("readers=%d", readers), func(b *testing.B) { benchmarkPublish(b, readers) })
	}
}

func benchmarkPublish(b *testing.B, readers int) {
	b.Helper()
	c := newCamera()
	s := stream.New(stream.Options{Name: "bench", Open: c.open})
	b.Cleanup(func() { s.Close(nil) })
	opened := make(chan *session, 1)
	go func() {
		session := <-c.sessions
		session.picture(true)
		opened <- session
	}()
	var delivered atomic.Int64
	all := make(chan struct{}, 1)
	var done sync.WaitGroup
	for range readers {
		r, err := s.Attach(b.Context(), stream.Want{Start: stream.Live})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Context()) // each viewer has its own
		done.Go(func() {
			defer cancel()
			for {
				if _, err := r.Next(ctx); err != nil {
					return
				}
				if delivered.Add(1)%int64(readers) == 0 {
					all <- struct{}{}
				}
			}
		})
	}
	session := <-opened
	<-all
	payload, packets := [][]byte{make([]byte, 20000)}, [][]byte{make([]byte, 1400)}
	var publishing time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		u := &media.Unit{Epoch: session.epoch, Track: 1, DTS: int64(i + 1), PTS: int64(i + 1), Key: i%50 == 0, Payload: payload, Packets: packets}
		began := time.Now()
		session.deliver(u)
		publishing += time.Since(began)
		<-all
	}
	b.StopTimer()
	b.ReportMetric(float64(publishing.Nanoseconds())/float64(b.N), "publish-ns/op")
	s.Close(nil)
	done.Wait()
}
