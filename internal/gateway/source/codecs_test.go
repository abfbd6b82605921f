package source_test

import (
	"bytes"
	"image"
	"image/jpeg"
	"slices"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph265"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtpmjpeg"
	"github.com/google/go-cmp/cmp"
	"github.com/pion/rtp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/testkit/rtsptest"
)

// once sends packets and waits for the end of the client.
func once(packets ...*rtp.Packet) func(*wire) {
	return func(w *wire) { w.rtp(0, packets...); w.wait() }
}

// audio returns packets with these payloads.
func audio(payloadType uint8, step uint32, payloads ...string) []*rtp.Packet {
	var packets []*rtp.Packet
	for i, b := range payloads {
		packets = append(packets, &rtp.Packet{
			Header:  rtp.Header{Version: 2, PayloadType: payloadType, Marker: true, SequenceNumber: uint16(65535 + i), Timestamp: uint32(i) * step},
			Payload: []byte(b),
		})
	}
	return packets
}

// Sound alone: each codec's frames, from the first packet on.
func TestSession_soundAlone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		media  string
		play   []*rtp.Packet
		track  media.Track
		frames [][]string // of each unit
		pts    []int64
	}{
		{
			"pcmu", pcmuMedia, audio(0, 3, "abc", "def"),
			media.Track{Codec: media.PCMU, ClockRate: 8000, PayloadType: 0, RTPMap: "PCMU/8000", SampleRate: 8000, Channels: 1},
			[][]string{{"abc"}, {"def"}},
			[]int64{0, 3},
		},
		{
			"pcma", pcmaMedia, audio(8, 3, "abc", "", "def"), // an empty packet is none
			media.Track{Codec: media.PCMA, ClockRate: 8000, PayloadType: 8, RTPMap: "PCMA/8000", SampleRate: 8000, Channels: 1},
			[][]string{{"abc"}, {"def"}},
			[]int64{0, 6},
		},
		{
			"opus", opusMedia, audio(97, 960, "abc", "def"),
			media.Track{Codec: media.Opus, ClockRate: 48000, PayloadType: 97, RTPMap: "opus/48000/2", SampleRate: 48000, Channels: 1, FMTP: map[string]string{"sprop-stereo": "0"}},
			[][]string{{"abc"}, {"def"}},
			[]int64{0, 960},
		},
		{
			"aac with two frames", aacMedia, audio(97, 2048, "\x00\x20\x00\x18\x00\x10abcde", "\x00\x10\x00\x08f"),
			media.Track{
				Codec: media.AAC, ClockRate: 48000, PayloadType: 97, RTPMap: "mpeg4-generic/48000/1", SampleRate: 48000, Channels: 1, Config: []byte{0x11, 0x88},
				FMTP: map[string]string{"streamtype": "5", "mode": "AAC-hbr", "config": "1188", "sizelength": "13", "indexlength": "3", "indexdeltalength": "3", "profile-level-id": "1"},
			},
			[][]string{{"abc", "de"}, {"f"}},
			[]int64{0, 2048},
		},
		{
			"latm", latmMedia, audio(97, 1024, "\x03abc", "\x02de"),
			media.Track{
				Codec: media.AAC, ClockRate: 48000, PayloadType: 97, RTPMap: "MP4A-LATM/48000/1", SampleRate: 48000, Channels: 1, Config: []byte{0x11, 0x88},
			},
			[][]string{{"abc"}, {"de"}},
			[]int64{0, 1024},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := playScript(t, script{sdp: sdp(test.media), play: once(test.play...)})
			for i, want := range test.frames {
				u := p.next(t)
				if i == 0 {
					got := u.Epoch.Tracks[0]
					if test.name == "latm" {
						got.FMTP = nil
					}
					if diff := cmp.Diff(test.track, got, cmp.Transformer("map", func(m map[string]string) int { return len(m) })); diff != "" {
						t.Errorf("track (-want +got):\n%s", diff)
					}
				}
				var got []string
				for _, b := range u.Payload {
					got = append(got, string(b))
				}
				if !slices.Equal(got, want) || u.PTS != test.pts[i] || u.DTS != test.pts[i] || !u.Key {
					t.Errorf("unit %d: frames = %q, pts = %d, want %q and %d", i, got, u.PTS, want, test.pts[i])
				}
			}
		})
	}
}

// MJPEG's units are images, each of which stands for itself.
func TestSession_mjpeg(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	encoder := &rtpmjpeg.Encoder{}
	if err := encoder.Init(); err != nil {
		t.Fatal(err)
	}
	var packets []*rtp.Packet
	for i := range 4 {
		image, err := encoder.Encode(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range image {
			p.Timestamp = uint32(i) * 9000
		}
		if i == 1 {
			image[0].Payload = image[0].Payload[:4] // cannot be read
		}
		packets = append(packets, image...)
	}
	p := playScript(t, script{sdp: sdp(jpegMedia), play: once(packets...)})
	for _, want := range []int64{0, 18000, 27000} {
		u := p.next(t)
		if u.PTS != want || !u.Key || len(u.Payload) != 1 {
			t.Errorf("unit = key %v, pts %d, want pts %d", u.Key, u.PTS, want)
		}
		if got, err := jpeg.DecodeConfig(bytes.NewReader(u.Payload[0])); err != nil || got.Width != 64 {
			t.Errorf("image = %+v, %v", got, err)
		}
	}
	if c := p.Counts(); c.Broken != 1 {
		t.Errorf("broken = %d, want 1", c.Broken)
	}
}

// units265 are pictures of H.265: the kinds of NAL units, with which picture they are shown.
func units265(t *testing.T, kinds []byte, shown []int) []*rtp.Packet {
	t.Helper()
	encoder := &rtph265.Encoder{PayloadType: 96}
	if err := encoder.Init(); err != nil {
		t.Fatal(err)
	}
	var packets []*rtp.Packet
	for i, kind := range kinds {
		unit := [][]byte{{kind << 1, 1, byte(i), 0x80}}
		if kind >= 16 {
			unit = append([][]byte{{32 << 1, 1, 7}, {33 << 1, 1, 7}, {34 << 1, 1, 7}}, unit...)
		}
		part, err := encoder.Encode(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range part {
			p.Timestamp = uint32(shown[i]) * 3600
		}
		packets = append(packets, part...)
	}
	return packets
}

// Leading pictures after the first key frame, and after a loss, refer to pictures that the
// readers do not have: they are left out. Others are delivered.
func TestSession_leadingPictures(t *testing.T) {
	t.Parallel()
	const (
		trail, rasl, cra = 1, 9, 21
	)
	packets := units265(t,
		[]byte{trail, cra, rasl, trail, cra, rasl, trail, trail, cra, rasl, trail},
		[]int{100, 104, 103, 105, 108, 107, 109, 110, 114, 113, 115})
	lost := len(packets) - 4 // the second trailing picture after the second key frame
	packets = slices.Delete(packets, lost, lost+1)
	p := playScript(t, script{sdp: sdp(h265Media), play: once(packets...)})
	var got []int64
	for range 7 {
		u := p.next(t)
		got = append(got, u.PTS/3600)
		if want := u.Payload[0][0]>>1 == 32; u.Key != want {
			t.Errorf("picture %d: key = %v", len(got), u.Key)
		}
	}
	if want := []int64{0, 1, 4, 3, 5, 10, 11}; !slices.Equal(got, want) {
		t.Errorf("pictures = %v, want %v", got, want)
	}
}

// Odd ways of putting pictures into packets: no marker bits, parameter sets with a marker and
// a timestamp of their own, fragments, aggregates, an empty packet.
func TestSession_packetization(t *testing.T) {
	t.Parallel()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(packets [][]*rtp.Packet)
	}{
		{"as usual", func([][]*rtp.Packet) {}},
		{"no marker", func(pictures [][]*rtp.Packet) {
			for _, packets := range pictures {
				for _, p := range packets {
					p.Marker = false
				}
			}
		}},
		{"parameter sets alone", func(pictures [][]*rtp.Packet) {
			pictures[0][0].Marker = true
			pictures[0][0].Timestamp--
		}},
		{"padding and extension", func(pictures [][]*rtp.Packet) {
			for _, p := range pictures[0] {
				p.Padding, p.PaddingSize = true, 4
				if err := p.SetExtension(1, []byte{1, 2, 3}); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			encoder := &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1}
			if err := encoder.Init(); err != nil {
				t.Fatal(err)
			}
			var pictures [][]*rtp.Packet
			for i, unit := range clip[:12] {
				packets, err := encoder.Encode(unit)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range packets {
					p.Timestamp = uint32(i) * 3600
				}
				pictures = append(pictures, packets)
			}
			test.change(pictures)
			p := playScript(t, script{sdp: sdp(h264Media), play: once(slices.Concat(pictures...)...)})
			for i, unit := range clip[:11] {
				u := p.next(t)
				if !bytes.Equal(bytes.Join(u.Payload, []byte("|")), bytes.Join(unit, []byte("|"))) || u.PTS != int64(i)*3600 {
					t.Fatalf("unit %d: pts = %d, or it is another picture", i, u.PTS)
				}
				checkPackets(t, u)
			}
		})
	}
}

// Tracks that cannot be played are left out, and the others play: each alone would make the
// library refuse the description, or panic.
func TestOpen_hostileMedia(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]string{
		"another codec":                      "m=video 0 RTP/AVP 98\na=rtpmap:98 VP8/90000",
		"aac without a config":               "m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/48000/1",
		"aac with a huge length":             strings.Replace(aacMedia, "sizelength=13", "sizelength=64", 1),
		"latm with a layer without a config": strings.Replace(latmMedia, "400023103fc0", "400223103fe3fc", 1),
		"latm with other data":               strings.Replace(latmMedia, "400023103fc0", "40002310adca00", 1),
		"latm in the stream":                 "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/90000/1",
		"h264 with half a set":               "m=video 0 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 sprop-parameter-sets=!,!",
		"h265 with decoding order":           "m=video 0 RTP/AVP 97\na=rtpmap:97 H265/90000\na=fmtp:97 sprop-max-don-diff=2",
		"h264 with interleaving":             "m=video 0 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=2",
		"a control that is no url":           "m=audio 0 RTP/AVP 0\na=control:%zz#",
		"no format":                          "m=audio 0 RTP/AVP x",
		"a clock of zero":                    "m=audio 0 RTP/AVP 97\na=rtpmap:97 PCMU/0",
		"a thousand medias before it":        strings.TrimSuffix(strings.Repeat("m=application 0 RTP/AVP 107\n", 1000), "\n"),
		"a hundred formats":                  "m=application 0 RTP/AVP" + strings.Repeat(" 99", 100),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := playScript(t, script{sdp: sdp(pcmaMedia, bad), play: once(audio(8, 3, "abc")...)})
			if got := p.Epoch().Tracks; len(got) != 1 || got[0].Codec != media.PCMA {
				t.Errorf("tracks = %+v, want PCMA alone", got)
			}
			if u := p.next(t); string(u.Payload[0]) != "abc" {
				t.Errorf("payload = %q", u.Payload)
			}
		})
	}
}

// At most eight tracks are played.
func TestOpen_manyTracks(t *testing.T) {
	t.Parallel()
	var medias []string
	for range 20 {
		medias = append(medias, pcmuMedia)
	}
	p := playScript(t, script{sdp: sdp(medias...), play: (*wire).wait})
	if got := len(p.Epoch().Tracks); got != media.MaxTracks {
		t.Errorf("tracks = %d, want %d", got, media.MaxTracks)
	}
}

// A picture of more than 4 MiB, or of more than 256 NAL units, is dropped; the next one is
// not. A camera that sends nothing else ends with MEDIA_INVALID.
func TestSession_tooLarge(t *testing.T) {
	t.Parallel()
	large := func(w *wire, first bool, kind byte, size int, seq *uint16, ts uint32) {
		part := bytes.Repeat([]byte{0xaa}, size)
		part[0], part[1] = 0x7c, kind&0x1f
		if first {
			part[1] |= 0x80
		}
		w.rtp(0, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: *seq, Timestamp: ts}, Payload: part})
		*seq++
	}
	camera := script{sdp: sdp(h264Media + ";sprop-parameter-sets=Z0LAH9kAoD2hAAADAAEAAAMAMg8YMkg=,aMuMsg=="), play: func(w *wire) {
		var seq uint16
		for i := range 80 { // 4.8 MB
			large(w, i == 0, 5, 60_000, &seq, 1)
		}
		slice := func(n int, ts uint32) {
			for i := range n {
				w.rtp(0, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, SequenceNumber: seq, Timestamp: ts, Marker: i == n-1}, Payload: []byte{0x65, 1}})
				seq++
			}
		}
		slice(300, 2)
		slice(200, 3) // more than the library's own decoder would take
		w.wait()
	}}
	p := playScript(t, camera)
	u := p.next(t)
	if len(u.Payload) != 202 || len(u.Packets) != 202 {
		t.Errorf("payload = %d, packets = %d, want 202 with the parameter sets", len(u.Payload), len(u.Packets))
	}
	if c := p.Counts(); c.Broken != 2 {
		t.Errorf("broken = %d, want 2", c.Broken)
	}
}

// The codec's variant that the library does not know is no reason to fail others.
func TestOpen_noMediaLeft(t *testing.T) {
	t.Parallel()
	err := openScript(t, script{sdp: sdp("m=video 0 RTP/AVP 97\na=rtpmap:97 H264/90000\na=fmtp:97 packetization-mode=2")}, nil)
	checkFailure(t, err, failure.Media, reason.NoMedia)
}

// A frame of sound whose packets are partly lost is not delivered.
func TestSession_lostFragment(t *testing.T) {
	t.Parallel()
	packets := audio(97, 0, "\x02ab", "\x06", "cd", "ef", "gh", "\x02ij")
	for i, p := range packets {
		p.Marker = i == 0 || i >= 4
		p.Timestamp = uint32(min(i, 1)+i/5) * 1024
	}
	p := playScript(t, script{sdp: sdp(latmMedia), play: once(slices.Delete(packets, 1, 3)...)})
	for _, want := range []string{"ab", "ij"} {
		if u := p.next(t); len(u.Payload) != 1 || string(u.Payload[0]) != want {
			t.Errorf("payload = %q, want %q", u.Payload, want)
		}
	}
	if c := p.Counts(); c.Lost != 2 || c.Broken != 1 {
		t.Errorf("counts = %+v, want 2 lost and 1 broken", c)
	}
}

// A camera that begins to count anew has lost nothing, but breaks the picture.
func TestSession_newSequence(t *testing.T) {
	t.Parallel()
	packets := audio(8, 160, "a", "b", "c")
	packets[2].SequenceNumber = 40_000
	p := playScript(t, script{sdp: sdp(pcmaMedia), play: once(packets...)})
	for range 3 {
		p.next(t)
	}
	if c := p.Counts(); c.Lost != 0 || c.Broken != 1 || c.Packets != 3 {
		t.Errorf("counts = %+v, want 3 packets, 1 broken", c)
	}
}
