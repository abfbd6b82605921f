package rtsptest_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp"

	"rtsptunnel/internal/testkit/rtsptest"
)

// attic's pictures have the parameter sets of another size, and B frames, which no later
// picture refers to.
func TestClip_attic(t *testing.T) {
	t.Parallel()
	clip := newClip(t, "attic")
	if len(clip) != 100 {
		t.Fatalf("frames = %d, want 100", len(clip))
	}
	for i, unit := range clip {
		if got, want := h264.IsRandomAccess(unit), i%25 == 0; got != want {
			t.Errorf("frame %d: key frame = %t, want %t", i, got, want)
		}
		k := i % 25
		last := unit[len(unit)-1]
		if got, want := last[0]&0x60 == 0, k > 0 && (k-1)%3 > 0; got != want {
			t.Errorf("frame %d: nothing refers to it = %t, want %t", i, got, want)
		}
	}
	var sps h264.SPS
	if err := sps.Unmarshal(clip[0][1]); err != nil {
		t.Fatal(err)
	}
	if sps.Width() != 320 || sps.Height() != 180 {
		t.Errorf("size = %d x %d, want 320 x 180", sps.Width(), sps.Height())
	}
}

// The timestamps of B frames are those of the order in which they are shown.
func TestCamera_bFrames(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Name: "attic"})
	packets := make(chan *rtp.Packet, 1000)
	playPackets(t, camera, packets)
	first := nextFrame(t, packets).Timestamp
	var got []int
	for range 7 {
		got = append(got, int(nextFrame(t, packets).Timestamp-first)/3600)
	}
	if want := []int{3, 1, 2, 6, 4, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("shown = %v, want %v", got, want)
	}
}

// frames returns what a Change makes of the first n pictures of the clip front: the number
// of NAL units, or -1 if the picture is not sent, and the timestamp in frame periods.
func frames(t *testing.T, c rtsptest.Change, n int) [][2]int {
	t.Helper()
	clip := newClip(t, "front")
	var got [][2]int
	for i := range n {
		f := &rtsptest.Frame{Number: i, Unit: clip[i], Timestamp: uint32(i * 3600)}
		c(f)
		units := len(f.Unit)
		if units == 0 {
			units = -1
		}
		got = append(got, [2]int{units, int(int32(f.Timestamp)) / 3600})
	}
	return got
}

func TestChange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change rtsptest.Change
		at     int
		want   [2]int
	}{
		"no change":           {rtsptest.Changes(), 25, [2]int{4, 25}},
		"no key frames":       {rtsptest.NoKeyFrames(), 25, [2]int{-1, 25}},
		"no parameters":       {rtsptest.NoParameters(), 25, [2]int{2, 25}},
		"every other key":     {rtsptest.KeyFrames(2), 25, [2]int{-1, 25}},
		"the other key":       {rtsptest.KeyFrames(2), 50, [2]int{4, 50}},
		"silent":              {rtsptest.SilentFrom(3), 3, [2]int{-1, 3}},
		"before silent":       {rtsptest.SilentFrom(3), 2, [2]int{2, 2}},
		"jump":                {rtsptest.JumpAt(3, 10), 3, [2]int{2, 253}},
		"back":                {rtsptest.JumpAt(3, -10), 3, [2]int{2, -247}},
		"before the switch":   {rtsptest.SwitchAt(3, "attic"), 24, [2]int{2, 24}},
		"after the switch":    {rtsptest.SwitchAt(3, "attic"), 26, [2]int{2, 28}},
		"both, in this order": {rtsptest.Changes(rtsptest.NoKeyFrames(), rtsptest.JumpAt(0, 1)), 0, [2]int{-1, 25}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, frames(t, test.change, test.at+1)[test.at]); diff != "" {
				t.Errorf("frame %d (-want +got):\n%s", test.at, diff)
			}
		})
	}
}

// A lost packet is missing in the sequence, and a camera can end the connection.
func TestChange_onTheWire(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{Change: rtsptest.LoseAt(0)})
	_, err := rtsptest.Pull(t.Context(), camera.URL(), 50)
	checkError(t, err, "packets lost")

	camera = newCamera(t, rtsptest.Options{Change: rtsptest.EndAt(3)})
	got, err := rtsptest.Pull(t.Context(), camera.URL(), 50)
	checkError(t, err, "read: ")
	if got.Frames != 3 {
		t.Errorf("frames = %d, want 3", got.Frames)
	}
}

func TestCamera_challenges(t *testing.T) {
	t.Parallel()
	for name, challenges := range map[string][]rtsptest.Challenge{
		"basic":   {rtsptest.Basic},
		"sha-256": {rtsptest.DigestSHA256},
		"all":     {rtsptest.Basic, rtsptest.DigestMD5, rtsptest.DigestSHA256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{User: "viewer", Password: "example-only", Challenges: challenges, Path: "live/1"})
			u, err := url.Parse(camera.URL())
			if err != nil {
				t.Fatal(err)
			}
			if u.Path != "/live/1" {
				t.Errorf("path = %q, want /live/1", u.Path)
			}
			_, err = rtsptest.Pull(t.Context(), u.String(), 1)
			checkError(t, err, "401")
			u.User = url.UserPassword("viewer", "example-only")
			if _, err := rtsptest.Pull(t.Context(), u.String(), 3); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCamera_maxSessions(t *testing.T) {
	t.Parallel()
	camera := newCamera(t, rtsptest.Options{MaxSessions: 1})
	playPackets(t, camera, make(chan *rtp.Packet, 10_000))
	_, err := rtsptest.Pull(t.Context(), camera.URL(), 1)
	checkError(t, err, "setup: bad status code: 453")
}

// The sound keeps the camera's pace, and its timestamps rise by the samples of a packet.
func TestCamera_sound(t *testing.T) {
	t.Parallel()
	for codec, samples := range map[string]uint32{"PCMU": 160, "PCMA": 160, "AAC": 1024, "Opus": 960} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			camera := newCamera(t, rtsptest.Options{Sound: codec})
			packets := make(chan *rtp.Packet, 10_000)
			playPackets(t, camera, packets)
			var last *rtp.Packet
			for heard := 0; heard < 20; {
				p := nextFrame(t, packets)
				if p.PayloadType == 96 {
					continue
				}
				if last != nil && (p.Timestamp-last.Timestamp != samples || p.SequenceNumber-last.SequenceNumber != 1) {
					t.Fatalf("timestamp and sequence rise by %d and %d, want %d and 1",
						p.Timestamp-last.Timestamp, p.SequenceNumber-last.SequenceNumber, samples)
				}
				last = p
				heard++
			}
		})
	}
	if _, err := rtsptest.Start(rtsptest.Options{Sound: "MP3"}); err == nil {
		t.Error("err = nil, want one for unknown sound")
	}
}
