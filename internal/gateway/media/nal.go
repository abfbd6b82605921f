package media

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// Bounds of what a camera may send. What is beyond them is left out.
const (
	MaxUnitBytes = 4 << 20 // of one access unit
	MaxNALs      = 256     // NAL units of one access unit
	MaxTracks    = 8
)

// nalKind returns the type of a NAL unit (ITU-T H.264, 7.3.1; H.265, 7.3.1.2), or -1 if it
// has no header.
func nalKind(c Codec, nal []byte) int {
	switch {
	case c == H264 && len(nal) >= 1:
		return int(nal[0] & 0x1F)
	case c == H265 && len(nal) >= 2:
		return int(nal[0]>>1) & 0x3F
	default:
		return -1
	}
}

// Picture is what the NAL units of one access unit of H264 or H265 are.
type Picture struct {
	Slices  bool // it has coded slices: without, it is no picture but parameter sets or SEI
	Key     bool // decoding can begin here: IDR, and IRAP of H265
	Leading bool // of H265: it precedes the last key frame in output order (ITU-T H.265, 3.71)
}

// Inspect looks at the types of the NAL units alone.
func Inspect(c Codec, au [][]byte) Picture {
	var p Picture
	for _, nal := range au {
		kind := nalKind(c, nal)
		switch c {
		case H264:
			p.Slices = p.Slices || kind >= int(h264.NALUTypeNonIDR) && kind <= int(h264.NALUTypeIDR)
			p.Key = p.Key || kind == int(h264.NALUTypeIDR)
		case H265:
			p.Slices = p.Slices || kind >= 0 && kind < int(h265.NALUType_VPS_NUT)
			p.Key = p.Key || kind >= int(h265.NALUType_BLA_W_LP) && kind <= int(h265.NALUType_CRA_NUT)
			p.Leading = p.Leading || kind >= int(h265.NALUType_RADL_N) && kind <= int(h265.NALUType_RASL_R)
		}
	}
	return p
}
