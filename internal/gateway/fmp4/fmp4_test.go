package fmp4_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/pmp4"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	ours "rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/testkit/rtsptest"
)

// epoch returns an epoch with a picture track of the clip front and one track of sound, and the
// clip's access units.
func epoch(tb testing.TB, sound media.Track) (*media.Epoch, []rtsptest.AccessUnit) {
	tb.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		tb.Fatal(err)
	}
	var p media.Parameters
	p.Update(media.H264, clip[0])
	video := media.Track{Codec: media.H264, ClockRate: 90000}.With(p)
	return &media.Epoch{Tracks: []media.Track{video, sound}, Base: []int64{1 << 40, 8000}, Number: 1}, clip
}

var (
	aac  = media.Track{Codec: media.AAC, ClockRate: 48000, SampleRate: 48000, Channels: 1, Config: []byte{0x11, 0x88}}
	opus = media.Track{Codec: media.Opus, ClockRate: 48000, SampleRate: 48000, Channels: 2}
	pcma = media.Track{Codec: media.PCMA, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	pcmu = media.Track{Codec: media.PCMU, ClockRate: 8000, SampleRate: 8000, Channels: 1}
	jpeg = media.Track{Codec: media.MJPEG, ClockRate: 90000}
)

func TestSelect(t *testing.T) {
	t.Parallel()
	video := media.Track{Codec: media.H264}
	for _, c := range []struct {
		tracks       []media.Track
		video, sound int
	}{
		{[]media.Track{video, aac}, 0, 1},
		{[]media.Track{pcma, opus, video, video}, 2, 0},
		{[]media.Track{jpeg, aac}, -1, 1},
		{[]media.Track{{Codec: media.H265}}, 0, -1},
		{[]media.Track{jpeg}, -1, -1},
	} {
		if v, s := ours.Select(&media.Epoch{Tracks: c.tracks}); v != c.video || s != c.sound {
			t.Errorf("%v: %d, %d", c.tracks, v, s)
		}
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sound media.Track
		want  string
		check func(codecs.Codec) bool
	}{
		{aac, "avc1.42C01F,mp4a.40.2", func(c codecs.Codec) bool { a, ok := c.(*codecs.MPEG4Audio); return ok && a.Config.SampleRate == 48000 }},
		{opus, "avc1.42C01F,opus", func(c codecs.Codec) bool { a, ok := c.(*codecs.Opus); return ok && a.ChannelCount == 2 }},
		{pcma, "avc1.42C01F,flac", func(c codecs.Codec) bool { a, ok := c.(*codecs.FLAC); return ok && a.StreamInfo.SampleRate == 8000 }},
		{pcmu, "avc1.42C01F,flac", func(c codecs.Codec) bool { a, ok := c.(*codecs.FLAC); return ok && a.StreamInfo.BitDepth == 16 }},
	} {
		e, _ := epoch(t, c.sound)
		f, err := ours.New(e, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		if f.Codecs() != c.want {
			t.Errorf("codecs %s, want %s", f.Codecs(), c.want)
		}
		var init fmp4.Init
		if err := init.Unmarshal(bytes.NewReader(f.Init())); err != nil {
			t.Fatalf("%s: %v", c.want, err)
		}
		if len(init.Tracks) != 2 || init.Tracks[0].ID != 1 || init.Tracks[1].ID != 2 || init.Tracks[0].TimeScale != 90000 ||
			init.Tracks[1].TimeScale != uint32(c.sound.ClockRate) || !c.check(init.Tracks[1].Codec) {
			t.Errorf("%s: init %+v", c.want, init.Tracks)
		}
	}
}

func TestFormat_impossible(t *testing.T) {
	t.Parallel()
	for name, track := range map[string]media.Track{
		"mjpeg":                     jpeg,
		"aac without configuration": {Codec: media.AAC, ClockRate: 48000},
		"h264 without parameters":   {Codec: media.H264, ClockRate: 90000},
		"h265 without parameters":   {Codec: media.H265, ClockRate: 90000, PPS: []byte{1}},
		"h264 with half an sps":     {Codec: media.H264, ClockRate: 90000, SPS: []byte{0x67, 1, 2, 3}, PPS: []byte{0x68}},
	} {
		_, err := ours.New(&media.Epoch{Tracks: []media.Track{track}}, 0)
		if f, ok := errors.AsType[*failure.Failure](err); !ok || f.Reason != reason.CodecNotForOutput {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// part reads the only fragment of b by another implementation, which must also write the same
// bytes.
func part(t *testing.T, b []byte) *fmp4.PartTrack {
	t.Helper()
	var parts fmp4.Parts
	if err := parts.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	if len(parts) != 1 || len(parts[0].Tracks) != 1 {
		t.Fatalf("parts %+v", parts)
	}
	var again seekablebuffer.Buffer
	if err := parts[0].Marshal(&again); err != nil || !bytes.Equal(again.Bytes(), b) {
		t.Errorf("%v: mediacommon writes %x, not %x", err, again.Bytes(), b)
	}
	return parts[0].Tracks[0]
}

func TestFragment_picture(t *testing.T) {
	t.Parallel()
	e, clip := epoch(t, aac)
	for _, c := range []struct {
		unit     *media.Unit
		duration uint32
	}{
		{&media.Unit{PTS: 7200, DTS: 3600, Key: true, Payload: clip[0]}, 18000}, // its duration is not known
		{&media.Unit{PTS: 7200, DTS: 9000, Duration: 3600, Payload: clip[1]}, 3600},
	} {
		u := c.unit
		u.Epoch = e
		got := part(t, ours.AppendFragment(nil, u))
		if got.ID != 1 || got.BaseTime != uint64(1<<40+u.DTS) || len(got.Samples) != 1 {
			t.Fatalf("track %+v", got)
		}
		s := got.Samples[0]
		if s.Duration != c.duration || s.PTSOffset != int32(u.PTS-u.DTS) || s.IsNonSyncSample == u.Key {
			t.Errorf("sample %d %d %v", s.Duration, s.PTSOffset, s.IsNonSyncSample)
		}
		var nals h264.AVCC
		if err := nals.Unmarshal(s.Payload); err != nil || !slices.EqualFunc(nals, u.Payload, bytes.Equal) {
			t.Errorf("other NAL units: %v", err)
		}
	}
}

func TestFragment_sound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		track     media.Track
		payload   [][]byte
		durations []uint32
	}{
		"aac":   {aac, [][]byte{{1, 2}, {3}}, []uint32{1024, 1024}},
		"opus":  {opus, [][]byte{{0x78, 1}}, []uint32{960}}, // 20 ms
		"pcma":  {pcma, [][]byte{bytes.Repeat([]byte{0xD5}, 160)}, []uint32{160}},
		"long":  {pcmu, [][]byte{bytes.Repeat([]byte{0xFF}, 4096+5)}, []uint32{4080, 21}}, // no block has less than 16 samples
		"pairs": {media.Track{Codec: media.PCMU, ClockRate: 8000, Channels: 2}, [][]byte{bytes.Repeat([]byte{0xFF}, 64)}, []uint32{32}},
	} {
		e, _ := epoch(t, c.track)
		u := &media.Unit{Epoch: e, Track: 1, PTS: 500, DTS: 500, Key: true, Payload: c.payload}
		got := part(t, ours.AppendFragment(nil, u))
		var durations []uint32
		for _, s := range got.Samples {
			durations = append(durations, s.Duration)
		}
		if got.ID != 2 || got.BaseTime != 8500 || !slices.Equal(durations, c.durations) {
			t.Errorf("%s: track %d at %d with %v", name, got.ID, got.BaseTime, durations)
		}
	}
}

func TestFragment_nothing(t *testing.T) {
	t.Parallel()
	e, _ := epoch(t, pcma)
	for name, u := range map[string]*media.Unit{
		"no payload":    {Epoch: e},
		"empty nal":     {Epoch: e, Payload: [][]byte{{}}},
		"a few samples": {Epoch: e, Track: 1, Payload: [][]byte{{1, 2, 3}}},
		"mjpeg":         {Epoch: &media.Epoch{Tracks: []media.Track{jpeg}, Base: []int64{0}}, Payload: [][]byte{{1}}},
	} {
		if b := ours.AppendFragment(nil, u); b != nil {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}

// A frame of FLAC has the checksums and the samples that RFC 9639 says.
func TestFLACFrames(t *testing.T) {
	t.Parallel()
	e, _ := epoch(t, pcmu)
	e.Base[1] = 0
	encoded := []byte{0xFF, 0x00, 0x80, 0x7F, 0x10, 0x90, 0x20, 0xA0, 0x30, 0xB0, 0x40, 0xC0, 0x50, 0xD0, 0x60, 0xE0}
	for _, at := range []int64{0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x1FFFFF, 0x200000, 0x3FFFFFF, 0x4000000, 0x7FFFFFFF, 0x80000000, 1<<36 + 5} {
		list := ours.FLACFrames(&media.Unit{Epoch: e, Track: 1, DTS: at, Payload: [][]byte{encoded}})
		if len(list) != 1 || list[0].Samples != 16 {
			t.Fatalf("frames %v", list)
		}
		frame := list[0].Frame
		number, rest := decode(frame[4:])
		if number != uint64(at)&0x7FFFFFFF { // it wraps, since ffmpeg refuses more
			t.Errorf("position %d, want %d", number, at)
		}
		head := len(frame) - len(rest) + 3 // the block's size, and the checksum
		if crc(frame[:head], 8, 0x07) != 0 || crc(frame, 16, 0x8005) != 0 {
			t.Errorf("position %d: a wrong checksum", at)
		}
		samples := frame[head+1 : len(frame)-2]
		if got := binary.BigEndian.Uint16(rest); got != 15 || len(samples) != 32 {
			t.Errorf("%d samples in %d bytes", got+1, len(samples))
		}
		if first := int16(binary.BigEndian.Uint16(samples[2:])); first != -32124 { // ITU-T G.711, table 2b: the most negative value
			t.Errorf("sample %d", first)
		}
	}
}

// decode reads a number that is coded like UTF-8.
func decode(b []byte) (uint64, []byte) {
	more := 0
	for b[0]<<more&0x80 != 0 {
		more++
	}
	if more == 0 {
		return uint64(b[0]), b[1:]
	}
	n := uint64(b[0] & (0x7F >> more))
	for _, x := range b[1:more] {
		n = n<<6 | uint64(x&0x3F)
	}
	return n, b[more:]
}

// crc divides bit by bit.
func crc(b []byte, width int, polynomial uint32) uint32 {
	var sum uint32
	for _, x := range b {
		for bit := 7; bit >= 0; bit-- {
			top := sum>>(width-1)&1 ^ uint32(x)>>bit&1
			sum = sum << 1 & (1<<width - 1)
			if top == 1 {
				sum ^= polynomial
			}
		}
	}
	return sum
}

func TestStill(t *testing.T) {
	t.Parallel()
	e, clip := epoch(t, aac)
	b, err := ours.Still(&media.Unit{Epoch: e, Key: true, PTS: 5, Payload: clip[0]})
	if err != nil {
		t.Fatal(err)
	}
	var file pmp4.Presentation
	if err := file.Unmarshal(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if len(file.Tracks) != 1 || len(file.Tracks[0].Samples) != 1 {
		t.Fatalf("tracks %+v", file.Tracks)
	}
	payload, err := file.Tracks[0].Samples[0].GetPayload()
	var nals h264.AVCC
	if err != nil || nals.Unmarshal(payload) != nil || !slices.EqualFunc(nals, clip[0], bytes.Equal) {
		t.Errorf("other NAL units: %v", err)
	}
	if moov, mdat := bytes.Index(b, []byte("moov")), bytes.Index(b, []byte("mdat")); moov > mdat {
		t.Error("a browser needs moov before mdat")
	}
	for name, u := range map[string]*media.Unit{
		"sound":   {Epoch: e, Track: 1, Payload: clip[0]},
		"nothing": {Epoch: e},
	} {
		if _, err := ours.Still(u); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// No unit of a camera panics.
func FuzzFragment(f *testing.F) {
	f.Add(0, []byte{1, 2, 3}, int64(0), int64(0))
	f.Add(1, bytes.Repeat([]byte{7}, 9000), int64(-1), int64(1<<62))
	f.Fuzz(func(t *testing.T, kind int, b []byte, dts, duration int64) {
		tracks := []media.Track{{Codec: media.H264, ClockRate: 90000}, pcma, pcmu, opus, aac, {Codec: media.H265, ClockRate: 90000}, {Codec: media.PCMU, ClockRate: 8000, Channels: 200}}
		e := &media.Epoch{Tracks: tracks, Base: make([]int64, len(tracks))}
		u := &media.Unit{Epoch: e, Track: int(uint(kind) % uint(len(tracks))), DTS: dts, PTS: dts / 2, Duration: duration, Payload: [][]byte{b, nil}}
		if fragment := ours.AppendFragment(nil, u); fragment != nil {
			part(t, fragment)
		}
	})
}
