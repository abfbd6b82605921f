package media

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// MaxParameterSet is the greatest length of one parameter set, in bytes. Longer ones are
// ignored; those of real cameras have less than 200.
const MaxParameterSet = 4 << 10

// Parameters are the parameter sets that a decoder needs before a key frame: SPS and PPS of
// H264 (ITU-T H.264, 7.3.2), and the VPS of H265, too (ITU-T H.265, 7.3.2).
type Parameters struct{ VPS, SPS, PPS []byte }

// Complete reports whether a decoder of the codec can begin with these sets.
func (p Parameters) Complete(c Codec) bool {
	switch c {
	case H264:
		return p.SPS != nil && p.PPS != nil
	case H265:
		return p.VPS != nil && p.SPS != nil && p.PPS != nil
	default:
		return true
	}
}

// Equal reports whether both are byte for byte the same.
func (p Parameters) Equal(q Parameters) bool {
	return bytes.Equal(p.VPS, q.VPS) && bytes.Equal(p.SPS, q.SPS) && bytes.Equal(p.PPS, q.PPS)
}

// Update replaces sets of p by copies of the first one of each kind in the access unit. It
// returns the sets that the access unit lacks, in the order in which a decoder needs them.
func (p *Parameters) Update(c Codec, au [][]byte) (missing [][]byte) {
	targets := p.targets(c)
	found := make([]bool, len(targets))
	for _, nal := range au {
		i := slices.Index(parameterKinds(c), nalKind(c, nal))
		if i < 0 || found[i] || len(nal) > MaxParameterSet {
			continue
		}
		found[i] = true
		if !bytes.Equal(*targets[i], nal) {
			*targets[i] = bytes.Clone(nal)
		}
	}
	for i, t := range targets {
		if !found[i] && *t != nil {
			missing = append(missing, *t)
		}
	}
	return missing
}

func (p *Parameters) targets(c Codec) []*[]byte {
	switch c {
	case H264:
		return []*[]byte{&p.SPS, &p.PPS}
	case H265:
		return []*[]byte{&p.VPS, &p.SPS, &p.PPS}
	default:
		return nil
	}
}

// parameterKinds returns the types of NAL units that hold the parameter sets, in the order of
// targets.
func parameterKinds(c Codec) []int {
	switch c {
	case H264:
		return []int{int(h264.NALUTypeSPS), int(h264.NALUTypePPS)}
	case H265:
		return []int{int(h265.NALUType_VPS_NUT), int(h265.NALUType_SPS_NUT), int(h265.NALUType_PPS_NUT)}
	default:
		return nil
	}
}

// With returns a copy of the track with these parameter sets, and with the size of pictures
// that the SPS has. A set that cannot be parsed leaves the size 0.
func (t Track) With(p Parameters) Track {
	t.VPS, t.SPS, t.PPS = p.VPS, p.SPS, p.PPS
	t.Width, t.Height = 0, 0
	if w, h, err := pictureSize(t.Codec, p.SPS); err == nil {
		t.Width, t.Height = w, h
	}
	return t
}

// Parameters returns the track's parameter sets.
func (t Track) Parameters() Parameters { return Parameters{t.VPS, t.SPS, t.PPS} }

func pictureSize(c Codec, sps []byte) (width, height int, err error) {
	switch c {
	case H264:
		var s h264.SPS
		if err := s.Unmarshal(sps); err != nil {
			return 0, 0, fmt.Errorf("parse sps: %w", err)
		}
		width, height = s.Width(), s.Height()
	case H265:
		var s h265.SPS
		if err := s.Unmarshal(sps); err != nil {
			return 0, 0, fmt.Errorf("parse sps: %w", err)
		}
		width, height = s.Width(), s.Height()
	}
	if width <= 0 || height <= 0 || width > maxSide || height > maxSide {
		return 0, 0, fmt.Errorf("parse sps: a picture of %d x %d", width, height)
	}
	return width, height, nil
}

// maxSide is the greatest width or height of a picture that the levels of H.264 and H.265
// allow, rounded up.
const maxSide = 32768
