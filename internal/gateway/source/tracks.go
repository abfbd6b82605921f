package source

import (
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// track is one elementary stream of the camera that the session plays.
type track struct {
	media        *description.Media
	format       format.Format
	description  media.Track
	depacketizer depacketizer
}

// describe returns the tracks that the gateway can pass on: the first supported format of
// each media, at most media.MaxTracks. Back channels, metadata and other codecs are left out.
func describe(desc *description.Session) ([]*track, error) {
	var tracks []*track
	for _, m := range desc.Medias {
		if m.IsBackChannel || len(tracks) == media.MaxTracks {
			continue
		}
		// The library panics if it cannot build the URL of a SETUP.
		if u, err := m.URL(desc.BaseURL); err != nil || u == nil {
			continue
		}
		for _, f := range m.Formats {
			if t := supported(m, f); t != nil {
				tracks = append(tracks, t)
				break
			}
		}
	}
	if len(tracks) == 0 {
		return nil, failure.New(failure.Media, reason.NoMedia, nil)
	}
	return tracks, nil
}

// supported returns the track of a format, or nil if the gateway cannot pass it on.
func supported(m *description.Media, f format.Format) *track {
	t := &track{media: m, format: f, description: media.Track{
		ClockRate:   f.ClockRate(),
		PayloadType: f.PayloadType(),
		RTPMap:      f.RTPMap(),
		FMTP:        f.FMTP(),
	}}
	if t.description.ClockRate <= 0 || !t.detail() {
		return nil
	}
	return t
}

// detail fills what depends on the codec. It returns false if the codec, or a variant of it,
// is not supported.
func (t *track) detail() bool {
	d := &t.description
	switch f := t.format.(type) {
	case *format.H264:
		d.Codec = media.H264
		*d = d.With(media.Parameters{SPS: parameterSet(f.SPS), PPS: parameterSet(f.PPS)})
		t.depacketizer = newPictures(media.H264, func() (decodeFunc, error) { return h264Decoder(f) })
	case *format.H265:
		d.Codec = media.H265
		*d = d.With(media.Parameters{VPS: parameterSet(f.VPS), SPS: parameterSet(f.SPS), PPS: parameterSet(f.PPS)})
		t.depacketizer = newPictures(media.H265, func() (decodeFunc, error) { return h265Decoder(f) })
	case *format.MJPEG:
		d.Codec = media.MJPEG
		t.depacketizer = newFrames(true, func() (decodeFunc, error) { return mjpegDecoder(f) })
	case *format.G711:
		d.Codec = media.PCMA
		if f.MULaw {
			d.Codec = media.PCMU
		}
		d.SampleRate, d.Channels = f.SampleRate, f.ChannelCount
		t.depacketizer = newFrames(false, wholePackets)
	case *format.Opus:
		d.Codec = media.Opus
		d.SampleRate, d.Channels = f.ClockRate(), f.ChannelCount
		t.depacketizer = newFrames(false, wholePackets)
	case *format.MPEG4Audio:
		if f.SizeLength > maxFieldBits || f.IndexLength > maxFieldBits || f.IndexDeltaLength > maxFieldBits {
			return false
		}
		return t.detailAAC(f.Config, func() (decodeFunc, error) { return aacDecoder(f) })
	case *format.MPEG4AudioLATM:
		layer := latmLayer(f.StreamMuxConfig)
		if layer == nil {
			return false
		}
		return t.detailAAC(layer.AudioSpecificConfig, func() (decodeFunc, error) { return latmDecoder(f) })
	default:
		return false
	}
	return t.depacketizer.usable()
}

// latmLayer returns the only layer of a configuration, or nil if it has others, frames of
// fixed length, or other data, which the library does not read.
func latmLayer(c *mpeg4audio.StreamMuxConfig) *mpeg4audio.StreamMuxConfigLayer {
	if c == nil || c.OtherDataPresent || len(c.Programs) != 1 || len(c.Programs[0].Layers) != 1 || c.Programs[0].Layers[0].FrameLengthType != 0 {
		return nil
	}
	return c.Programs[0].Layers[0]
}

// maxFieldBits bounds the fields of an AU header (RFC 3640, 3.2.1): the library reads longer
// ones as negative lengths. AAC-hbr has 13 and 3.
const maxFieldBits = 16

func (t *track) detailAAC(c *mpeg4audio.AudioSpecificConfig, create func() (decodeFunc, error)) bool {
	config, err := c.Marshal()
	if err != nil {
		return false
	}
	d := &t.description
	d.Codec, d.Config = media.AAC, config
	d.SampleRate, d.Channels = c.SampleRate, int(c.ChannelConfig)
	t.depacketizer = newFrames(true, create)
	return t.depacketizer.usable()
}

// parameterSet returns a parameter set of the description, or nil if it is not usable.
func parameterSet(nal []byte) []byte {
	if len(nal) == 0 || len(nal) > media.MaxParameterSet {
		return nil
	}
	return nal
}
