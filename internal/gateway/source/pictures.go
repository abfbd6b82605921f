package source

import (
	"encoding/binary"
	"errors"

	"github.com/pion/rtp"

	"rtsptunnel/internal/gateway/media"
)

// pictures makes access units of H264 and H265. A unit ends with the marker bit or, if the
// camera sets none, when the timestamp changes (RFC 6184, 5.1). NAL units without slices,
// such as parameter sets with a marker of their own, join the next picture.
//
// The library's decoder joins fragments. It would deliver a picture whose packets are
// partly lost or unreadable, so it is given one packet at a time and never gathers a picture.
// Its bounds on NAL units (50 of H264, 21 of H265) then hold for one packet, in which real
// cameras have few; those of a picture are media.MaxNALs and media.MaxUnitBytes. A picture
// beyond them is dropped, and a camera that sends no others ends with MEDIA_INVALID.
type pictures struct {
	codec   media.Codec
	create  func() (decodeFunc, error)
	decode  decodeFunc
	unit    pending
	partial bool // a fragmented NAL unit is not complete

	begun    bool
	next     uint16 // the sequence number that is expected
	skipping bool   // the rest of a broken unit
	skipped  uint32 // its timestamp
}

func newPictures(c media.Codec, create func() (decodeFunc, error)) *pictures {
	p := &pictures{codec: c, create: create}
	p.reset()
	return p
}

func (a *pictures) usable() bool { return a.decode != nil }

// reset forgets the current unit and its fragments.
func (a *pictures) reset() {
	a.decode, _ = a.create() // nil if the variant is not supported, which usable reports
	a.unit, a.partial = pending{}, false
}

func (a *pictures) add(p *rtp.Packet, emit func(accessUnit)) {
	lost := p.SequenceNumber - a.next
	gap := a.begun && lost != 0
	a.begun, a.next = true, p.SequenceNumber+1
	if gap {
		another := a.unit.empty() || p.Timestamp != a.unit.timestamp
		a.breakUnit(p, lost, emit)
		a.skipping = !another || !beginsPicture(a.codec, p.Payload)
	}
	if a.skips(p) || len(p.Payload) == 0 { // some cameras fill pauses with empty packets
		return
	}
	if !a.unit.empty() && p.Timestamp != a.unit.timestamp && !a.end(p, emit) {
		return
	}
	if err := a.gather(p); err != nil {
		a.breakUnit(p, 0, emit)
		return
	}
	if p.Marker {
		a.end(p, emit)
	}
}

// skips reports whether p belongs to a broken unit.
func (a *pictures) skips(p *rtp.Packet) bool {
	if !a.skipping {
		return false
	}
	if p.Timestamp != a.skipped {
		a.skipping = false
		return false
	}
	a.skipping = !p.Marker
	return true
}

// end ends the current unit. It returns false if a fragmented NAL unit is not complete.
func (a *pictures) end(p *rtp.Packet, emit func(accessUnit)) bool {
	if a.partial {
		a.breakUnit(p, 0, emit)
		return false
	}
	a.finish(emit)
	return true
}

var errTooLarge = errors.New("the access unit is too large")

// gather adds a packet to the current unit.
func (a *pictures) gather(p *rtp.Packet) error {
	packet, err := raw(p)
	if err != nil {
		return err
	}
	whole := *p
	whole.Marker = true // the decoder returns the NAL units of this packet
	nals, err := a.decode(&whole)
	a.partial = errors.Is(err, errMore)
	if err != nil && !a.partial {
		return err
	}
	if !a.unit.add(p, packet, nals) {
		return errTooLarge
	}
	return nil
}

// breakUnit drops the current unit and the rest of the one that p belongs to.
func (a *pictures) breakUnit(p *rtp.Packet, lost uint16, emit func(accessUnit)) {
	a.reset()
	a.skipping, a.skipped = !p.Marker, p.Timestamp
	emit(accessUnit{broken: true, lost: missing(lost)})
}

// finish emits the current unit, if it is a picture.
func (a *pictures) finish(emit func(accessUnit)) {
	if !media.Inspect(a.codec, a.unit.payload).Slices {
		return
	}
	u := a.unit.take()
	for i, b := range u.packets {
		restamp(b, u.timestamp, i == len(u.packets)-1)
	}
	emit(u)
}

// restamp sets timestamp and marker bit of an RTP packet (RFC 3550, 5.1).
func restamp(packet []byte, timestamp uint32, marker bool) {
	packet[1] &^= 0x80
	if marker {
		packet[1] |= 0x80
	}
	binary.BigEndian.PutUint32(packet[4:], timestamp)
}
