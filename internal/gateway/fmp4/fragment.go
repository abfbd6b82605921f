package fmp4

import (
	"bytes"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// AppendFragment appends a unit as one fragment: the boxes moof and mdat. Its decode time is the
// unit's, counted from the begin of the stream. It depends on the unit alone, so that all
// viewers can share it. It appends nothing for a unit that cannot be written: one of a codec that
// MP4 does not have, or without samples.
func AppendFragment(b []byte, u *media.Unit) []byte {
	list := samples(u)
	if len(list) == 0 {
		return b
	}
	data := 0
	for i := range list {
		data += list[i].size()
	}
	b = slices.Grow(b, moofSize(list)+8+data)
	b = appendMoof(b, u, list)
	b = appendBox(b, "mdat", 8+data)
	for i := range list {
		b = list[i].append(b)
	}
	return b
}

// samples returns the samples of a unit.
func samples(u *media.Unit) []sample {
	t := u.Epoch.Tracks[u.Track]
	switch t.Codec {
	case media.H264, media.H265:
		return picture(u, t)
	case media.AAC:
		return frames(u, func([]byte) int64 { return mpeg4audio.SamplesPerAccessUnit })
	case media.Opus:
		return frames(u, opus.PacketDuration2)
	case media.PCMA, media.PCMU:
		return flacFrames(u)
	case media.MJPEG:
	}
	return nil
}

// firstDuration divides a second: how long the first picture of an epoch is expected to last.
// Browsers wait for a key frame after a gap of more than two durations, so it is long.
const firstDuration = 5

func picture(u *media.Unit, t media.Track) []sample {
	duration := u.Duration
	if duration == 0 {
		duration = int64(t.ClockRate) / firstDuration
	}
	s := sample{
		duration: clamp(duration), offset: int32(min(max(u.PTS-u.DTS, -maxOffset), maxOffset)),
		dependent: !u.Key, nals: true, payload: u.Payload,
	}
	if s.size() == 0 {
		return nil
	}
	return []sample{s}
}

const maxOffset = 1 << 30 // ticks from the decode time to the presentation time

// clamp returns a number of ticks that fits a duration's field.
func clamp(ticks int64) uint32 { return uint32(min(max(ticks, 1), maxOffset)) }

// frames returns the frames of sound, each with its number of ticks.
func frames(u *media.Unit, ticks func(frame []byte) int64) []sample {
	list := make([]sample, 0, len(u.Payload))
	for i, frame := range u.Payload {
		if len(frame) > 0 {
			list = append(list, sample{duration: clamp(ticks(frame)), payload: u.Payload[i : i+1]})
		}
	}
	return list
}

// Still returns a key frame as an MP4 file with one picture, which browsers show without a
// player of ours. The error is a *failure.Failure: CODEC_NOT_FOR_OUTPUT.
func Still(key *media.Unit) ([]byte, error) {
	t := key.Epoch.Tracks[key.Track]
	codec, name := codecOf(t)
	payload := sample{nals: true, payload: key.Payload}.append(nil)
	if codec == nil || name == "" || !t.Video() || len(payload) == 0 {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, nil)
	}
	file := pmp4.Presentation{Tracks: []*pmp4.Track{{
		ID: 1, TimeScale: uint32(t.ClockRate), Codec: codec, //nolint:gosec // G115: a clock rate
		Samples: []*pmp4.Sample{{
			Duration: uint32(t.ClockRate), PayloadSize: uint32(len(payload)), //nolint:gosec // G115: a clock rate, and a bounded size
			GetPayload: func() ([]byte, error) { return payload, nil },
		}},
	}}}
	var b bytes.Buffer
	if err := file.Marshal(&b); err != nil {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, err)
	}
	return b.Bytes(), nil
}
