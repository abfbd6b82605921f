package stream_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// Who waits for changes sees each hop of an opening, the live stream, and why it opens again.
func TestStream_Changed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hops := []failure.Hop{failure.Hub, failure.Camera, failure.RTSP}
		step := make(chan struct{})
		ended := make(chan error, 1)
		deliver := make(chan func(*media.Unit), 1)
		s := stream.New(stream.Options{Open: func(_ context.Context, d func(*media.Unit), progress func(failure.Hop)) (stream.Session, error) {
			for _, h := range hops {
				<-step
				progress(h)
			}
			<-step
			deliver <- d
			return &plain{ended}, nil
		}})
		defer s.Close(nil)
		next := func(changed <-chan struct{}) stream.State {
			<-changed
			return s.State()
		}
		changed := s.Changed()
		go func() { _, _ = s.Attach(t.Context(), stream.Want{}) }()
		if got := next(changed).Phase; got != stream.PhaseOpening {
			t.Errorf("phase %s", got)
		}
		for _, h := range append(hops, failure.Media) {
			synctest.Wait()
			changed = s.Changed()
			step <- struct{}{}
			if got := next(changed).Hop; got != h {
				t.Errorf("hop %s, want %s", got, h)
			}
		}
		synctest.Wait()
		changed = s.Changed()
		(<-deliver)(&media.Unit{Epoch: &media.Epoch{Tracks: []media.Track{{Codec: media.H264, ClockRate: videoRate}}, Begin: time.Now()}, Key: true})
		synctest.Wait()
		if got := next(changed).Phase; got != stream.PhaseLive {
			t.Errorf("phase %s", got)
		}
		changed = s.Changed()
		ended <- failure.New(failure.Media, reason.MediaStopped, nil)
		synctest.Wait()
		if got := next(changed); got.Phase != stream.PhaseReopening || got.Failure == nil {
			t.Errorf("state %+v", got)
		}
	})
}

// plain is a session that ends when a test says so.
type plain struct{ ended chan error }

func (p *plain) Wait() error { return <-p.ended }
func (p *plain) Close() {
	select {
	case p.ended <- nil:
	default:
	}
}

// A unit's duration is the longest of the last steps, so that jitter makes no gap behind it.
func TestUnit_Duration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		epoch := next(t, r).Epoch
		at := int64(10 * videoRate)
		var got []int64
		for _, step := range []int64{3600, 3600, 7200, 3600} {
			at += step
			u := &media.Unit{Epoch: epoch, PTS: at, DTS: at}
			session.send(u, 1)
			got = append(got, u.Duration)
		}
		if got[1] < 3600 || got[2] < 7200 || got[3] < 6700 || got[3] > 7200 {
			t.Errorf("durations %v", got)
		}
	})
}
