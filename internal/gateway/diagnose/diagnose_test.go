package diagnose_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session is an RTSP session whose end the test decides.
type session struct {
	epoch media.Epoch
	ended chan error // one value
	done  chan struct{}
}

func newSession() *session {
	return &session{epoch: media.Epoch{Tracks: []media.Track{{Codec: media.PCMA}, {Codec: media.H264, Width: 640, Height: 360}}}, ended: make(chan error, 1), done: make(chan struct{})}
}

func (s *session) Epoch() *media.Epoch { return &s.epoch }

func (s *session) Wait() error {
	select {
	case err := <-s.ended:
		return err
	case <-s.done:
		return nil
	}
}

func (s *session) Close() { close(s.done) }

// direct is a direct source whose session is given.
func direct(s *session, played func(deliver func(*media.Unit)) error) diagnose.Target {
	return diagnose.Target{
		Camera: "lab/bench",
		Dial:   func(context.Context) (net.Conn, error) { return nil, nil },
		Play: func(_ context.Context, _ net.Conn, deliver func(*media.Unit)) (diagnose.Session, error) {
			if err := played(deliver); err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

func (s *session) unit(track int, key bool) *media.Unit {
	return &media.Unit{Epoch: &s.epoch, Track: track, Key: key, Payload: [][]byte{make([]byte, 100)}}
}

func TestRun_media(t *testing.T) {
	for name, try := range map[string]struct {
		deliver func(s *session, deliver func(*media.Unit))
		code    reason.Code
		after   time.Duration
	}{
		"a key frame": {func(s *session, deliver func(*media.Unit)) {
			deliver(s.unit(0, true))
			deliver(s.unit(1, true))
			deliver(s.unit(1, true)) // must not block
		}, "", 0},
		"sound and other pictures alone": {func(s *session, deliver func(*media.Unit)) {
			deliver(s.unit(0, true))
			deliver(s.unit(1, false))
		}, reason.NoKeyFrame, 15 * time.Second},
		"silence": {func(s *session, _ func(*media.Unit)) {
			time.AfterFunc(10*time.Second, func() { s.ended <- failure.New(failure.Media, reason.MediaStopped, nil) })
		}, reason.MediaStopped, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, begun := newSession(), time.Now()
				got := diagnose.Run(t.Context(), direct(s, func(deliver func(*media.Unit)) error { try.deliver(s, deliver); return nil }))
				check(t, got, try.code, failure.Camera, failure.RTSP, failure.Media)
				if took := time.Since(begun); took != try.after || got.Steps[2].Millis != float64(try.after/time.Millisecond) {
					t.Errorf("it took %s, and the step %v ms", took, got.Steps[2].Millis)
				}
				if got.Steps[1].Message != "the camera plays PCMA and H264" {
					t.Errorf("got %s", got.Steps[1].Message)
				}
				<-s.done // it was closed
			})
		})
	}
}

// Whatever a hop does, the caller's context ends the diagnosis.
func TestRun_isBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		target := direct(newSession(), nil)
		target.Dial = func(ctx context.Context) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
		check(t, diagnose.Run(ctx, target), reason.OpeningTimeout, failure.Camera)
	})
	synctest.Test(t, func(t *testing.T) {
		target := direct(newSession(), nil)
		target.Play = func(ctx context.Context, _ net.Conn, _ func(*media.Unit)) (diagnose.Session, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		check(t, diagnose.Run(t.Context(), target), reason.OpeningTimeout, failure.Camera, failure.RTSP)
	})
	synctest.Test(t, func(t *testing.T) {
		target := direct(newSession(), func(func(*media.Unit)) error { return errors.New("a fault") })
		check(t, diagnose.Run(t.Context(), target), reason.Internal, failure.Camera, failure.Gateway)
	})
}

func TestResult_json(t *testing.T) {
	text, err := json.Marshal(diagnose.Result{Camera: "edge1/front", Steps: []diagnose.Step{
		{Hop: failure.Hub, OK: true, Millis: 12.3, Message: "answers"},
		{Hop: failure.Module, Millis: 0, Reason: reason.ModuleOffline, Message: "offline", Advice: "wait"},
	}})
	const want = `{"camera":"edge1/front","ok":false,"steps":[{"hop":"hub","ok":true,"ms":12.3,"message":"answers"},` +
		`{"hop":"module","ok":false,"ms":0,"reason":"MODULE_OFFLINE","message":"offline","advice":"wait"}]}`
	if string(text) != want || err != nil {
		t.Errorf("got  %s, %v\nwant %s", text, err, want)
	}
}

// Each code that may break a hop has its own advice, or a hop that has some.
func TestRun_advice(t *testing.T) {
	for _, hop := range failure.Hops() {
		for _, code := range reason.Codes() {
			synctest.Test(t, func(t *testing.T) {
				target := direct(newSession(), nil)
				target.Dial = func(context.Context) (net.Conn, error) { return nil, failure.New(hop, code, nil) }
				got := diagnose.Run(t.Context(), target)
				if last := got.Steps[len(got.Steps)-1]; last.Hop != hop || last.Reason != code || last.Advice == "" || got.OK {
					t.Errorf("%s at %s: %+v", code, hop, got)
				}
			})
		}
	}
}
