package source

import (
	"encoding/binary"
	"slices"

	"rtsptunnel/internal/gateway/media"
)

// rtpHeader is the length of an RTP header without CSRC and extension (RFC 3550, 5.1).
const rtpHeader = 12

// prepend puts parameter sets before a key frame: into the payload, and as RTP packets of one
// NAL unit each (RFC 6184, 5.6; RFC 7798, 4.4.1). Their sequence numbers precede those of
// the picture.
func prepend(u *media.Unit, sets [][]byte) {
	if len(sets) == 0 {
		return
	}
	first := u.Packets[0]
	sequence := binary.BigEndian.Uint16(first[2:])
	packets := make([][]byte, 0, len(sets)+len(u.Packets))
	for i, nal := range sets {
		p := make([]byte, rtpHeader, rtpHeader+len(nal))
		copy(p, first[:rtpHeader])
		p[0] = 0x80                                                     // version 2, and neither padding, extension nor CSRC
		p[1] &^= 0x80                                                   // no marker: the picture follows
		binary.BigEndian.PutUint16(p[2:], sequence-uint16(len(sets)-i)) //nolint:gosec // at most three sets; sequence numbers wrap around
		packets = append(packets, append(p, nal...))
	}
	u.Packets = append(packets, u.Packets...)
	u.Payload = slices.Concat(sets, u.Payload)
}
