package stream_test

import (
	"testing"
	"testing/synctest"

	"rtsptunnel/internal/gateway/media"
)

// Units that readers have left behind do not keep the forms that outputs made of them.
func TestStream_forgetsMemos(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamera()
		s := newStream(t, c)
		r, session := live(t, s, c)
		builds := 0
		memo := func(u *media.Unit) {
			u.Memo(media.Interleaved, func(*media.Unit) []byte {
				builds++
				return []byte{1}
			})
		}
		units := []*media.Unit{next(t, r)}
		memo(units[0])
		for range 40 {
			session.picture(false)
			units = append(units, next(t, r))
			memo(units[len(units)-1])
		}
		builds = 0
		for _, u := range units {
			memo(u)
		}
		if want := len(units) - 32; builds != want {
			t.Errorf("%d of %d units have forgotten their memo, want %d", builds, len(units), want)
		}
	})
}
