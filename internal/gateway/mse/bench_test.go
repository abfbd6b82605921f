package mse_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/mse"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// BenchmarkFanOut sends pictures of a camera with 4 Mbit/s to viewers in another process, as
// rtspout's benchmark of that name does. It reports the CPU time of this process per picture;
// ns/op has no meaning.
//
//	go test -run - -bench FanOut -benchtime 150x ./internal/gateway/mse ./internal/gateway/rtspout
func BenchmarkFanOut(b *testing.B) {
	for _, viewers := range []int{20, 100} {
		b.Run(strconv.Itoa(viewers), func(b *testing.B) { benchmarkFanOut(b, viewers) })
	}
}

const (
	benchPeriod  = 40 * time.Millisecond
	benchPicture = 14 * 1400 // bytes; 3.9 Mbit/s
)

func benchmarkFanOut(b *testing.B, viewers int) {
	b.Helper()
	c := newCamera(b)
	set := viewer.New(viewer.Limits{})
	var playing atomic.Int64
	set.OnFirstUnit(func(string, time.Duration) { playing.Add(1) })
	out := mse.New(mse.Options{
		Find:    func(context.Context, string) (*stream.Stream, error) { return c.Stream, nil },
		Viewers: set, Log: zerolog.Nop(),
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out.ServeLive(w, r, live.Request{Camera: "edge1/front", Stream: "main", From: netip.MustParseAddr("127.0.0.1")})
	}))
	defer server.Close()
	stop := startDrain(b, strings.TrimPrefix(server.URL, "http://"), viewers)
	s := <-c.opened
	defer func() {
		set.Shutdown(context.Background())
		stop()
	}()
	await(b, func() bool { return len(set.List()) == viewers })
	s.picture(true)
	payload := append([]byte{0x41}, make([]byte, benchPicture-1)...)
	send := func() {
		u := &media.Unit{Epoch: s.epoch, PTS: int64(s.n) * frame, DTS: int64(s.n) * frame, Wall: time.Now(), Key: s.n%100 == 0, Payload: [][]byte{payload}}
		s.n++
		s.deliver(u)
	}
	tick := time.NewTicker(benchPeriod)
	defer tick.Stop()
	await(b, func() bool { return playing.Load() == int64(viewers) })
	b.ReportAllocs()
	b.ResetTimer()
	before := cpuTime()
	for range b.N {
		<-tick.C
		send()
	}
	<-tick.C
	b.ReportMetric(float64((cpuTime()-before).Microseconds())/float64(b.N), "us-cpu")
	b.StopTimer()
	if skipped := set.Count(mse.Name).Skipped; skipped > 0 {
		b.Errorf("%d groups skipped", skipped)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// drainVariable makes the test's program a process of viewers: "address,viewers".
const drainVariable = "MSE_DRAIN"

// startDrain starts viewers in a process, and returns when all are connected. The caller calls
// stop.
func startDrain(b *testing.B, address string, viewers int) (stop func()) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d", drainVariable, address, viewers))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("viewers: %q, %v", line, err)
	}
	return func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// drain reads until standard input ends.
func drain(target string) {
	address, number, _ := strings.Cut(target, ",")
	viewers, _ := strconv.Atoi(number)
	var wg sync.WaitGroup
	var conns []net.Conn
	for range viewers {
		ws, answer, err := (&websocket.Dialer{Subprotocols: []string{mse.Protocol}}).Dial("ws://"+address+"/edge1/front", nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = answer.Body.Close()
		c := ws.NetConn()
		conns = append(conns, c)
		wg.Go(func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, make([]byte, 64<<10)) })
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		_ = c.Close()
	}
	wg.Wait()
}

// await polls until cond holds.
func await(tb testing.TB, cond func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	ticks := time.NewTicker(time.Millisecond)
	defer ticks.Stop()
	for !cond() {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			tb.Fatal("not in time")
		}
	}
}
