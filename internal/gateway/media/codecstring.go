package media

import (
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
)

// CodecString returns the track's codec as browsers name it in MIME types (RFC 6381, 3.3;
// ISO/IEC 14496-15, annex E), such as "avc1.42C01F", "hvc1.1.6.L93.90", "mp4a.40.2" or
// "opus". It is empty if there is no such name, or if the parameter sets are not known.
func (t Track) CodecString() string {
	switch t.Codec {
	case H264:
		if len(t.SPS) < 4 {
			return ""
		}
		return fmt.Sprintf("avc1.%02X%02X%02X", t.SPS[1], t.SPS[2], t.SPS[3])
	case H265:
		return h265String(t.SPS)
	case AAC:
		return aacString(t.Config)
	case Opus:
		return "opus"
	default:
		return ""
	}
}

// profileLength is the length of profile_tier_level up to the general level, and of the byte
// before it (ITU-T H.265, 7.3.2.2.1 and 7.3.3).
const profileLength = 13

func h265String(sps []byte) string {
	if len(sps) < 2 {
		return ""
	}
	b := h264.EmulationPreventionRemove(sps[2:min(len(sps), MaxParameterSet)]) // alike in H265
	if len(b) < profileLength {
		return ""
	}
	var s strings.Builder
	s.WriteString("hvc1.")
	if space := b[1] >> 6; space > 0 {
		s.WriteByte('A' + space - 1)
	}
	tier := byte('L')
	if b[1]&0x20 != 0 {
		tier = 'H'
	}
	compatible := uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	fmt.Fprintf(&s, "%d.%X.%c%d", b[1]&0x1F, bits.Reverse32(compatible), tier, b[12])
	constraints := b[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, c := range constraints {
		fmt.Fprintf(&s, ".%X", c)
	}
	return s.String()
}

// aacString returns the codec of an AudioSpecificConfig, which begins with the audio object
// type (ISO/IEC 14496-3, 1.6.2.1).
func aacString(config []byte) string {
	if len(config) < 2 {
		return ""
	}
	object := int(config[0] >> 3)
	if object == 31 {
		object = 32 + int(config[0]&7)<<3 + int(config[1]>>5)
	}
	return fmt.Sprintf("mp4a.40.%d", object)
}
