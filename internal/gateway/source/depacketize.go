package source

import (
	"errors"

	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpfragmented"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"rtsptunnel/internal/gateway/media"
)

// depacketizer makes access units of the RTP packets of one track.
type depacketizer interface {
	// add takes the next packet, which it may change, and calls emit for each unit that it
	// completes or breaks.
	add(p *rtp.Packet, emit func(accessUnit))
	// usable reports whether the library has a decoder for the format's variant.
	usable() bool
}

// accessUnit is one access unit, without its place in time. A broken one has no content: it
// stands for packets that were lost or could not be read.
type accessUnit struct {
	broken    bool
	lost      uint16 // packets that did not come
	payload   [][]byte
	packets   [][]byte
	timestamp uint32
}

// missing returns how many packets a gap in the sequence numbers stands for. A large one is
// a camera that began to count anew.
func missing(gap uint16) uint16 {
	if gap > 1<<12 {
		return 0
	}
	return gap
}

// decodeFunc returns the NAL units or frames that a packet completes, or errMore.
type decodeFunc func(p *rtp.Packet) ([][]byte, error)

// errMore says that the packet is read, and completes nothing.
var errMore = errors.New("more packets are needed")

func h264Decoder(f *format.H264) (decodeFunc, error) {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(p *rtp.Packet) ([][]byte, error) {
		nals, err := d.Decode(p)
		if errors.Is(err, rtph264.ErrMorePacketsNeeded) {
			err = errMore
		}
		return nals, err
	}, nil
}

func h265Decoder(f *format.H265) (decodeFunc, error) {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(p *rtp.Packet) ([][]byte, error) {
		nals, err := d.Decode(p)
		if errors.Is(err, rtph265.ErrMorePacketsNeeded) {
			err = errMore
		}
		return nals, err
	}, nil
}

func mjpegDecoder(f *format.MJPEG) (decodeFunc, error) {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(p *rtp.Packet) ([][]byte, error) {
		image, err := d.Decode(p)
		if errors.Is(err, rtpmjpeg.ErrMorePacketsNeeded) {
			err = errMore
		}
		return [][]byte{image}, err
	}, nil
}

func aacDecoder(f *format.MPEG4Audio) (decodeFunc, error) {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(p *rtp.Packet) ([][]byte, error) {
		frames, err := d.Decode(p)
		if errors.Is(err, rtpmpeg4audio.ErrMorePacketsNeeded) {
			err = errMore
		}
		return frames, err
	}, nil
}

// latmDecoder returns the frames of LATM (ISO/IEC 14496-3, 1.7.3), without its lengths.
func latmDecoder(f *format.MPEG4AudioLATM) (decodeFunc, error) {
	d, err := f.CreateDecoder()
	if err != nil {
		return nil, err
	}
	return func(p *rtp.Packet) ([][]byte, error) {
		b, err := d.Decode(p)
		if errors.Is(err, rtpfragmented.ErrMorePacketsNeeded) {
			return nil, errMore
		}
		if err != nil {
			return nil, err
		}
		e := mpeg4audio.AudioMuxElement{StreamMuxConfig: f.StreamMuxConfig}
		if err := e.Unmarshal(b); err != nil {
			return nil, err
		}
		frames := make([][]byte, 0, len(e.Payloads))
		for _, subframe := range e.Payloads {
			frames = append(frames, subframe[0][0]) // of the only program and layer
		}
		return frames, nil
	}, nil
}

// wholePackets is the decoder of codecs whose packets hold whole frames (RFC 3551, 4.5.14;
// RFC 7587, 4.2).
func wholePackets() (decodeFunc, error) {
	return func(p *rtp.Packet) ([][]byte, error) {
		if len(p.Payload) == 0 {
			return nil, errors.New("empty payload")
		}
		return [][]byte{p.Payload}, nil
	}, nil
}

// raw returns the bytes of a packet without its padding. The payload of p is part of them
// afterwards, so that the library's buffer can be freed.
func raw(p *rtp.Packet) ([]byte, error) {
	p.Padding, p.Header.PaddingSize = false, 0
	head := p.Header.MarshalSize()
	b := make([]byte, head+len(p.Payload))
	if _, err := p.Header.MarshalTo(b); err != nil {
		return nil, err
	}
	copy(b[head:], p.Payload)
	p.Payload = b[head:]
	return b, nil
}

// maxPackets is how many RTP packets of one access unit are kept: those of 4 MiB with 512
// bytes each.
const maxPackets = media.MaxUnitBytes / 512

// pending holds the packets of an access unit that is not complete yet.
type pending struct {
	payload   [][]byte
	packets   [][]byte
	size      int // bytes of packets
	timestamp uint32
}

func (u *pending) empty() bool { return len(u.packets) == 0 }

// add appends what a packet held. It returns false if the unit becomes too large.
func (u *pending) add(p *rtp.Packet, packet []byte, payload [][]byte) bool {
	for _, b := range payload {
		if len(b) > 0 {
			u.payload = append(u.payload, b)
		}
	}
	u.packets = append(u.packets, packet)
	u.size += len(packet)
	u.timestamp = p.Timestamp
	return u.size <= media.MaxUnitBytes && len(u.payload) <= media.MaxNALs && len(u.packets) <= maxPackets
}

// take returns the unit and empties u.
func (u *pending) take() accessUnit {
	a := accessUnit{payload: u.payload, packets: u.packets, timestamp: u.timestamp}
	*u = pending{}
	return a
}
