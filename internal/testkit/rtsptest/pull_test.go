package rtsptest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/porttest"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestPull(t *testing.T) {
	t.Parallel()
	for _, name := range clipNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{Name: name})
			got, err := rtsptest.Pull(t.Context(), camera.URL(), 100)
			if err != nil {
				t.Fatal(err)
			}
			if got.Frames != 100 || len(got.AccessUnits) != 100 {
				t.Errorf("frames = %d, access units = %d, want 100", got.Frames, len(got.AccessUnits))
			}
			if got.FirstFrame <= 0 || got.FirstFrame > 5*time.Second {
				t.Errorf("first frame after %v", got.FirstFrame)
			}
			if err := got.MatchClip(name); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPulled_MatchClip(t *testing.T) {
	t.Parallel()
	clip := newClip(t, "front")
	loop := append(clip[475:500:500], clip[:50]...)
	changed := append([]rtsptest.AccessUnit{}, clip[:30]...)
	changed[7] = rtsptest.AccessUnit{changed[7][0], append([]byte{}, changed[7][1]...)}
	changed[7][1][20] ^= 1
	for _, test := range []struct {
		name  string
		units []rtsptest.AccessUnit
		want  string // error; none if empty
	}{
		{"loop", loop, ""},
		{"none", nil, "no frames"},
		{"one bit changed", changed, "frame 7 is not frame 7 of clip front"},
		{"frame left out", append(clip[25:30:30], clip[31:40]...), "frame 5 is not frame 30 of clip front"},
		{"not from a key frame", clip[26:30], "frame 0 is not a key frame of clip front"},
		{"other clip", newClip(t, "yard")[:3], "frame 0 is not a key frame of clip front"},
		{"no parameter sets", []rtsptest.AccessUnit{clip[0][3:]}, "frame 0 is not a key frame of clip front"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := (rtsptest.Pulled{AccessUnits: test.units}).MatchClip("front"); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("err = %q, want %q", got, test.want)
			}
		})
	}
}

func TestPull_steps(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})

	for _, test := range []struct{ name, url, want string }{
		{"no url", "rtsp://viewer:example-only@[::1/", "parse url: "},
		{"port", "rtsp://viewer:example-only@127.0.0.1:port/", "parse url: "},
		{"scheme", "rtsps://viewer:example-only@127.0.0.1/", "parse url: "},
		{"no listener", "rtsp://viewer:example-only@" + porttest.Reserve(t) + "/front", "dial tcp "},
		{"wrong path", "rtsp://" + camera.Addr() + "/yard", "describe: bad status code: 404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := rtsptest.Pull(t.Context(), test.url, 1)
			checkError(t, err, test.want)
		})
	}
}

func TestPull_contextBeforeDial(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	want := errors.New("enough")
	cancel(want)
	_, err := rtsptest.Pull(ctx, "rtsp://"+newListener(t).Addr().String()+"/front", 1)
	checkError(t, err, "dial: ")
	if !errors.Is(err, want) {
		t.Errorf("err = %v, want the cause %v", err, want)
	}
}

func TestPull_noFrames(t *testing.T) {
	t.Parallel()
	if _, err := rtsptest.Pull(t.Context(), "rtsp://127.0.0.1:1/front", 0); err == nil {
		t.Error("err = nil, want one for 0 frames")
	}
}

// The end of the context ends Pull at once, during a request without a response and
// during a stream.
func TestPull_context(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	silent := newListener(t)
	for _, test := range []struct{ name, url, want string }{
		{"request", "rtsp://" + silent.Addr().String() + "/front", "describe: "},
		{"stream", camera.URL(), "read: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := rtsptest.Pull(ctx, test.url, 1_000_000)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("err = %v, want %sdeadline exceeded", err, test.want)
			}
			if got := time.Since(begin); got > 3*time.Second {
				t.Errorf("Pull took %v, want 0.3 s", got)
			}
		})
	}
}

// When the camera disconnects during the stream, Pull returns the frames so far and an
// error that names the current step.
func TestPull_cameraCloses(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	proxy := newListener(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { forward(t, proxy, camera.Addr(), 8_000) })

	got, err := rtsptest.Pull(t.Context(), "rtsp://"+proxy.Addr().String()+"/front", 1_000_000)
	checkError(t, err, "read: ")
	if err := got.MatchClip("front"); err != nil {
		t.Error(err)
	}
}

func newListener(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// forward connects one client to address, and disconnects it when it has received n
// bytes.
func forward(t *testing.T, l net.Listener, address string, n int64) {
	t.Helper()
	client, err := l.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(server, client) }) // until server is closed
	if _, err := io.CopyN(client, server, n); err != nil {
		t.Error(err)
	}
	client.Close()
	server.Close()
	wg.Wait()
}
