package rtsptest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp"

	"rtsptunnel/internal/testkit/rtsptest"
)

// The first frame that a client gets is a complete key frame, whenever the client
// connects.
func TestCamera_startsWithKeyFrame(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	for i := range 60 {
		got, err := rtsptest.Pull(t.Context(), camera.URL(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.MatchClip("front"); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		if got.Skipped != 0 {
			t.Fatalf("client %d: frames before the key frame = %d, want 0", i, got.Skipped)
		}
	}
}

func TestCamera_twoClients(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "yard"})
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range 2 {
		wg.Go(func() {
			got, err := rtsptest.Pull(t.Context(), camera.URL(), 50)
			if err == nil {
				err = got.MatchClip("yard")
			}
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
}

// A camera plays the clip that its options name.
func TestCamera_showsItsOwnClip(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "front"})
	got, err := rtsptest.Pull(t.Context(), camera.URL(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.MatchClip("yard"); err == nil {
		t.Error("front matches yard")
	}
}

// After the frames of the current second, frames come at 25 a second. Their
// timestamps rise by 90000/25.
func TestCamera_pace(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	const frames = 75
	packets := make(chan *rtp.Packet, 1000)
	playPackets(t, camera, packets)

	begin := time.Now()
	first := nextFrame(t, packets)
	last := first
	for i := 1; i < frames; i++ {
		p := nextFrame(t, packets)
		if got, want := p.Timestamp-last.Timestamp, uint32(90000/25); got != want {
			t.Fatalf("timestamp of frame %d rises by %d, want %d", i, got, want)
		}
		last = p
	}
	// 75 frames last 3 s. Up to 1 s of them is due before the client connects.
	if got, least := time.Since(begin), 1900*time.Millisecond; got < least {
		t.Errorf("%d frames took %v, want at least %v", frames, got, least)
	}
}

// playPackets sends the packets of the camera to the channel until the test ends.
func playPackets(t *testing.T, camera *rtsptest.Camera, to chan<- *rtp.Packet) {
	t.Helper()
	tcp := gortsplib.ProtocolTCP
	client := &gortsplib.Client{Scheme: "rtsp", Host: camera.Addr(), Protocol: &tcp}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	u, err := base.ParseURL(camera.URL())
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := client.Describe(u)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SetupAll(session.BaseURL, session.Medias); err != nil {
		t.Fatal(err)
	}
	client.OnPacketRTPAny(func(_ *description.Media, _ format.Format, p *rtp.Packet) { to <- p })
	if _, err := client.Play(nil); err != nil {
		t.Fatal(err)
	}
}

// nextFrame returns the last packet of the next frame.
func nextFrame(t *testing.T, packets <-chan *rtp.Packet) *rtp.Packet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for {
		select {
		case p := <-packets:
			if p.Marker {
				return p
			}
		case <-ctx.Done():
			t.Fatal("no frame for 5 s")
		}
	}
}

func TestCamera_digest(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "front", User: "viewer", Password: "example-only"})
	for _, test := range []struct {
		name string
		user *url.Userinfo
		want string // in the error; none if empty
	}{
		{"right", url.UserPassword("viewer", "example-only"), ""},
		{"wrong password", url.UserPassword("viewer", "example-wrong"), "describe: bad status code: 401"},
		{"wrong user", url.UserPassword("stranger", "example-only"), "describe: bad status code: 401"},
		{"missing", nil, "describe: bad status code: 401"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(camera.URL())
			if err != nil {
				t.Fatal(err)
			}
			u.User = test.user
			_, err = rtsptest.Pull(t.Context(), u.String(), 3)
			checkError(t, err, test.want)
		})
	}
}

// checkError checks that err contains want, or is nil if want is empty, and that it
// contains no password.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	got := fmt.Sprint(err)
	if want == "" && err != nil {
		t.Errorf("err = %v, want nil", err)
	}
	if want != "" && (err == nil || !strings.Contains(got, want)) {
		t.Errorf("err = %v, want one with %q", err, want)
	}
	if strings.Contains(got, "example-") {
		t.Errorf("err = %v, which contains the password", err)
	}
}

// Close disconnects a client that plays and one that is only connected, and
// Connections and Sessions are 0 afterwards. goleak checks the goroutines.
func TestCamera_Close(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	idle := newConn(t, camera)
	request(t, idle, "OPTIONS", camera.URL(), "User-Agent: test")
	playing := newConn(t, camera)
	_, header := request(t, playing, "SETUP", camera.URL()+"/trackID=0", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
	id, _, _ := strings.Cut(header.Get("Session"), ";")
	if status, _ := request(t, playing, "PLAY", camera.URL(), "Session: "+id); status != "RTSP/1.0 200 OK" {
		t.Fatalf("play: %s", status)
	}
	if _, err := playing.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got, want := [2]int{camera.Connections(), camera.Sessions()}, [2]int{2, 1}; got != want {
		t.Errorf("connections and sessions before = %v, want %v", got, want)
	}

	camera.Close()
	camera.Close()

	for _, c := range []*conn{idle, playing} {
		_, err := io.Copy(io.Discard, c)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("connection is open after Close")
		}
	}
	if got, want := [2]int{camera.Connections(), camera.Sessions()}, [2]int{0, 0}; got != want {
		t.Errorf("connections and sessions after = %v, want %v", got, want)
	}
	if c, err := net.Dial("tcp", camera.Addr()); err == nil {
		c.Close()
		t.Error("camera listens after Close")
	}
}

// Close does not wait for a client that sends requests and never reads.
func TestCamera_Close_clientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	client := newConn(t, camera)
	// Responses repeat the CSeq, so they are long.
	options := []byte("OPTIONS * RTSP/1.0\r\nCSeq: " + strings.Repeat("1", 2000) + "\r\n\r\n")
	for { // until the camera blocks in a write and stops reading
		if err := client.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Write(options); err != nil {
			break
		}
	}
	begin := time.Now()
	camera.Close()
	if got := time.Since(begin); got > 4*time.Second {
		t.Errorf("Close took %v", got)
	}
}

// A session ends when its connection ends.
func TestCamera_sessionEndsWithClient(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	if _, err := rtsptest.Pull(t.Context(), camera.URL(), 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for camera.Sessions()+camera.Connections() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("sessions = %d, connections = %d, want 0", camera.Sessions(), camera.Connections())
		}
	}
}

func TestStart_refuses(t *testing.T) {
	t.Parallel()
	busy := newCamera(t, rtsptest.Options{})
	for name, o := range map[string]rtsptest.Options{
		"unknown clip": {Name: "cellar"},
		"path":         {Name: "../front"},
		"address":      {Address: "127.0.0.1"},
		"busy address": {Address: busy.Addr()},
	} {
		camera, err := rtsptest.Start(o)
		if err == nil {
			camera.Close()
			t.Errorf("%s: err = nil", name)
		}
	}
}

func TestCamera_URL(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	want := map[string]string{}
	for _, address := range []string{"", "127.0.0.1:0", ":0", "0.0.0.0:0"} {
		camera := newCamera(t, rtsptest.Options{Name: "yard", Address: address})
		_, port, err := net.SplitHostPort(camera.Addr())
		if err != nil {
			t.Fatal(err)
		}
		got[address], want[address] = camera.URL(), "rtsp://127.0.0.1:"+port+"/yard"
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("URLs (-want +got):\n%s", diff)
	}
}
