package rtsptest

import (
	"fmt"
	"math"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// Frame is one picture, as a camera is about to send it to one client, and the sound that
// goes with it.
type Frame struct {
	// Number counts the pictures of the session from 0, which is a key frame.
	Number int
	// Unit is the picture; nil if the camera sends none. A Change may replace it, but must
	// not change its bytes.
	Unit AccessUnit
	// Timestamp is the RTP timestamp, at 90 kHz.
	Timestamp uint32

	Mute bool // the sound is left out
	Lose bool // the last RTP packet is left out, so that its sequence number is missing
	End  bool // the camera ends the connection instead of sending the picture
}

// Change changes a picture before the camera sends it. It is called from one goroutine for
// each session, in order.
type Change func(*Frame)

// Changes applies all of them, in order.
func Changes(all ...Change) Change {
	return func(f *Frame) {
		for _, c := range all {
			c(f)
		}
	}
}

// NoKeyFrames leaves out each key frame.
func NoKeyFrames() Change {
	return func(f *Frame) {
		if h264.IsRandomAccess(f.Unit) {
			f.Unit = nil
		}
	}
}

// KeyFrames keeps each n-th key frame, beginning with the first one, and leaves out the
// others. A decoder shows artifacts after a key frame that was left out.
func KeyFrames(n int) Change {
	return func(f *Frame) {
		if f.Number%groupSize == 0 && f.Number/groupSize%n != 0 {
			f.Unit = nil
		}
	}
}

// NoParameters leaves out the SPS and PPS before each key frame, so that only the
// description has them.
func NoParameters() Change {
	return func(f *Frame) {
		var kept AccessUnit
		for _, unit := range f.Unit {
			if t := naluType(unit); t != h264.NALUTypeSPS && t != h264.NALUTypePPS {
				kept = append(kept, unit)
			}
		}
		f.Unit = kept
	}
}

// SilentFrom sends neither pictures nor sound from picture n on.
func SilentFrom(n int) Change {
	return func(f *Frame) {
		if f.Number >= n {
			f.Unit, f.Mute = nil, true
		}
	}
}

// EndAt ends the connection instead of sending picture n.
func EndAt(n int) Change {
	return func(f *Frame) { f.End = f.End || f.Number == n }
}

// LoseAt leaves out the last packet of picture n.
func LoseAt(n int) Change {
	return func(f *Frame) { f.Lose = f.Lose || f.Number == n }
}

// JumpAt adds seconds to the timestamps of pictures from picture n on. The sound has a clock
// of its own and keeps it.
func JumpAt(n int, seconds float64) Change {
	return func(f *Frame) {
		if f.Number >= n {
			f.Timestamp += uint32(int64(seconds*90000) & math.MaxUint32)
		}
	}
}

// SwitchAt sends the named clip from picture n on, as a camera does whose resolution is
// changed. The switch waits for the next key frame.
func SwitchAt(n int, name string) Change {
	other, err := loadClip(name)
	if err != nil {
		panic(fmt.Sprintf("switch: %v", err)) // a test's own mistake
	}
	return func(f *Frame) {
		if from := (n + groupSize - 1) / groupSize * groupSize; f.Number >= from {
			// The pictures of attic have another order than those of the others: the timestamps
			// change with it.
			k := f.Number - from
			f.Timestamp += uint32(int64((other.shown(k)-k)*rtpTicks) & math.MaxUint32)
			f.Unit = other.at(k)
		}
	}
}
