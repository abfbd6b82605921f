package rtspout_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/pion/rtp"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
)

// Numbers and times wrap, a packet that is none leaves its number out, and the fields of a
// header that the camera chose are kept.
func TestFrame(t *testing.T) {
	e := &media.Epoch{
		Tracks: []media.Track{{Codec: media.H264, ClockRate: 90000}, {Codec: media.Opus, ClockRate: 48000}},
		Base:   []int64{0, 1<<32 - 100},
	}
	p := rtp.Packet{Header: rtp.Header{Version: 2, Marker: true, PayloadType: 111, SequenceNumber: 9, CSRC: []uint32{7}}, Payload: []byte("sound")}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	u := &media.Unit{Epoch: e, Track: 1, PTS: 960, Packets: [][]byte{b, {1, 2, 3}, make([]byte, 1<<16), b}, Seq: 1<<32 - 2}
	frames := rtspout.Frame(u, 0xCAFE)
	for i, seq := range []uint16{65534, 1} {
		if frames[0] != '$' || frames[1] != 2 || int(binary.BigEndian.Uint16(frames[2:])) != len(b) {
			t.Fatalf("frame %d begins with % x", i, frames[:4])
		}
		got := rtp.Packet{}
		if err := got.Unmarshal(frames[4 : 4+len(b)]); err != nil {
			t.Fatal(err)
		}
		if got.SequenceNumber != seq || got.Timestamp != 860 || got.SSRC != 0xCAFE || got.PayloadType != 97 || !got.Marker || got.CSRC[0] != 7 || string(got.Payload) != "sound" {
			t.Errorf("packet %d: %v", i, got)
		}
		frames = frames[4+len(b):]
	}
	if len(frames) != 0 {
		t.Errorf("%d bytes more", len(frames))
	}
}

// Squeezed pictures keep the order of presentation, and later pictures are not before them.
func TestSqueeze(t *testing.T) {
	e := &media.Epoch{Tracks: []media.Track{{Codec: media.H264, ClockRate: 90000}}}
	for name, test := range map[string]struct{ pts, want []int64 }{
		"B pictures":         {[]int64{3600, 14400, 7200, 10800}, []int64{10800 - 270, 10800, 10800 - 180, 10800 - 90}},
		"before B pictures":  {[]int64{3600, 14400}, []int64{3600 - 90, 3600}},
		"without B pictures": {[]int64{0, 3600, 7200}, []int64{7200 - 180, 7200 - 90, 7200}},
		"no pictures at all": {nil, nil},
	} {
		var units []*media.Unit
		for i, pts := range test.pts {
			units = append(units, &media.Unit{Epoch: e, DTS: int64(i) * 3600, PTS: pts})
		}
		if got := rtspout.Squeeze(units); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
