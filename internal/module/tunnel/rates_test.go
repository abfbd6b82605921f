package tunnel_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// cameras gives a site one camera for each local port: cam1, cam2, ...
func cameras(change func(*tunnel.Options)) func(*tunnel.Options) {
	return func(o *tunnel.Options) {
		change(o)
		find := o.Camera
		o.Camera = func(localPort int) (camera.Camera, bool) {
			c, _ := find(554)
			c.Name = fmt.Sprint("cam", localPort)
			return c, true
		}
	}
}

// ends are both ends of a tunnel.
type ends struct {
	camera net.Conn
	cloud  *websocket.Conn
}

// openTo opens a tunnel to the camera with that local port.
func (s *site) openTo(t *testing.T, far <-chan *websocket.Conn, port int) ends {
	t.Helper()
	r := request()
	r.LocalPort = port
	if err := s.Open(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	e := ends{accept(t, s.camera), <-far}
	t.Cleanup(func() { e.cloud.Close() })
	return e
}

// stream sends zeros until a write fails.
func stream(w io.Writer) {
	p := make([]byte, 64<<10)
	for {
		if _, err := w.Write(p); err != nil {
			return
		}
	}
}

// flow makes the camera send as fast as it can, and counts the bytes that the cloud gets.
func (e ends) flow() *atomic.Int64 {
	var got atomic.Int64
	go stream(e.camera)
	go func() { _, _ = io.Copy(counter{&got}, &messages{ws: e.cloud}) }()
	return &got
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// carries returns the bytes per second that each tunnel carries up during d, the oldest
// tunnel first. It uses the module's counters: sent bytes may not have arrived yet.
func (s *site) carries(t *testing.T, d time.Duration) []int {
	t.Helper()
	before, begin := s.Tunnels(), time.Now()
	pause(t, d)
	after, took := s.Tunnels(), time.Since(begin).Seconds()
	rates := make([]int, len(after))
	for i := range after {
		rates[i] = int(float64(after[i].BytesUp-before[i].BytesUp) / took)
	}
	return rates
}

// within fails the test unless a rate is between a fifth of the limit and the limit with
// a burst.
func within(t *testing.T, what string, got, limit int) {
	t.Helper()
	if got > limit*5/4 || got < limit/5 {
		t.Errorf("%s: %d bytes/s of %d", what, got, limit)
	}
}

// The tunnels of a camera share its rate, and all tunnels share the total rate. A limit does
// not slow other tunnels down. Both can change while tunnels are open.
func TestPace_ofCamerasAndOfAll(t *testing.T) {
	t.Parallel()
	far, change := overGorilla(t)
	s := newSite(t, cameras(change))
	s.Pace(tunnel.Rates{ByCamera: map[string]int64{"cam1": 400_000, "cam2": 1_600_000}})
	for _, port := range []int{1, 1, 2, 3} {
		s.openTo(t, far, port).flow()
	}
	s.carries(t, 200*time.Millisecond) // the burst is over
	got := s.carries(t, 2*time.Second)
	within(t, "the first camera", got[0]+got[1], 50_000)
	within(t, "the second camera", got[2], 200_000)
	if got[0] < 5_000 || got[1] < 5_000 {
		t.Errorf("of two tunnels to a camera one has %d bytes/s, the other %d", got[0], got[1])
	}
	if got[3] < 1_000_000 {
		t.Errorf("a camera without a limit has %d bytes/s", got[3])
	}

	s.Pace(tunnel.Rates{All: 4_000_000, ByCamera: map[string]int64{"cam1": 400_000}})
	s.carries(t, 200*time.Millisecond)
	got = s.carries(t, 2*time.Second)
	within(t, "the first camera, beside all", got[0]+got[1], 50_000)
	within(t, "all", got[0]+got[1]+got[2]+got[3], 500_000)
	if got[2] < 40_000 || got[3] < 40_000 {
		t.Errorf("two cameras without limits of their own have %d and %d bytes/s", got[2], got[3])
	}

	s.Pace(tunnel.Rates{All: 80_000})
	s.carries(t, 200*time.Millisecond)
	got = s.carries(t, 2*time.Second)
	within(t, "all, lowered", got[0]+got[1]+got[2]+got[3], 10_000)

	s.Pace(tunnel.Rates{})
	for i, n := range s.carries(t, time.Second) {
		if n < 300_000 {
			t.Errorf("without limits tunnel %d has %d bytes/s", i, n)
		}
	}
	if s.Len() != 4 {
		t.Errorf("%d of 4 tunnels are left", s.Len())
	}
}

// A tunnel with little traffic gets its share beside one that sends all the time.
func TestPace_smallBesideBulk(t *testing.T) {
	t.Parallel()
	far, change := overGorilla(t)
	s := newSite(t, cameras(change))
	s.Pace(tunnel.Rates{All: 200_000})
	bulk, small := s.openTo(t, far, 1), s.openTo(t, far, 2)
	bulk.flow()
	cloud := &messages{ws: small.cloud}
	begin := time.Now()
	const turns = 20
	for range turns { // a request and its response, as in RTSP
		if err := small.cloud.WriteMessage(websocket.BinaryMessage, make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(small.camera, make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		if _, err := small.camera.Write(make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(cloud, make([]byte, 300)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(begin) / turns; took > 500*time.Millisecond { // two slices of 50 ms at most
		t.Errorf("a round trip takes %s", took)
	}
	within(t, "the other", s.carries(t, time.Second)[0], 25_000)
}

// WebSocket control frames do not wait for the rate limit: the remote end's pings get
// pongs, and our pings come in time. This holds while video waits, and also if the bytes
// before a ping make the next ones wait.
func TestPace_pingsAreAnswered(t *testing.T) {
	t.Parallel()
	t.Run("beside video", func(t *testing.T) { pingsAreAnswered(t, 16_000, 0) })
	t.Run("after bytes", func(t *testing.T) { pingsAreAnswered(t, 500, 512) }) // 8 s each
}

func pingsAreAnswered(t *testing.T, rate int64, down int) {
	t.Helper()
	far, change := watchedGorilla(t, wsconn.Liveness{Ping: 200 * time.Millisecond, Pong: time.Minute})
	s := newSite(t, change)
	s.Pace(tunnel.Rates{All: rate})
	e := s.openTo(t, far, 554)
	pongs, pings := make(chan string, 100), make(chan struct{}, 100)
	e.cloud.SetPongHandler(func(data string) error { pongs <- data; return nil })
	answer := e.cloud.PingHandler()
	e.cloud.SetPingHandler(func(data string) error { pings <- struct{}{}; return answer(data) })
	got := e.flow()
	for got.Load() < 512 { // from here on it waits
		pause(t, 10*time.Millisecond)
	}
	if err := e.cloud.WriteMessage(websocket.BinaryMessage, make([]byte, down)); err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		begin, data := time.Now(), fmt.Sprint("ping ", n)
		if err := e.cloud.WriteControl(websocket.PingMessage, []byte(data), time.Time{}); err != nil {
			t.Fatal(err)
		}
		pong := receive(t, pongs, time.Minute, "a pong")
		if took := time.Since(begin); pong != data || took > 3*time.Second {
			t.Errorf("the pong for %q is %q, after %s", data, pong, took)
		}
	}
	for range 3 {
		receive(t, pings, 5*time.Second, "the module's ping")
	}
}

// A rate limit does not make a live peer look dead.
func TestPace_isNoStall(t *testing.T) {
	t.Parallel()
	far, change := watchedGorilla(t, wsconn.Liveness{Ping: 100 * time.Millisecond, Pong: time.Second, Stall: time.Second})
	s := newSite(t, change)
	s.Pace(tunnel.Rates{All: 8_000})
	e := s.openTo(t, far, 554)
	up := e.flow()
	sent, down := make(chan error, 1), make(chan error, 1)
	const bytes = 3 << 20
	go func() { sent <- e.cloud.WriteMessage(websocket.BinaryMessage, make([]byte, bytes)) }()
	go func() { _, err := io.ReadFull(e.camera, make([]byte, bytes)); down <- err }()
	pause(t, 6*time.Second)
	if n := up.Load(); s.Len() != 1 || n == 0 || n > 16_000 {
		t.Fatalf("after 6 s of 1000 bytes/s: %d tunnels, %d bytes; the log:\n%s", s.Len(), n, s.log)
	}
	s.Pace(tunnel.Rates{})
	for _, done := range []chan error{sent, down} {
		if err := receive(t, done, time.Minute, "the end of the bytes"); err != nil {
			t.Error(err)
		}
	}
}

// A tunnel that waits for its rate limit can be ended, and its remote end gets the reason.
func TestPace_endsWhileItWaits(t *testing.T) {
	t.Parallel()
	for why, end := range map[reason.Code]func(*site){
		reason.Disabled:     func(s *site) { s.Limit(tunnel.Limits{}) },
		reason.ShuttingDown: func(*site) {},
	} {
		t.Run(string(why), func(t *testing.T) {
			far, change := overGorilla(t)
			s := newSite(t, change)
			s.Pace(tunnel.Rates{All: 1})
			e := s.openTo(t, far, 554)
			go stream(e.camera)
			cloud := &messages{ws: e.cloud}
			if _, err := io.ReadFull(cloud, make([]byte, 512)); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			end(s)
			stopped := make(chan struct{})
			go func() { defer close(stopped); s.shutdown(t) }()
			_, err := io.Copy(io.Discard, cloud)
			if err == nil || !strings.Contains(err.Error(), string(why)) {
				t.Errorf("the remote end read %v, want %s", err, why)
			}
			<-stopped
			if took := time.Since(begin); took > 5*time.Second || strings.Contains(s.log.String(), `"reset"`) {
				t.Errorf("it took %s:\n%s", took, s.log)
			}
		})
	}
}

// A rate limit applies backpressure to the camera: the module buffers nothing.
func TestPace_pushesBack(t *testing.T) {
	t.Parallel()
	far, change := overGorilla(t)
	s := newSite(t, change)
	s.Pace(tunnel.Rates{ByCamera: map[string]int64{"front": 8_000}})
	e := s.openTo(t, far, 554)
	go func() { _, _ = io.Copy(io.Discard, &messages{ws: e.cloud}) }()
	if err := e.camera.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	taken, err := io.Copy(e.camera, zeros{})
	if !errors.Is(err, os.ErrDeadlineExceeded) || taken > 16<<20 { // the kernel's buffers of two sockets
		t.Errorf("%d bytes were read of the camera in a second, %v", taken, err)
	}
}

// zeros is an endless reader.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
