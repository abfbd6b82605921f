package source

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"rtsptunnel/internal/gateway/media"
)

// beginsPicture reports whether an RTP payload surely is the first one of a picture: it
// begins with a delimiter, a parameter set or the picture's first slice. After a loss, the
// picture may be whole then.
func beginsPicture(c media.Codec, payload []byte) bool {
	if c == media.H264 {
		return beginsH264(payload)
	}
	return beginsH265(payload)
}

// beginsH264 follows RFC 6184, 5.6 to 5.8. A first slice has first_mb_in_slice 0, which is
// one bit (ITU-T H.264, 7.3.3 and 9.1).
func beginsH264(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	kind, slice := h264.NALUType(b[0]&0x1F), b[1:]
	switch kind {
	case h264.NALUTypeSTAPA:
		if len(b) < 5 {
			return false
		}
		kind, slice = h264.NALUType(b[3]&0x1F), b[4:]
	case h264.NALUTypeFUA:
		if len(b) < 3 || b[1]&0x80 == 0 {
			return false
		}
		kind, slice = h264.NALUType(b[1]&0x1F), b[2:]
	}
	switch kind {
	case h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeSPS, h264.NALUTypePPS:
		return true
	case h264.NALUTypeNonIDR, h264.NALUTypeIDR:
		return slice[0]&0x80 != 0
	default:
		return false
	}
}

// beginsH265 follows RFC 7798, 4.4. A first slice has first_slice_segment_in_pic_flag, the
// first bit after the header (ITU-T H.265, 7.3.6.1).
func beginsH265(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	kind, slice := h265.NALUType(b[0]>>1&0x3F), b[2:]
	switch kind {
	case h265.NALUType_AggregationUnit:
		if len(b) < 7 {
			return false
		}
		kind, slice = h265.NALUType(b[4]>>1&0x3F), b[6:]
	case h265.NALUType_FragmentationUnit:
		if len(b) < 4 || b[2]&0x80 == 0 {
			return false
		}
		kind, slice = h265.NALUType(b[2]&0x3F), b[3:]
	}
	switch kind {
	case h265.NALUType_AUD_NUT, h265.NALUType_VPS_NUT, h265.NALUType_SPS_NUT, h265.NALUType_PPS_NUT:
		return true
	default:
		return kind < h265.NALUType_VPS_NUT && slice[0]&0x80 != 0
	}
}
