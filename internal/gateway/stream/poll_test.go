package stream_test

import (
	"testing"
	"testing/synctest"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// Poll returns the kept units, then none, and at last why the stream ended.
func TestReader_Poll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		want := []*media.Unit{session.picture(true), session.picture(false), session.audio()}
		r.Restart(stream.Want{Start: stream.Live})
		for i, w := range append(want, nil) {
			if got, err := r.Poll(); got != w || err != nil {
				t.Fatalf("unit %d: %+v, %v; want %+v", i, got, err, w)
			}
		}
		last := session.picture(false)
		if got, err := r.Poll(); got != last || err != nil {
			t.Errorf("%+v, %v; want the new unit", got, err)
		}
		s.Close(failure.New(failure.Gateway, reason.CameraRemoved, nil))
		if got, err := r.Poll(); got != nil || failure.Of(err).Reason != reason.CameraRemoved {
			t.Errorf("after the end: %+v, %v", got, err)
		}
		session.end(nil)
	})
}
