package fmp4

import (
	"bytes"
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// Fragment returns a unit as one fragment: the boxes moof and mdat. Its decode time is the
// unit's, counted from the begin of the stream. It depends on the unit alone, so that all
// viewers can share it. It is nil for a unit that cannot be written: one of a codec that MP4
// does not have, or without samples.
func Fragment(u *media.Unit) []byte {
	s := samples(u)
	if len(s) == 0 {
		return nil
	}
	base := u.Epoch.Base[u.Track] + u.DTS
	part := fmp4.Part{
		SequenceNumber: uint32(base), //nolint:gosec // G115: it wraps
		Tracks:         []*fmp4.PartTrack{{ID: trackID(u.Track), BaseTime: uint64(max(base, 0)), Samples: s}}, //nolint:gosec // G115: not negative
	}
	var b seekablebuffer.Buffer
	if part.Marshal(&b) != nil {
		return nil
	}
	return b.Bytes()
}

// samples returns the samples of a unit.
func samples(u *media.Unit) []*fmp4.Sample {
	t := u.Epoch.Tracks[u.Track]
	switch t.Codec {
	case media.H264, media.H265:
		return picture(u, t)
	case media.AAC:
		return frames(u, func([]byte) int64 { return mpeg4audio.SamplesPerAccessUnit })
	case media.Opus:
		return frames(u, opus.PacketDuration2)
	case media.PCMA, media.PCMU:
		return flacFrames(u, t)
	case media.MJPEG:
	}
	return nil
}

// firstDuration divides a second: how long the first picture of an epoch is expected to last.
// Browsers wait for a key frame after a gap of more than two durations, so it is long.
const firstDuration = 5

func picture(u *media.Unit, t media.Track) []*fmp4.Sample {
	payload := lengthPrefixed(u.Payload)
	if len(payload) == 0 {
		return nil
	}
	duration := u.Duration
	if duration == 0 {
		duration = int64(t.ClockRate) / firstDuration
	}
	return []*fmp4.Sample{{
		Duration: clamp(duration), PTSOffset: int32(min(max(u.PTS-u.DTS, -maxOffset), maxOffset)), //nolint:gosec // G115: bounded
		IsNonSyncSample: !u.Key, Payload: payload,
	}}
}

const maxOffset = 1 << 30 // ticks from the decode time to the presentation time

// clamp returns a number of ticks that fits a duration's field.
func clamp(ticks int64) uint32 { return uint32(min(max(ticks, 1), maxOffset)) } //nolint:gosec // G115: bounded

// lengthPrefixed returns NAL units as samples of MP4 have them, each behind its length (ISO/IEC
// 14496-15, 5.3.2). Empty ones are left out.
func lengthPrefixed(nals [][]byte) []byte {
	size := 0
	for _, n := range nals {
		size += 4 + len(n)
	}
	b := make([]byte, 0, size)
	for _, n := range nals {
		if len(n) > 0 {
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(n))), n...) //nolint:gosec // G115: bounded by media.MaxUnitBytes
		}
	}
	return b
}

// frames returns the frames of sound, each with its number of ticks.
func frames(u *media.Unit, ticks func(frame []byte) int64) []*fmp4.Sample {
	list := make([]*fmp4.Sample, 0, len(u.Payload))
	for _, frame := range u.Payload {
		if len(frame) > 0 {
			list = append(list, &fmp4.Sample{Duration: clamp(ticks(frame)), Payload: frame})
		}
	}
	return list
}

// Still returns a key frame as an MP4 file with one picture, which browsers show without a
// player of ours. The error is a *failure.Failure: CODEC_NOT_FOR_OUTPUT.
func Still(key *media.Unit) ([]byte, error) {
	t := key.Epoch.Tracks[key.Track]
	codec, name := codecOf(t)
	payload := lengthPrefixed(key.Payload)
	if codec == nil || name == "" || !t.Video() || len(payload) == 0 {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, nil)
	}
	file := pmp4.Presentation{Tracks: []*pmp4.Track{{
		ID: 1, TimeScale: uint32(t.ClockRate), Codec: codec, //nolint:gosec // G115: a clock rate
		Samples: []*pmp4.Sample{{
			Duration: uint32(t.ClockRate), PayloadSize: uint32(len(payload)), //nolint:gosec // G115: bounded
			GetPayload: func() ([]byte, error) { return payload, nil },
		}},
	}}}
	var b bytes.Buffer
	if err := file.Marshal(&b); err != nil {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, err)
	}
	return b.Bytes(), nil
}
