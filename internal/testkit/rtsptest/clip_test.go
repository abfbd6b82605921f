package rtsptest_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"rtsptunnel/internal/testkit/rtsptest"
)

var clipNames = []string{"front", "yard"}

func newClip(t *testing.T, name string) []rtsptest.AccessUnit {
	t.Helper()
	clip, err := rtsptest.Clip(name)
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, name := range clipNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info, err := os.Stat("clips/" + name + ".h264")
			if err != nil {
				t.Fatal(err)
			}
			if got, limit := info.Size(), int64(300_000); got >= limit {
				t.Errorf("size = %d bytes, want less than %d", got, limit)
			}
			clip := newClip(t, name)
			if got, want := len(clip), 500; got != want {
				t.Errorf("frames = %d, want %d", got, want)
			}
			for i, unit := range clip {
				if got, want := h264.IsRandomAccess(unit), i%25 == 0; got != want {
					t.Errorf("frame %d: key frame = %t, want %t", i, got, want)
				}
				checkUnits(t, i, unit)
			}
		})
	}
}

// checkUnits checks the order of the NAL units of frame i.
func checkUnits(t *testing.T, i int, unit rtsptest.AccessUnit) {
	t.Helper()
	want := []h264.NALUType{h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeNonIDR}
	if i%25 == 0 {
		want = []h264.NALUType{
			h264.NALUTypeAccessUnitDelimiter, h264.NALUTypeSPS, h264.NALUTypePPS, h264.NALUTypeIDR,
		}
	}
	if len(unit) != len(want) {
		t.Errorf("frame %d: NAL units = %d, want %d", i, len(unit), len(want))
		return
	}
	for j, nalu := range unit {
		if got := h264.NALUType(nalu[0] & 0x1F); got != want[j] {
			t.Errorf("frame %d: NAL unit %d = %v, want %v", i, j, got, want[j])
		}
	}
}

// The access units contain every byte of the file, and no others.
func TestClip_hasAllBytes(t *testing.T) {
	t.Parallel()
	for _, name := range clipNames {
		var got []byte
		for _, unit := range newClip(t, name) {
			for _, nalu := range unit {
				got = append(got, nalu...)
			}
		}
		raw, err := os.ReadFile("clips/" + name + ".h264")
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.ReplaceAll(raw, []byte{0, 0, 0, 1}, nil)
		want = bytes.ReplaceAll(want, []byte{0, 0, 1}, nil)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: access units have %d bytes, which differ from the file's %d", name, len(got), len(want))
		}
	}
}

func TestClip_framesDiffer(t *testing.T) {
	t.Parallel()
	front, yard := newClip(t, "front"), newClip(t, "yard")
	for i := range front {
		// The last NAL unit is the picture.
		if bytes.Equal(front[i][len(front[i])-1], yard[i][len(yard[i])-1]) {
			t.Errorf("frame %d is the same in front and yard", i)
		}
	}
}

func TestClip_unknown(t *testing.T) {
	t.Parallel()
	if _, err := rtsptest.Clip("cellar"); err == nil {
		t.Error("err = nil, want one for an unknown clip")
	}
}
