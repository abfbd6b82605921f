package media_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/testkit/rtsptest"
)

// bytesOf returns the bytes of a hexadecimal text.
func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leading returns the access units of a stream of x265 in 128x72: a key frame each 24
// pictures, CRA pictures among them, three B frames between others. The last access units
// before a CRA picture's successors are leading pictures.
func leading(tb testing.TB) [][][]byte {
	tb.Helper()
	raw, err := os.ReadFile("testdata/leading.h265")
	if err != nil {
		tb.Fatal(err)
	}
	var units [][][]byte
	var unit [][]byte
	for _, nal := range bytes.Split(raw, []byte{0, 0, 0, 1})[1:] {
		unit = append(unit, nal)
		if nal[0]>>1 < 32 { // a slice; each picture has one
			units, unit = append(units, unit), nil
		}
	}
	return units
}

// shown is the order in which the pictures of leading are shown.
func shown() []int {
	order := []int{0}
	for k := 4; k <= 48; k += 4 {
		order = append(order, k, k-2, k-3, k-1)
	}
	return append(order, 49)
}

func TestTrack_CodecString(t *testing.T) {
	t.Parallel()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	h265 := leading(t)[0]
	for _, test := range []struct {
		name string
		of   media.Track
		want string
	}{
		{"h264", media.Track{Codec: media.H264, SPS: clip[0][1]}, "avc1.42C01F"},
		{"h264 without sps", media.Track{Codec: media.H264}, ""},
		{"h264 short sps", media.Track{Codec: media.H264, SPS: []byte{0x67, 1}}, ""},
		{"h265", media.Track{Codec: media.H265, SPS: h265[1]}, "hvc1.1.6.L30.90"},
		{"h265 high tier", media.Track{Codec: media.H265, SPS: bytesOf(t, "4201012220000000b0000000000078")}, "hvc1.2.4.H120.B0"},
		{"h265 profile space", media.Track{Codec: media.H265, SPS: bytesOf(t, "420101a16000000300b000010000005d")}, "hvc1.B1.6.H93.B0.0.1"},
		{"h265 short sps", media.Track{Codec: media.H265, SPS: h265[1][:12]}, ""},
		{"h265 one byte", media.Track{Codec: media.H265, SPS: []byte{0x42}}, ""},
		{"aac lc", media.Track{Codec: media.AAC, Config: []byte{0x11, 0x88}}, "mp4a.40.2"},
		{"aac he", media.Track{Codec: media.AAC, Config: []byte{0x2b, 0x92, 0x08, 0x00}}, "mp4a.40.5"},
		{"aac escape", media.Track{Codec: media.AAC, Config: []byte{0xf9, 0x40}}, "mp4a.40.42"},
		{"aac without config", media.Track{Codec: media.AAC}, ""},
		{"opus", media.Track{Codec: media.Opus}, "opus"},
		{"pcma", media.Track{Codec: media.PCMA}, ""},
		{"mjpeg", media.Track{Codec: media.MJPEG}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := test.of.CodecString(); got != test.want {
				t.Errorf("codec string = %q, want %q", got, test.want)
			}
		})
	}
}

func TestTrack_With(t *testing.T) {
	t.Parallel()
	attic, err := rtsptest.Clip("attic")
	if err != nil {
		t.Fatal(err)
	}
	h265 := leading(t)[0]
	for _, test := range []struct {
		name  string
		codec media.Codec
		sps   []byte
		want  [2]int
	}{
		{"h264", media.H264, attic[0][1], [2]int{320, 180}},
		{"h265", media.H265, h265[1], [2]int{128, 72}},
		{"wrong kind", media.H264, h265[1], [2]int{}},
		{"cut", media.H265, h265[1][:20], [2]int{}},
		{"none", media.H264, nil, [2]int{}},
		{"no video", media.AAC, attic[0][1], [2]int{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			track := media.Track{Codec: test.codec, Width: 1, Height: 1}.With(media.Parameters{SPS: test.sps})
			if got := [2]int{track.Width, track.Height}; got != test.want {
				t.Errorf("size = %v, want %v", got, test.want)
			}
			if !bytes.Equal(track.Parameters().SPS, test.sps) {
				t.Error("the sps is another one")
			}
		})
	}
}

func TestParameters_Update(t *testing.T) {
	t.Parallel()
	sps, pps, other, idr := []byte{0x67, 1}, []byte{0x68, 2}, []byte{0x68, 3}, []byte{0x65, 4}
	for _, test := range []struct {
		name    string
		before  media.Parameters
		unit    [][]byte
		after   media.Parameters
		missing [][]byte
	}{
		{"first sets", media.Parameters{}, [][]byte{sps, pps, idr}, media.Parameters{SPS: sps, PPS: pps}, nil},
		{"known sets", media.Parameters{SPS: sps, PPS: pps}, [][]byte{idr}, media.Parameters{SPS: sps, PPS: pps}, [][]byte{sps, pps}},
		{"one is missing", media.Parameters{SPS: sps, PPS: pps}, [][]byte{sps, idr}, media.Parameters{SPS: sps, PPS: pps}, [][]byte{pps}},
		{"one changes", media.Parameters{SPS: sps, PPS: pps}, [][]byte{other, idr}, media.Parameters{SPS: sps, PPS: other}, [][]byte{sps}},
		{"the first one counts", media.Parameters{}, [][]byte{sps, pps, other, idr}, media.Parameters{SPS: sps, PPS: pps}, nil},
		{"nothing is known", media.Parameters{}, [][]byte{idr}, media.Parameters{}, nil},
		{"an empty unit", media.Parameters{}, [][]byte{{}, idr}, media.Parameters{}, nil},
		{"too long", media.Parameters{}, [][]byte{append([]byte{0x67}, make([]byte, media.MaxParameterSet)...)}, media.Parameters{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := test.before
			missing := p.Update(media.H264, test.unit)
			if diff := cmp.Diff(test.after, p); diff != "" {
				t.Errorf("sets (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.missing, missing); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}

// The sets are copies: the caller may reuse the access unit.
func TestParameters_Update_copies(t *testing.T) {
	t.Parallel()
	unit := [][]byte{{0x67, 1}}
	var p media.Parameters
	p.Update(media.H264, unit)
	unit[0][1] = 9
	if p.SPS[1] != 1 {
		t.Error("the sps changed with the access unit")
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		codec media.Codec
		unit  [][]byte
		want  media.Picture
	}{
		{"idr", media.H264, [][]byte{{0x67}, {0x65}}, media.Picture{Slices: true, Key: true}},
		{"non-idr", media.H264, [][]byte{{0x09}, {0x41}}, media.Picture{Slices: true}},
		{"sets alone", media.H264, [][]byte{{0x67}, {0x68}}, media.Picture{}},
		{"empty", media.H264, [][]byte{{}}, media.Picture{}},
		{"h265 idr", media.H265, [][]byte{{19 << 1, 1}}, media.Picture{Slices: true, Key: true}},
		{"h265 cra", media.H265, [][]byte{{21 << 1, 1}}, media.Picture{Slices: true, Key: true}},
		{"h265 bla", media.H265, [][]byte{{16 << 1, 1}}, media.Picture{Slices: true, Key: true}},
		{"h265 rasl", media.H265, [][]byte{{9 << 1, 1}}, media.Picture{Slices: true, Leading: true}},
		{"h265 trail", media.H265, [][]byte{{1 << 1, 1}}, media.Picture{Slices: true}},
		{"h265 vps", media.H265, [][]byte{{32 << 1, 1}}, media.Picture{}},
		{"h265 half a header", media.H265, [][]byte{{19 << 1}}, media.Picture{}},
		{"sound", media.AAC, [][]byte{{0x65}}, media.Picture{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, media.Inspect(test.codec, test.unit)); diff != "" {
				t.Errorf("picture (-want +got):\n%s", diff)
			}
		})
	}
}

// decodingTimes returns the DTS of pictures that are shown in the given order, with 3600
// ticks each. It checks that they rise, and are not after the PTS.
func decodingTimes(t *testing.T, c media.Codec, units [][][]byte, order []int) []int64 {
	t.Helper()
	d := media.NewDTS(c)
	var times []int64
	for i, unit := range units {
		pts := int64(order[i]) * 3600
		dts := d.Next(unit, pts)
		if dts > pts {
			t.Errorf("picture %d: dts = %d, after its pts %d", i, dts, pts)
		}
		if i > 0 && dts <= times[i-1] {
			t.Errorf("picture %d: dts = %d, not after %d", i, dts, times[i-1])
		}
		times = append(times, dts)
	}
	return times
}

func TestDTS(t *testing.T) {
	t.Parallel()
	clip, err := rtsptest.Clip("attic")
	if err != nil {
		t.Fatal(err)
	}
	var units [][][]byte
	var order []int
	for i, unit := range clip {
		units = append(units, unit)
		k := i % 25
		switch {
		case k == 0:
			order = append(order, i)
		case k%3 == 1:
			order = append(order, i+2)
		default:
			order = append(order, i-1)
		}
	}
	times := decodingTimes(t, media.H264, units, order)
	if got, want := times[99]-times[50], int64(49*3600); got != want {
		t.Errorf("49 pictures take %d ticks, want %d", got, want)
	}

	units = leading(t)
	times = decodingTimes(t, media.H265, units, shown())
	if got, want := times[48]-times[24], int64(24*3600); got != want {
		t.Errorf("24 pictures of H.265 take %d ticks, want %d", got, want)
	}

	if got, want := decodingTimes(t, media.AAC, [][][]byte{{}, {}}, []int{0, 7}), []int64{0, 7 * 3600}; !slices.Equal(got, want) {
		t.Errorf("sound's dts = %v, want %v", got, want)
	}
}

// Without a usable order, the decoding times still rise.
func TestDTS_withoutOrder(t *testing.T) {
	t.Parallel()
	d := media.NewDTS(media.H264)
	var got []int64
	for _, pts := range []int64{0, 9000, 3600, 3600, 18000} {
		got = append(got, d.Next([][]byte{{0x41, 0xff}}, pts))
	}
	if want := []int64{0, 9000, 9001, 9002, 18000}; !slices.Equal(got, want) {
		t.Errorf("dts = %v, want %v", got, want)
	}
}

func TestWallClock(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)
	const ms = time.Millisecond
	type unit struct{ pts, arrival time.Duration }
	for _, test := range []struct {
		name  string
		units []unit
		want  time.Duration // of PTS 0, after begin
	}{
		{"one unit", []unit{{0, 20 * ms}}, 20 * ms},
		{"the least delayed unit counts", []unit{{0, 90 * ms}, {40 * ms, 60 * ms}, {80 * ms, 170 * ms}}, 20 * ms},
		{"a burst", []unit{{0, 0}, {400 * ms, 0}, {800 * ms, 1 * ms}}, -799 * ms},
		{"it follows a slow clock", []unit{{0, 0}, {100_000 * ms, 100_050 * ms}}, 50 * ms},
		{"but not at once", []unit{{0, 0}, {10_000 * ms, 11_000 * ms}}, 11 * ms},
		{"unless it is far behind", []unit{{0, 0}, {0, 10_000 * ms}}, 7_000 * ms},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var w media.WallClock
			for _, u := range test.units {
				w.Update(u.pts, begin.Add(u.arrival))
			}
			if got := w.Zero().Sub(begin); got < test.want-ms || got > test.want+ms {
				t.Errorf("PTS 0 arrived at %v, want %v", got, test.want)
			}
		})
	}
}

// All readers share what one of them built, until it is forgotten.
func TestUnit_Memo(t *testing.T) {
	t.Parallel()
	var u media.Unit
	var builds atomic.Int64
	build := func(*media.Unit) []byte { return []byte{byte(builds.Add(1))} }
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			if got := u.Memo(media.Interleaved, build); len(got) != 1 || got[0] != 1 {
				t.Errorf("memo %v", got)
			}
		})
	}
	readers.Wait()
	kept := u.Memo(media.Interleaved, build)
	u.Forget()
	if got := u.Memo(media.Interleaved, build); got[0] != 2 || kept[0] != 1 {
		t.Errorf("after Forget %v, and before it %v", got, kept)
	}
}
