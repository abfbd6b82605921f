package media

import (
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// DTS computes the decoding times of the pictures of one track and epoch, in decoding order.
// The first picture is a key frame with its parameter sets.
type DTS struct {
	extract func(au [][]byte, pts int64) (int64, error)
	last    int64
	begun   bool
}

// NewDTS returns the decoding times of an epoch. Those of codecs other than H264 and H265
// are the presentation times.
func NewDTS(c Codec) *DTS {
	d := &DTS{}
	switch c {
	case H264:
		e := &h264.DTSExtractor{}
		e.Initialize()
		d.extract = e.Extract
	case H265:
		e := &h265.DTSExtractor{}
		e.Initialize()
		d.extract = e.Extract
	}
	return d
}

// Next returns the decoding time of the next picture, in ticks. It rises strictly, and is not
// negative if pts is not. Where the codec's order of pictures cannot be derived, it is pts,
// or one tick after its predecessor.
func (d *DTS) Next(au [][]byte, pts int64) int64 {
	dts := pts
	if d.extract != nil && !slices.ContainsFunc(au, empty) { // the extractors panic for an empty NAL unit
		if v, err := d.extract(au, pts); err == nil {
			dts = max(v, 0)
		}
	}
	if d.begun && dts <= d.last {
		dts = d.last + 1
	}
	d.begun, d.last = true, dts
	return dts
}

func empty(nal []byte) bool { return len(nal) == 0 }
