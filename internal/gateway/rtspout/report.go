package rtspout

import (
	"fmt"
	"time"

	"github.com/pion/rtcp"

	"rtsptunnel/internal/gateway/media"
)

// ntpEpoch is the seconds from 1900 to 1970.
const ntpEpoch = 2208988800

// ntpTime returns a time in NTP's format (RFC 3550, 4).
func ntpTime(t time.Time) uint64 {
	ns := t.UnixNano()
	seconds, rest := ns/1e9, ns%1e9
	if rest < 0 {
		seconds, rest = seconds-1, rest+1e9
	}
	return uint64(seconds+ntpEpoch)<<32 | uint64(rest)<<32/1e9
}

// wallClock returns the wall clock of a PTS.
func wallClock(e *media.Epoch, track int, pts int64) time.Time {
	rate := int64(e.Tracks[track].ClockRate)
	if rate <= 0 {
		return e.Begin
	}
	seconds, rest := pts/rate, pts%rate
	return e.Begin.Add(time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/time.Duration(rate))
}

// senderReport returns the interleaved frame of a sender report with the track's name
// (RFC 3550, 6.4.1 and 6.5.1). All tracks of a stream have one name, by which players
// synchronize them.
func (t *track) senderReport(e *media.Epoch, index int, pts int64) []byte {
	return t.control(&rtcp.SenderReport{
		SSRC:        t.ssrc,
		NTPTime:     ntpTime(wallClock(e, index, pts)),
		RTPTime:     rtpTime(e, index, pts),
		PacketCount: t.packets,
		OctetCount:  t.octets,
	}, &rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{
		Source: t.ssrc,
		Items:  []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: t.name}},
	}}})
}

// bye returns the interleaved frame that ends a track (RFC 3550, 6.6).
func (t *track) bye() []byte {
	return t.control(&rtcp.ReceiverReport{SSRC: t.ssrc}, &rtcp.Goodbye{Sources: []uint32{t.ssrc}})
}

func (t *track) control(packets ...rtcp.Packet) []byte {
	b, err := rtcp.Marshal(packets)
	if err != nil {
		return nil // the packets have no variable part that could be too long
	}
	return append([]byte{'$', t.channel + 1, byte(len(b) >> 8), byte(len(b))}, b...) //nolint:gosec // about 60 bytes
}

// sourceName returns the CNAME of a stream: text without a meaning for others.
func sourceName(ssrc uint32) string { return fmt.Sprintf("tunnelgateway-%08x", ssrc) }
