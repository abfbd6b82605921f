package source

import (
	"errors"

	"github.com/pion/rtp"
)

// frames makes access units of sound and of MJPEG: each is what the decoder returns.
type frames struct {
	create func() (decodeFunc, error)
	decode decodeFunc
	unit   pending

	begun bool
	next  uint16 // the sequence number that is expected
}

func newFrames(create func() (decodeFunc, error)) *frames {
	f := &frames{create: create}
	f.reset()
	return f
}

func (a *frames) usable() bool { return a.decode != nil }

func (a *frames) reset() {
	a.decode, _ = a.create() // nil if the variant is not supported, which usable reports
	a.unit = pending{}
}

func (a *frames) add(p *rtp.Packet, emit func(accessUnit)) {
	gap := a.begun && p.SequenceNumber != a.next
	a.begun, a.next = true, p.SequenceNumber+1
	if gap {
		a.reset()
		emit(accessUnit{broken: true})
	}
	packet, err := raw(p)
	if err != nil {
		a.reset()
		emit(accessUnit{broken: true})
		return
	}
	payload, err := a.decode(p)
	more := errors.Is(err, errMore)
	if more {
		payload = nil
	}
	if err != nil && !more || !a.unit.add(p, packet, payload) {
		a.reset()
		emit(accessUnit{broken: true})
		return
	}
	if !more {
		emit(a.unit.take())
	}
}
