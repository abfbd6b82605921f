package rtspout

import (
	"encoding/binary"

	"rtsptunnel/internal/gateway/media"
)

const (
	frameHeader = 4  // '$', channel, length (RFC 2326, 10.12)
	rtpHeader   = 12 // without sources and extension (RFC 3550, 5.1)
	maxPacket   = 1<<16 - 1
)

// interleaved returns the unit's packets, framed for the channel that most players use:
// twice the track's index. Their headers continue over epochs: sequence numbers by
// Unit.Seq, times by Epoch.Base. The result is the unit's memo, so all players get the
// same bytes.
func interleaved(u *media.Unit, ssrc uint32) []byte {
	return u.Memo(media.Interleaved, func(u *media.Unit) []byte { return frame(u, ssrc) })
}

func frame(u *media.Unit, ssrc uint32) []byte {
	size := 0
	for _, p := range u.Packets {
		size += frameHeader + len(p)
	}
	b := make([]byte, 0, size)
	payload := payloadType(u.Epoch, u.Track)
	at := rtpTime(u.Epoch, u.Track, u.PTS)
	for i, p := range u.Packets {
		if len(p) < rtpHeader || len(p) > maxPacket {
			continue // not a packet; its number stays unused
		}
		b = append(b, '$', byte(2*u.Track), byte(len(p)>>8), byte(len(p))) //nolint:gosec // bounded above
		h := len(b)
		b = append(b, p...)
		b[h+1] = b[h+1]&0x80 | payload
		binary.BigEndian.PutUint16(b[h+2:], uint16(u.Seq)+uint16(i)) //nolint:gosec // sequence numbers wrap
		binary.BigEndian.PutUint32(b[h+4:], at)
		binary.BigEndian.PutUint32(b[h+8:], ssrc)
	}
	return b
}

// rtpTime returns the RTP time of a PTS of an epoch.
func rtpTime(e *media.Epoch, track int, pts int64) uint32 {
	return uint32(baseOf(e, track) + pts) //nolint:gosec // RTP times wrap
}

func baseOf(e *media.Epoch, track int) int64 {
	if track < len(e.Base) {
		return e.Base[track]
	}
	return 0
}

// shift is how a player's packets differ from the shared ones.
type shift struct {
	channel byte
	seq     uint16
	time    uint32
}

// apply appends the shared frames to b, changed by s.
func (s shift) apply(b, shared []byte) []byte {
	begin := len(b)
	b = append(b, shared...)
	for f := b[begin:]; len(f) >= frameHeader+rtpHeader; {
		f[1] = s.channel
		h := f[frameHeader:]
		binary.BigEndian.PutUint16(h[2:], binary.BigEndian.Uint16(h[2:])+s.seq)
		binary.BigEndian.PutUint32(h[4:], binary.BigEndian.Uint32(h[4:])+s.time)
		f = f[frameHeader+int(binary.BigEndian.Uint16(f[2:])):]
	}
	return b
}
