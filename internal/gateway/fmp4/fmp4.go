// Package fmp4 writes units as fragmented MP4 (ISO/IEC 14496-12; CMAF, ISO/IEC 23000-19): one
// init segment for an epoch, one fragment for each unit, and a key frame as an MP4 file.
//
// Code belongs here if it knows boxes of MP4. The package is pure: it knows neither HTTP nor
// files. Sound of G.711, which browsers do not know in MP4, becomes FLAC without compression.
package fmp4

import (
	"fmt"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/flac"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Select returns the indices of the video and the sound of an epoch that MP4 carries, the
// first of each; -1 stands for none.
func Select(e *media.Epoch) (video, sound int) {
	video, sound = -1, -1
	for i, t := range e.Tracks {
		switch t.Codec {
		case media.H264, media.H265:
			if video < 0 {
				video = i
			}
		case media.AAC, media.Opus, media.PCMA, media.PCMU:
			if sound < 0 {
				sound = i
			}
		case media.MJPEG: // no browser knows it in MP4
		}
	}
	return video, sound
}

// Format is how the tracks of one epoch are written. It does not change.
type Format struct {
	init   []byte
	codecs string
}

// New returns the format of the tracks with these indices. The error is a *failure.Failure at
// hop media: CODEC_NOT_FOR_OUTPUT if a track cannot be written, because of its codec or because
// its parameters are not known.
func New(e *media.Epoch, tracks ...int) (*Format, error) {
	var init fmp4.Init
	var names []string
	for _, i := range tracks {
		t := e.Tracks[i]
		codec, name := codecOf(t)
		if codec == nil || name == "" {
			return nil, failure.New(failure.Media, reason.CodecNotForOutput, fmt.Errorf("%s in MP4", t.Codec))
		}
		init.Tracks = append(init.Tracks, &fmp4.InitTrack{ID: trackID(i), TimeScale: uint32(t.ClockRate), Codec: codec}) //nolint:gosec // G115: a clock rate
		names = append(names, name)
	}
	var b seekablebuffer.Buffer
	if err := init.Marshal(&b); err != nil || len(tracks) == 0 {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, err)
	}
	return &Format{init: b.Bytes(), codecs: strings.Join(names, ",")}, nil
}

// trackID returns the id of a track in MP4, by its index.
func trackID(index int) int { return index + 1 }

// Init returns the init segment (ISO/IEC 14496-12, 8.16.3). The caller must not change it.
func (f *Format) Init() []byte { return f.init }

// Codecs returns the tracks' codecs as in a MIME type (RFC 6381), such as
// "avc1.42C01F,mp4a.40.2".
func (f *Format) Codecs() string { return f.codecs }

// codecOf returns a track's codec and its name in MIME types; nil if MP4 cannot have it.
func codecOf(t media.Track) (codecs.Codec, string) {
	switch t.Codec {
	case media.H264:
		if len(t.PPS) == 0 {
			return nil, ""
		}
		return &codecs.H264{SPS: t.SPS, PPS: t.PPS}, t.CodecString()
	case media.H265:
		if len(t.PPS) == 0 || len(t.VPS) == 0 {
			return nil, ""
		}
		return &codecs.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}, t.CodecString()
	case media.AAC:
		var config mpeg4audio.AudioSpecificConfig
		if config.Unmarshal(t.Config) != nil {
			return nil, ""
		}
		return &codecs.MPEG4Audio{Config: config}, t.CodecString()
	case media.Opus:
		return &codecs.Opus{ChannelCount: channels(t)}, t.CodecString()
	case media.PCMA, media.PCMU:
		return &codecs.FLAC{StreamInfo: StreamInfo(t)}, "flac"
	case media.MJPEG:
	}
	return nil, ""
}

// StreamInfo describes the FLAC of a track of G.711 (RFC 9639, 8.2).
func StreamInfo(t media.Track) *flac.StreamInfo {
	return &flac.StreamInfo{
		MinBlockSize: minBlock, MaxBlockSize: maxBlock,
		SampleRate: uint32(t.ClockRate), ChannelCount: uint8(channels(t)), BitDepth: 16, //nolint:gosec // G115: small numbers
	}
}

// channels returns how many channels a track of sound has: 1 if it does not say.
func channels(t media.Track) int { return min(max(t.Channels, 1), 8) }
