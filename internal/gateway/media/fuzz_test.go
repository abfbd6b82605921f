package media_test

import (
	"bytes"
	"testing"

	"rtsptunnel/internal/gateway/media"
)

// Whatever a camera sends as NAL units: nothing panics, and the sizes and times are sane.
func FuzzPicture(f *testing.F) {
	for _, unit := range leading(f)[:3] {
		f.Add(true, bytes.Join(unit, []byte{0, 0, 1}), int64(0))
	}
	f.Add(false, []byte("\x67\x42\xc0\x1e\x00\x00\x01\x68\xce\x00\x00\x01\x65\x88"), int64(3600))
	f.Fuzz(func(t *testing.T, h265 bool, raw []byte, pts int64) {
		codec := media.H264
		if h265 {
			codec = media.H265
		}
		unit := bytes.Split(raw, []byte{0, 0, 1})
		media.Inspect(codec, unit)
		var p media.Parameters
		missing := p.Update(codec, unit)
		if len(missing) > 0 {
			t.Errorf("missing = %v, but nothing was known", missing)
		}
		track := media.Track{Codec: codec}.With(p)
		track.CodecString()
		if track.Width < 0 || track.Height < 0 || track.Width > 1<<15 || track.Height > 1<<15 {
			t.Errorf("size = %d x %d", track.Width, track.Height)
		}
		d := media.NewDTS(codec)
		pts = pts % (1 << 40)
		first := d.Next(unit, pts)
		if second := d.Next(unit, pts+1); second <= first {
			t.Errorf("dts = %d after %d", second, first)
		}
	})
}
