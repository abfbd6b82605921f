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
type clip []AccessUnit

// Clip returns the access units of the clip with that name, "front" or "yard",
// in the order in which the camera sends them. The first is a key frame, and so
// is every 25th after it. The caller may change the result.
func Clip(name string) ([]AccessUnit, error) {
	return loadClip(name)
}

func loadClip(name string) (clip, error) {
	// ReadFile returns a copy, so the caller may change the slices of it.
	raw, err := clips.ReadFile("clips/" + name + ".h264")
	if err != nil {
		return nil, fmt.Errorf("unknown clip %q", name)
	}
	if !bytes.HasPrefix(raw, delimiter) {
		return nil, fmt.Errorf("parse clip %s: no access unit delimiter at the start", name)
	}
	var c clip
	for i, rest := range bytes.Split(raw, delimiter) {
		if i == 0 {
			continue // before the first delimiter is nothing
		}
		var unit h264.AnnexB // bounds the NAL units of one access unit
		if err := unit.Unmarshal(append(bytes.Clone(delimiter), rest...)); err != nil {
			return nil, fmt.Errorf("parse clip %s, access unit %d: %w", name, i, err)
		}
		c = append(c, AccessUnit(unit))
	}
	return c, nil
}

// delimiter is a start code and the first byte of an access unit delimiter, as ffmpeg
// writes them (ITU-T H.264, Annex B and 7.3.2.4).
var delimiter = []byte{0, 0, 0, 1, byte(h264.NALUTypeAccessUnitDelimiter)}

// at returns frame n of the loop.
func (c clip) at(n int) AccessUnit { return c[n%len(c)] }

// parameter returns the first NAL unit of type t, or nil if there is none. All
// SPS of a clip are equal, and so are all PPS.
func (c clip) parameter(t h264.NALUType) []byte {
	for _, unit := range c[0] {
		if naluType(unit) == t {
			return unit
		}
	}
	return nil
}

func naluType(unit []byte) h264.NALUType { return h264.NALUType(unit[0] & 0x1F) }
