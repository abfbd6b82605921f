package source_test

import (
	"bytes"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/testkit/rtsptest"
)

// pictures returns the next n units of video.
func (p *player) pictures(t *testing.T, n int) []*media.Unit {
	t.Helper()
	var units []*media.Unit
	for len(units) < n {
		if u := p.next(t); u.Epoch.Tracks[u.Track].Video() {
			units = append(units, u)
		}
	}
	return units
}

// epochs returns for each epoch of the units the number of units, and checks that each
// epoch begins with a key frame at PTS 0.
func epochs(t *testing.T, units []*media.Unit) []int {
	t.Helper()
	var counts []int
	var last *media.Epoch
	for i, u := range units {
		if u.Epoch != last {
			last = u.Epoch
			counts = append(counts, 0)
			if !u.Key || u.PTS != 0 || u.DTS != 0 {
				t.Errorf("unit %d begins an epoch with key = %v, pts = %d, dts = %d", i, u.Key, u.PTS, u.DTS)
			}
			if d := time.Since(u.Epoch.Begin); d < 0 || d > time.Minute {
				t.Errorf("unit %d begins an epoch %v ago", i, d)
			}
		}
		counts[len(counts)-1]++
	}
	return counts
}

// A jump of the clock and another resolution begin an epoch at a key frame; a jump in the
// middle of a group costs its rest. What only looks like a jump does not.
func TestSession_epochs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		change  rtsptest.Change
		first   int // units of the first of two epochs, or 0 if there is one
		dropped uint64
	}{
		{"none", nil, 0, 0},
		{"wrap-around", rtsptest.JumpAt(0, 47721.8), 0, 0}, // 2^32 ticks are 47721.86 s
		{"forward at a key frame", rtsptest.JumpAt(25, 60), 25, 0},
		{"back at a key frame", rtsptest.JumpAt(25, -60), 25, 0},
		{"half a second back at a key frame", rtsptest.JumpAt(25, -0.5), 25, 0},
		{"forward in a group", rtsptest.JumpAt(10, 60), 10, 15},
		{"back in a group", rtsptest.JumpAt(10, -60), 10, 15},
		{"a little forward", rtsptest.JumpAt(10, 1), 0, 0},
		{"a little back", rtsptest.JumpAt(10, -0.04), 0, 0},
		{"another resolution", rtsptest.SwitchAt(25, "attic"), 25, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{Change: test.change})
			p := play(t, options(t, camera.URL()))
			units := p.pictures(t, 45)
			got, want := epochs(t, units), []int{45}
			if test.first > 0 {
				want = []int{test.first, 45 - test.first}
			}
			if len(got) != len(want) || got[0] != want[0] {
				t.Errorf("units of the epochs = %v, want %v", got, want)
			}
			for i, u := range units[1:] {
				if u.Epoch == units[i].Epoch && u.DTS <= units[i].DTS {
					t.Errorf("unit %d: dts = %d after %d", i+1, u.DTS, units[i].DTS)
				}
				if u.Wall.Before(units[i].Wall) {
					t.Errorf("unit %d: wall goes back by %v", i+1, units[i].Wall.Sub(u.Wall))
				}
			}
			if got := p.Counts().Dropped; got != test.dropped {
				t.Errorf("dropped = %d, want %d", got, test.dropped)
			}
		})
	}
}

// The epoch of another resolution has the new parameter sets and the new size.
func TestSession_resolution(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Change: rtsptest.SwitchAt(25, "attic")})
	p := play(t, options(t, camera.URL()))
	units := p.pictures(t, 40)
	before, after := units[0].Epoch.Tracks[0], units[39].Epoch.Tracks[0]
	if before.Width != 640 || after.Width != 320 || after.Height != 180 {
		t.Errorf("widths = %d and %d, want 640 and 320", before.Width, after.Width)
	}
	if before.FMTP["sprop-parameter-sets"] == after.FMTP["sprop-parameter-sets"] || after.FMTP["packetization-mode"] != "1" {
		t.Errorf("fmtp = %v", after.FMTP)
	}
	if d := p.Epoch().Tracks[0]; d.Width != 640 || d.FMTP["sprop-parameter-sets"] != before.FMTP["sprop-parameter-sets"] {
		t.Errorf("the described track changed: %v", d)
	}
}

// Parameter sets come before each key frame, from wherever the camera has them.
func TestSession_parameterSets(t *testing.T) {
	t.Parallel()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	sps, pps := clip[0][1], clip[0][2]
	for name, o := range map[string]rtsptest.Options{
		"in the stream":      {BareDescription: true},
		"in the description": {Change: rtsptest.NoParameters()},
		"in both":            {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, o)
			p := play(t, options(t, camera.URL()))
			for i, u := range p.pictures(t, 30) {
				if d := u.Epoch.Tracks[0]; !bytes.Equal(d.SPS, sps) || !bytes.Equal(d.PPS, pps) {
					t.Fatalf("unit %d: the epoch has other parameter sets", i)
				}
				if !u.Key {
					continue
				}
				if got := count(u.Payload, sps) + count(u.Payload, pps); got != 2 {
					t.Errorf("unit %d has %d parameter sets, want 2", i, got)
				}
				checkPackets(t, u, sps, pps)
			}
		})
	}
}

func count(nals [][]byte, nal []byte) int {
	n := 0
	for _, b := range nals {
		if bytes.Equal(b, nal) {
			n++
		}
	}
	return n
}

// checkPackets checks that the packets of a key frame have the parameter sets, rising sequence
// numbers, one timestamp, and the marker bit on the last one alone.
func checkPackets(t *testing.T, u *media.Unit, sets ...[]byte) {
	t.Helper()
	all := bytes.Join(u.Packets, nil)
	for _, s := range sets {
		if !bytes.Contains(all, s) {
			t.Error("the packets lack a parameter set")
		}
	}
	for i, p := range u.Packets {
		if i > 0 && p[3] != u.Packets[i-1][3]+1 {
			t.Errorf("packet %d: sequence number %d after %d", i, p[3], u.Packets[i-1][3])
		}
		if !bytes.Equal(p[4:8], u.Packets[0][4:8]) {
			t.Errorf("packet %d has another timestamp", i)
		}
		if got, want := p[1]&0x80 != 0, i == len(u.Packets)-1; got != want {
			t.Errorf("packet %d: marker = %v, want %v", i, got, want)
		}
	}
}

// A lost packet costs the group of pictures, and nothing else.
func TestSession_loss(t *testing.T) {
	t.Parallel()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	camera := newCamera(t, rtsptest.Options{Change: rtsptest.LoseAt(10)})
	p := play(t, options(t, camera.URL()))
	units := p.pictures(t, 30)
	first := -1
	for i, unit := range clip {
		if bytes.Equal(unit[len(unit)-1], units[0].Payload[len(units[0].Payload)-1]) {
			first = i
		}
	}
	for i, u := range units {
		n := i
		if i >= 10 {
			n += 15 // those after the lost one, up to the next key frame
		}
		want := clip[(first+n)%len(clip)]
		if !bytes.Equal(bytes.Join(u.Payload, nil), bytes.Join(want, nil)) {
			t.Errorf("unit %d is not picture %d", i, n)
		}
		if u.PTS != int64(n)*3600 {
			t.Errorf("unit %d: pts = %d, want %d", i, u.PTS, n*3600)
		}
	}
	if c := p.Counts(); c.Lost != 1 || c.Broken != 1 || c.Dropped != 14 || c.Packets == 0 {
		t.Errorf("counts = %+v, want 1 lost, 1 broken, 14 dropped", c)
	}
}

// B frames keep their order, and their decoding times rise.
func TestSession_bFrames(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "attic"})
	p := play(t, options(t, camera.URL()))
	units := p.pictures(t, 60)
	for i, want := range []int64{0, 3, 1, 2, 6, 4, 5} {
		if got := units[i].PTS; got != want*3600 {
			t.Errorf("unit %d: pts = %d, want %d", i, got, want*3600)
		}
	}
	for i, u := range units {
		if u.DTS > u.PTS || i > 0 && u.DTS <= units[i-1].DTS {
			t.Errorf("unit %d: dts = %d, pts = %d, dts before = %d", i, u.DTS, u.PTS, units[max(i-1, 0)].DTS)
		}
	}
	if len(epochs(t, units)) != 1 {
		t.Error("B frames began an epoch")
	}
}

// A camera without key frames delivers nothing, and is neither silent nor unreadable.
func TestSession_noKeyFrame(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Change: rtsptest.NoKeyFrames(), Sound: "PCMU"})
	o := options(t, camera.URL())
	o.Silence = 500 * time.Millisecond
	p := play(t, o)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = p.Wait() }()
	timer := time.NewTimer(2 * time.Second)
	defer timer.Stop()
	select {
	case <-ended:
		t.Errorf("the session ended: %v", p.Wait())
	case <-timer.C:
	}
	if c := p.Counts(); len(p.units) != 0 || c.Dropped < 20 {
		t.Errorf("units = %d, dropped = %d, want 0 and at least 20", len(p.units), c.Dropped)
	}
	p.Close()
	<-ended
}
