package rtsptest

import (
	"bytes"
	"embed"
	"fmt"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Properties of every clip that clips/make.sh makes.
const (
	framePeriod = time.Second / 25
	groupSize   = 25 // frames from one key frame to the next
)

//go:embed clips/*.h264
var clips embed.FS

// AccessUnit is one coded picture: its NAL units in order, with delimiter and
// parameter sets, each without a start code (ITU-T H.264, 7.4.1.2.3).
type AccessUnit [][]byte

// clip is a recording that begins with a key frame. The camera plays it in a loop.
type clip struct {
	units []AccessUnit
	// bFrames is the number of B frames after each P frame, in the order of decoding: those
	// are shown before it.
	bFrames int
}

// Clip returns the access units of the clip with that name, "front", "yard" or "attic",
// in the order in which the camera sends them. The first is a key frame, and so
// is every 25th after it. The caller may change the result.
func Clip(name string) ([]AccessUnit, error) {
	c, err := loadClip(name)
	return c.units, err
}

func loadClip(name string) (clip, error) {
	// ReadFile returns a copy, so the caller may change the slices of it.
	raw, err := clips.ReadFile("clips/" + name + ".h264")
	if err != nil {
		return clip{}, fmt.Errorf("unknown clip %q", name)
	}
	if !bytes.HasPrefix(raw, delimiter) {
		return clip{}, fmt.Errorf("parse clip %s: no access unit delimiter at the start", name)
	}
	var c clip
	if name == "attic" {
		c.bFrames = 2
	}
	for i, rest := range bytes.Split(raw, delimiter) {
		if i == 0 {
			continue // before the first delimiter is nothing
		}
		var unit h264.AnnexB // bounds the NAL units of one access unit
		if err := unit.Unmarshal(append(bytes.Clone(delimiter), rest...)); err != nil {
			return clip{}, fmt.Errorf("parse clip %s, access unit %d: %w", name, i, err)
		}
		c.units = append(c.units, AccessUnit(unit))
	}
	return c, nil
}

// delimiter is a start code and the first byte of an access unit delimiter, as ffmpeg
// writes them (ITU-T H.264, Annex B and 7.3.2.4).
var delimiter = []byte{0, 0, 0, 1, byte(h264.NALUTypeAccessUnitDelimiter)}

// at returns frame n of the loop.
func (c clip) at(n int) AccessUnit { return c.units[n%len(c.units)] }

// shown returns the place of frame n in the order in which frames are shown.
func (c clip) shown(n int) int {
	k := n % groupSize
	if k == 0 || c.bFrames == 0 {
		return n
	}
	run := c.bFrames + 1 // a P frame, and the B frames that are shown before it
	first, i := (k-1)/run*run, (k-1)%run
	if i == 0 {
		return n - k + first + run
	}
	return n - k + first + i
}

// parameter returns the first NAL unit of type t, or nil if there is none. All
// SPS of a clip are equal, and so are all PPS.
func (c clip) parameter(t h264.NALUType) []byte {
	for _, unit := range c.units[0] {
		if naluType(unit) == t {
			return unit
		}
	}
	return nil
}

func naluType(unit []byte) h264.NALUType { return h264.NALUType(unit[0] & 0x1F) }
