package source

import (
	"errors"

	"github.com/pion/rtp"
)

// frames makes access units of sound and of MJPEG: each is what the decoder returns.
type frames struct {
	create func() (decodeFunc, error)
	decode decodeFunc
	marked bool // a frame may have several packets, of which the last one has the marker bit
	unit   pending

	begun    bool
	next     uint16 // the sequence number that is expected
	skipping bool   // the rest of a broken frame
}

func newFrames(marked bool, create func() (decodeFunc, error)) *frames {
	f := &frames{marked: marked, create: create}
	f.reset()
	return f
}

func (a *frames) usable() bool { return a.decode != nil }

func (a *frames) reset() {
	a.decode, _ = a.create() // nil if the variant is not supported, which usable reports
	a.unit = pending{}
}

func (a *frames) add(p *rtp.Packet, emit func(accessUnit)) {
	lost := p.SequenceNumber - a.next
	if a.begun && lost != 0 {
		a.reset()
		a.skipping = a.marked
		emit(accessUnit{broken: true, lost: missing(lost)})
	}
	a.begun, a.next = true, p.SequenceNumber+1
	if a.skipping {
		a.skipping = !p.Marker
		return
	}
	more, err := a.gather(p)
	if err != nil {
		a.reset()
		a.skipping = a.marked && !p.Marker
		emit(accessUnit{broken: true})
		return
	}
	if !more {
		emit(a.unit.take())
	}
}

// gather adds a packet to the current unit. It reports whether the unit needs more.
func (a *frames) gather(p *rtp.Packet) (more bool, err error) {
	packet, err := raw(p)
	if err != nil {
		return false, err
	}
	payload, err := a.decode(p)
	more = errors.Is(err, errMore)
	if err != nil && !more {
		return false, err
	}
	if more {
		payload = nil
	}
	if !a.unit.add(p, packet, payload) {
		return false, errTooLarge
	}
	return more, nil
}
