package source_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCamera(t *testing.T, o rtsptest.Options) *rtsptest.Camera {
	t.Helper()
	c, err := rtsptest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// options returns those of a direct source of the URL.
func options(t *testing.T, rawURL string) source.Options {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return source.Options{
		Dial: func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		},
		Direct: true,
		URL:    rawURL,
		Log:    zerolog.Nop(),
	}
}

// player is a session and the units that it delivered.
type player struct {
	*source.Session
	units chan *media.Unit
}

func open(t *testing.T, o source.Options) (*player, error) {
	t.Helper()
	p := &player{units: make(chan *media.Unit, 10_000)}
	s, err := source.Open(t.Context(), o, func(u *media.Unit) { p.units <- u })
	if err != nil {
		return nil, err
	}
	t.Cleanup(s.Close)
	p.Session = s
	return p, nil
}

func play(t *testing.T, o source.Options) *player {
	t.Helper()
	p, err := open(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// next returns the next unit.
func (p *player) next(t *testing.T) *media.Unit {
	t.Helper()
	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	select {
	case u := <-p.units:
		return u
	case <-timer.C:
		t.Fatal("no unit for 20 s")
		return nil
	}
}

// wait returns the end of the session.
func (p *player) wait(t *testing.T) *failure.Failure {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	timer := time.NewTimer(60 * time.Second)
	defer timer.Stop()
	select {
	case err := <-ended:
		f, ok := errors.AsType[*failure.Failure](err)
		if !ok {
			t.Fatalf("end = %v, want a failure", err)
		}
		return f
	case <-timer.C:
		t.Fatal("the session goes on for 60 s")
		return nil
	}
}

// checkFailure checks hop and reason of an error.
func checkFailure(t *testing.T, err error, hop failure.Hop, code reason.Code) {
	t.Helper()
	f, ok := errors.AsType[*failure.Failure](err)
	if !ok {
		t.Fatalf("err = %v, want a failure", err)
	}
	if f.Hop != hop || f.Reason != code {
		t.Errorf("err = %v, want hop %s and reason %s", err, hop, code)
	}
}

// The units of an H.264 camera are its pictures, byte for byte, beginning with a key frame.
func TestOpen_pictures(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{})
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	p := play(t, options(t, camera.URL()))
	var pulled rtsptest.Pulled
	for i := range 60 {
		u := p.next(t)
		if want := i%25 == 0; u.Key != want {
			t.Errorf("unit %d: key = %v, want %v", i, u.Key, want)
		}
		if want := int64(i) * 3600; u.PTS != want || u.DTS != want {
			t.Errorf("unit %d: pts, dts = %d, %d, want %d", i, u.PTS, u.DTS, want)
		}
		pulled.AccessUnits = append(pulled.AccessUnits, rtsptest.AccessUnit(u.Payload))
		pulled.Frames++
		if i == 0 {
			got := u.Epoch.Tracks[0]
			if got.Codec != media.H264 || got.Width != 640 || got.Height != 360 || !slices.Equal(got.SPS, clip[0][1]) {
				t.Errorf("track = %+v", got)
			}
		}
	}
	if err := pulled.MatchClip("front"); err != nil {
		t.Error(err)
	}
}
