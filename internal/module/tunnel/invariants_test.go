package tunnel_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/module/camera"
	"rtsptunnel/internal/module/tunnel"
	"rtsptunnel/internal/wire/wsconn"
)

// overGorilla makes a site's remote end a server that is not our code. far has the server's
// end of each tunnel. Its frames are tiny, so that most messages are fragmented.
func overGorilla(t *testing.T) (far <-chan *websocket.Conn, change func(*tunnel.Options)) {
	t.Helper()
	return watchedGorilla(t, wsconn.Liveness{})
}

// watchedGorilla is overGorilla with these limits for the module's end.
func watchedGorilla(t *testing.T, limits wsconn.Liveness) (far <-chan *websocket.Conn, change func(*tunnel.Options)) {
	t.Helper()
	upgrader := &websocket.Upgrader{WriteBufferSize: 700}
	return accepted(t, limits, func(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
		return upgrader.Upgrade(w, r, nil)
	})
}

// keystream is the unique bytes of one direction of one tunnel.
type keystream struct {
	bytes *rand.ChaCha8
	n     int64
}

func newKeystream(seed, tunnel uint64, direction byte) *keystream {
	var key [32]byte
	copy(key[:], fmt.Sprintf("%d/%d/%c", seed, tunnel, direction))
	return &keystream{bytes: rand.NewChaCha8(key)}
}

func (k *keystream) Read(p []byte) (int, error) {
	k.n += int64(len(p))
	return k.bytes.Read(p)
}

// check compares p with the next bytes.
func (k *keystream) check(p []byte) error {
	want := make([]byte, len(p))
	_, _ = k.Read(want)
	if !bytes.Equal(p, want) {
		return fmt.Errorf("a byte between %d and %d differs", k.n-int64(len(p)), k.n)
	}
	return nil
}

// checkAll is check for all bytes of r. It returns the error that r ends with.
func (k *keystream) checkAll(r io.Reader) error {
	buf := make([]byte, 9000)
	for {
		n, err := r.Read(buf)
		if wrong := k.check(buf[:n]); wrong != nil {
			return wrong
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// trial is one tunnel with its two ends, and their random behaviour.
type trial struct {
	camera             *net.TCPConn
	cloud              *websocket.Conn
	chance             *rand.Rand
	upLength           int64
	downLength         int64
	up, down           *keystream // as sent
	gotUp, gotDown     *keystream // as received
	endUp, endDown     error      // nil for a graceful end
	cloudEnds, cutting bool       // the cloud ends first; the end is abrupt
}

// speak sends the camera's stream in random pieces.
func (r *trial) speak(chance *rand.Rand) {
	for r.up.n < r.upLength {
		p := make([]byte, min(r.upLength-r.up.n, 1+chance.Int64N(1<<chance.IntN(18))))
		_, _ = r.up.Read(p)
		if _, err := r.camera.Write(p); err != nil {
			return
		}
	}
}

// answer sends the cloud's stream in random messages, with pings between the fragments.
func (r *trial) answer(chance *rand.Rand) {
	for r.down.n < r.downLength {
		kind := websocket.BinaryMessage
		if chance.IntN(3) == 0 {
			kind = websocket.TextMessage
		}
		w, err := r.cloud.NextWriter(kind)
		if err != nil {
			return
		}
		for range chance.IntN(4) { // none: an empty message
			p := make([]byte, min(r.downLength-r.down.n, chance.Int64N(1<<chance.IntN(15))))
			_, _ = r.down.Read(p)
			if _, err := w.Write(p); err != nil {
				return
			}
			if chance.IntN(2) == 0 {
				_ = r.cloud.WriteControl(websocket.PingMessage, []byte("?"), time.Time{})
			}
		}
		if w.Close() != nil {
			return
		}
	}
}

// messages reads the messages that the cloud receives as one stream. Close 1000 is its end.
type messages struct {
	ws *websocket.Conn
	r  io.Reader
}

func (m *messages) Read(p []byte) (int, error) {
	for {
		if m.r == nil {
			_, r, err := m.ws.NextReader()
			if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
				return 0, io.EOF
			}
			if err != nil {
				return 0, fmt.Errorf("no graceful end: %w", errorOf(err))
			}
			m.r = r
		}
		n, err := m.r.Read(p)
		if errors.Is(err, io.EOF) {
			m.r, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// errorOf returns err as another error, since io.EOF stands for a graceful end: TCP's
// io.EOF is not one.
func errorOf(err error) error { return errors.New(err.Error()) }

// run sends and receives at both ends at once, and then ends the tunnel.
func (r *trial) run() {
	// A rand.Rand is for one goroutine.
	a, b := rand.New(rand.NewPCG(r.chance.Uint64(), 1)), rand.New(rand.NewPCG(r.chance.Uint64(), 2))
	var both, speaking sync.WaitGroup
	heard := make(chan struct{}) // the cloud has received everything, or an error
	both.Go(func() { defer close(heard); r.endUp = r.gotUp.checkAll(&messages{ws: r.cloud}) })
	both.Go(func() { r.endDown = r.gotDown.checkAll(r.camera) })
	speaking.Go(func() { r.speak(a) })
	speaking.Go(func() { r.answer(b) })
	switch {
	case r.cutting && r.cloudEnds:
		speaking.Wait()
		_ = r.cloud.NetConn().Close() // no Close frame
	case r.cutting:
		speaking.Wait()
		_ = r.camera.SetLinger(0)
		_ = r.camera.Close()
	case r.cloudEnds:
		speaking.Wait()
		_ = r.cloud.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	default:
		speaking.Wait()
		_ = r.camera.CloseWrite()
		<-heard
		_ = r.cloud.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	}
	both.Wait()
	_ = r.camera.Close()
	_ = r.cloud.Close()
}

// judge checks the invariants of a trial. That no byte differs is checked on arrival.
func (r *trial) judge(record closing) error {
	graceful := map[bool]string{true: "camera", false: "remote"}[!r.cloudEnds]
	switch {
	case r.gotUp.n > r.up.n || r.gotDown.n > r.down.n:
		return fmt.Errorf("received %d and %d of %d and %d", r.gotUp.n, r.gotDown.n, r.up.n, r.down.n)
	case r.cutting && !r.cloudEnds && r.endUp == nil:
		return errors.New("the camera's reset is a graceful end for the cloud")
	case r.cutting && record.Cause == "":
		return errors.New("an abrupt end has no cause in the closing record")
	case r.cutting:
		return nil
	case record.ClosedBy != graceful || record.Cause != "":
		return fmt.Errorf("closed by %s, %s", record.ClosedBy, record.Cause)
	case r.endDown != nil || !r.cloudEnds && r.endUp != nil:
		return fmt.Errorf("no graceful end: %w", errors.Join(r.endUp, r.endDown))
	case r.gotDown.n != r.downLength || record.Down != r.gotDown.n:
		return fmt.Errorf("down: received %d of %d, recorded %d", r.gotDown.n, r.downLength, record.Down)
	case !r.cloudEnds && (r.gotUp.n != r.upLength || record.Up != r.gotUp.n):
		return fmt.Errorf("up: received %d of %d, recorded %d", r.gotUp.n, r.upLength, record.Up)
	}
	return nil
}

// closing is a tunnel's closing record in the log.
type closing struct {
	Message  string
	Port     int `json:"localPort"`
	ClosedBy string
	Cause    string
	Up       int64 `json:"bytesUp"`
	Down     int64 `json:"bytesDown"`
}

func (s *site) closings(t *testing.T) map[int]closing {
	t.Helper()
	all := make(map[int]closing)
	for line := range strings.Lines(s.log.String()) {
		var c closing
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Message == "tunnel closed" {
			all[c.Port] = c
		}
	}
	return all
}

// Many tunnels at once, each with its own bytes in both directions, in random pieces,
// frames and ends, lose and mix no bytes.
func TestTunnels_loseNoByte(t *testing.T) {
	const many = 64
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	far, change := overGorilla(t)
	s := newSite(t, func(o *tunnel.Options) {
		change(o)
		find := o.Camera
		o.Camera = func(int) (camera.Camera, bool) { return find(554) }
	})
	trials := make([]*trial, many)
	for i := range trials {
		r := request()
		r.LocalPort = i
		if err := s.Open(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		n := uint64(i)
		trials[i] = &trial{
			camera: accept(t, s.camera).(*net.TCPConn), cloud: <-far, chance: rand.New(rand.NewPCG(seed, n+1)),
			upLength: chance.Int64N(1 << (8 + chance.IntN(14))), downLength: chance.Int64N(1 << (8 + chance.IntN(10))),
			up: newKeystream(seed, n, 'u'), gotUp: newKeystream(seed, n, 'u'),
			down: newKeystream(seed, n, 'd'), gotDown: newKeystream(seed, n, 'd'),
			cloudEnds: chance.IntN(2) == 0, cutting: chance.IntN(4) == 0,
		}
	}
	var all sync.WaitGroup
	for _, r := range trials {
		all.Go(r.run)
	}
	all.Wait()
	s.shutdown(t)
	records := s.closings(t)
	var up, down int64
	for i, r := range trials {
		if err := r.judge(records[i]); err != nil {
			t.Errorf("tunnel %d (cloud ends: %t, abruptly: %t): %v", i, r.cloudEnds, r.cutting, err)
		}
		up, down = up+records[i].Up, down+records[i].Down
	}
	if totals := s.Totals(); totals.BytesUp != up || totals.BytesDown != down {
		t.Errorf("totals %+v, the records have %d and %d", totals, up, down)
	}
}

// The counters of a tunnel can be read while it runs.
func TestTunnels_countWhileRunning(t *testing.T) {
	far, change := overGorilla(t)
	s := newSite(t, change)
	if err := s.Open(t.Context(), request()); err != nil {
		t.Fatal(err)
	}
	camera, cloud := accept(t, s.camera), <-far
	if _, err := camera.Write(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(&messages{ws: cloud}, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := cloud.WriteMessage(websocket.TextMessage, make([]byte, 5_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(camera, make([]byte, 5_000)); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute) // the count follows the delivery
	for info := s.Tunnels()[0]; info.BytesUp != 100_000 || info.BytesDown != 5_000; info = s.Tunnels()[0] {
		if time.Now().After(deadline) {
			t.Fatalf("counted %d and %d", info.BytesUp, info.BytesDown)
		}
	}
	if totals := s.Totals(); totals.BytesUp != 100_000 || totals.BytesDown != 5_000 {
		t.Errorf("totals %+v", totals)
	}
	cloud.Close()
}
