package rtsptest

import (
	"fmt"
	"math"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

// sound is a silent sound track: the same frame in each packet.
type sound struct {
	media   *description.Media
	rate    int // ticks a second
	samples int // ticks of a packet
	payload []byte
}

// newSound returns the track of a codec: PCMU, PCMA, AAC or Opus, or nil if it is empty.
func newSound(codec string) (*sound, error) {
	s := &sound{}
	var f format.Format
	switch codec {
	case "":
		return nil, nil
	case "PCMU", "PCMA":
		mu := codec == "PCMU"
		f = &format.G711{PayloadTyp: 0, MULaw: mu, SampleRate: 8000, ChannelCount: 1}
		s.payload = make([]byte, 160) // 20 ms (RFC 3551, 4.5.14)
		for i := range s.payload {
			s.payload[i] = 0xFF // mu-law's 0
			if !mu {
				s.payload[i] = 0xD5 // A-law's 0
			}
		}
		if !mu {
			f.(*format.G711).PayloadTyp = 8
		}
		s.rate, s.samples = 8000, 160
	case "AAC":
		f = &format.MPEG4Audio{PayloadTyp: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3, Config: &mpeg4audio.AudioSpecificConfig{
			Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 1,
		}}
		frame := [6]byte{0x00, 0xc8, 0x00, 0x80, 0x23, 0x80}
		// One AU header of 16 bits: 13 of the size, 3 of the index (RFC 3640, 3.2.1).
		s.payload = append([]byte{0, 16, 0, 6 << 3}, frame[:]...) // of 6 bytes
		s.rate, s.samples = 48000, 1024
	case "Opus":
		f = &format.Opus{PayloadTyp: 98, ChannelCount: 1}
		s.payload = []byte{0xf8, 0xff, 0xfe} // 20 ms (RFC 6716, 3.1)
		s.rate, s.samples = 48000, 960
	default:
		return nil, fmt.Errorf("unknown sound %q", codec)
	}
	s.media = &description.Media{Type: description.MediaTypeAudio, Control: "trackID=1", Formats: []format.Format{f}}
	return s, nil
}

// packets returns the packets that are due within one frame period after picture n.
func (s *sound) packets(n int) []*rtp.Packet {
	if s == nil {
		return nil
	}
	var packets []*rtp.Packet
	ticks := s.rate * int(framePeriod/time.Millisecond) / 1000 // of a frame period
	for k := (n*ticks + s.samples - 1) / s.samples; k*s.samples < (n+1)*ticks; k++ {
		packets = append(packets, &rtp.Packet{
			Header: rtp.Header{
				Version: 2, Marker: true, PayloadType: s.media.Formats[0].PayloadType(),
				SequenceNumber: uint16(k & math.MaxUint16), Timestamp: uint32(int64(k*s.samples) & math.MaxUint32),
			},
			Payload: s.payload,
		})
	}
	return packets
}
