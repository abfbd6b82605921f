package rtspout

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/sdp/v3"

	"rtsptunnel/internal/gateway/media"
)

// The payload types of RFC 3551, table 4 and 5, that need no rtpmap.
const (
	payloadPCMU  = 0
	payloadPCMA  = 8
	payloadMJPEG = 26

	payloadDynamic = 96
)

// payloadType returns the payload type that players get for a track. It depends on codec
// and position alone, so that a camera may change its own between epochs.
func payloadType(e *media.Epoch, track int) uint8 {
	t := e.Tracks[track]
	telephone := t.ClockRate == 8000 && t.Channels <= 1
	switch {
	case t.Codec == media.MJPEG:
		return payloadMJPEG
	case t.Codec == media.PCMU && telephone:
		return payloadPCMU
	case t.Codec == media.PCMA && telephone:
		return payloadPCMA
	}
	return payloadDynamic + uint8(track) //nolint:gosec // at most 8 tracks
}

// describe returns the SDP of an epoch: a media for each track, in order.
func describe(title string, e *media.Epoch) (*description.Session, error) {
	desc := &description.Session{Title: oneLine(title)}
	for i, t := range e.Tracks {
		f, err := formatOf(t, payloadType(e, i))
		if err != nil {
			return nil, fmt.Errorf("describe track %d, %s: %w", i, t.Codec, err)
		}
		kind := description.MediaTypeAudio
		if t.Video() {
			kind = description.MediaTypeVideo
		}
		desc.Medias = append(desc.Medias, &description.Media{Type: kind, Formats: []format.Format{f}})
	}
	if len(desc.Medias) == 0 {
		return nil, fmt.Errorf("describe %q: no tracks", title)
	}
	return desc, nil
}

// formatOf builds gortsplib's format from a track, with the epoch's parameter sets.
func formatOf(t media.Track, payload uint8) (format.Format, error) {
	number := strconv.Itoa(int(payload))
	md := &sdp.MediaDescription{MediaName: sdp.MediaName{Media: "audio", Formats: []string{number}}}
	if t.Video() {
		md.MediaName.Media = "video"
	}
	md.Attributes = append(md.Attributes, sdp.Attribute{Key: "rtpmap", Value: number + " " + t.RTPMap})
	var fmtp []string
	for _, key := range slices.Sorted(maps.Keys(t.FMTP)) {
		if t.SPS != nil && strings.HasPrefix(key, "sprop-") && key != "sprop-max-don-diff" {
			continue // the epoch knows better, and a camera's may be unreadable
		}
		fmtp = append(fmtp, key+"="+t.FMTP[key])
	}
	if len(fmtp) > 0 {
		md.Attributes = append(md.Attributes, sdp.Attribute{Key: "fmtp", Value: number + " " + strings.Join(fmtp, "; ")})
	}
	f, err := format.Unmarshal(md, number)
	if err != nil {
		return nil, err
	}
	switch f := f.(type) {
	case *format.H264:
		f.PacketizationMode = 1 // what receivers of mode 1 read includes mode 0 (RFC 6184, 6.2)
		if t.SPS != nil && t.PPS != nil {
			f.SPS, f.PPS = t.SPS, t.PPS
		}
	case *format.H265:
		if t.VPS != nil && t.SPS != nil && t.PPS != nil {
			f.VPS, f.SPS, f.PPS = t.VPS, t.SPS, t.PPS
		}
	case *format.Generic:
		return nil, fmt.Errorf("no format for %q", t.RTPMap)
	}
	return f, nil
}

// oneLine makes a title safe for SDP.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return ' '
		}
		return r
	}, s)
}

// sameTracks reports whether a player that knows the SDP of a can read the units of b.
// Parameter sets of video are in-band.
func sameTracks(a, b *media.Epoch) bool {
	return slices.EqualFunc(a.Tracks, b.Tracks, func(x, y media.Track) bool {
		return x.Codec == y.Codec && x.ClockRate == y.ClockRate && x.Channels == y.Channels && slices.Equal(x.Config, y.Config)
	})
}

// ssrcs returns the sources of a stream's tracks (RFC 3550, 8). They are the same for all
// players and epochs, because players share their packets.
func (s *Server) ssrcs(camera, stream string, tracks int) []uint32 {
	first := uint32(maphash.String(s.seed, camera+"/"+stream)) //nolint:gosec // half of a hash
	list := make([]uint32, tracks)
	for i := range list {
		list[i] = first + uint32(i)
	}
	return list
}
