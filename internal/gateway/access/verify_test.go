package access

import (
	"errors"
	"testing"
	"time"
)

// A mark that a valid key has signed lasts no longer than its kind, and has begun.
func TestVerify_bounds(t *testing.T) {
	var ks keys
	now := time.Now()
	if err := ks.open(memory{}, now); err != nil {
		t.Fatal(err)
	}
	set := ks.set.Load()
	for name, c := range map[string]struct {
		begin, end time.Duration
		want       error
	}{
		"valid":              {0, time.Hour, nil},
		"as long as it may":  {-time.Hour, 11 * time.Hour, nil},
		"too long":           {0, 12*time.Hour + time.Minute, errMark},
		"within the leeway":  {2 * time.Minute, time.Hour, nil},
		"of the future":      {4 * time.Minute, time.Hour, errMark},
		"ended":              {-time.Hour, -time.Second, errMarkEnd},
		"ended and too long": {-time.Hour * 24, -time.Second, errMark},
	} {
		text := set.sign(forPlayback, mark{By: "x", Begin: now.Add(c.begin).Unix(), End: now.Add(c.end).Unix()}, now)
		if _, err := set.verify(forPlayback, text, playbackMost, now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := set.verify(forCookie, text, playbackMost, now); err == nil {
			t.Errorf("%s: it is a cookie, too", name)
		}
	}
}
