package stream_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/rtsptest"
)

// pull returns an OpenFunc of a real camera.
func pull(camera *rtsptest.Camera) stream.OpenFunc {
	return func(ctx context.Context, deliver func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
		dial := func(ctx context.Context) (net.Conn, error) {
			progress(failure.Camera)
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", camera.Addr())
			progress(failure.RTSP)
			return conn, err
		}
		return source.Open(ctx, source.Options{Dial: dial, Direct: true, URL: camera.URL(), Log: zerolog.Nop()}, deliver)
	}
}

// A camera that ends its connection is a gap for 20 readers, which share one session.
func TestStream_ofARealCamera(t *testing.T) {
	t.Parallel()
	var ended atomic.Bool
	camera, err := rtsptest.Start(rtsptest.Options{Change: func(f *rtsptest.Frame) {
		f.End = f.Number == 60 && ended.CompareAndSwap(false, true)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	events := make(chan stream.Event, 100)
	s := stream.New(stream.Options{
		Name: "lab/front", Open: pull(camera), Lag: 15 * time.Second, RingAge: time.Minute,
		Observe: func(e stream.Event) { events <- e },
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var readers sync.WaitGroup
	for i := range 20 {
		readers.Go(func() {
			r, err := s.Attach(ctx, stream.Want{Start: stream.Start(i % 2)})
			if err != nil {
				t.Errorf("Attach: %v", err)
				return
			}
			defer r.Close()
			if e := r.Epoch(); len(e.Tracks) != 1 || e.Tracks[0].Width != 640 || e.Number == 0 {
				t.Errorf("epoch %+v", e)
			}
			var order order
			for second := 0; second < 30; { // units of the second epoch
				u, err := r.Next(ctx)
				if err != nil {
					t.Errorf("Next: %v", err)
					return
				}
				groups, skipped := r.Skipped()
				if groups > 0 {
					t.Errorf("skipped %d groups", groups)
				}
				order.check(t, u, skipped, false)
				if u.Epoch.Number == 2 {
					second++
				}
			}
		})
	}
	readers.Wait()
	if got := camera.Sessions(); got != 1 {
		t.Errorf("%d sessions with the camera for 20 readers", got)
	}
	state := wantPhase(t, s, stream.PhaseClosing)
	if state.KeyInterval != time.Second || state.Bytes == 0 || state.Epoch.Tracks[0].Codec != media.H264 {
		t.Errorf("state %+v", state)
	}
	if state.OpenPhases[stream.OpenRTSP] == 0 {
		t.Errorf("phases %v", state.OpenPhases)
	}
	s.Close(nil)
	for i, want := range []stream.Kind{stream.EventOpened, stream.EventReopening, stream.EventOpened, stream.EventClosed} {
		e := <-events
		if e.Kind != want {
			t.Errorf("event %d is %s, want %s", i, e.Kind, want)
		}
		if want == stream.EventReopening {
			wantFailure(t, e.Failure, failure.Camera, reason.CameraClosed)
		}
	}
}

// The hop and the reason of a real camera's refusal reach the reader.
func TestStream_ofARealCameraThatRefuses(t *testing.T) {
	t.Parallel()
	camera, err := rtsptest.Start(rtsptest.Options{User: "admin", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	s := stream.New(stream.Options{Name: "lab/front", Open: pull(camera)})
	_, err = s.Attach(t.Context(), stream.Want{})
	wantFailure(t, err, failure.RTSP, reason.RTSPLogin)
	if f := s.State().Failure; f == nil || f.RetryAt.IsZero() {
		t.Errorf("failure %v", f)
	}
}
