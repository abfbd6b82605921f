package fmp4

import (
	"encoding/binary"

	"rtsptunnel/internal/gateway/media"
)

// The boxes of a fragment are written here, and not by mediacommon: it takes 60 us and 260
// allocations for one, for each picture of each camera that is watched.

// sample is one sample of a fragment.
type sample struct {
	duration  uint32
	offset    int32 // from the decode time to the presentation time
	dependent bool  // decoding cannot begin here
	nals      bool  // the payload is NAL units; else it is one frame
	payload   [][]byte
}

// lengthSize is the size of the length before a NAL unit (ISO/IEC 14496-15, 5.3.2).
const lengthSize = 4

func (s sample) size() int {
	n := 0
	for _, p := range s.payload {
		if s.nals && len(p) > 0 {
			n += lengthSize
		}
		n += len(p)
	}
	return n
}

// append appends the sample's bytes. Empty NAL units are left out.
func (s sample) append(b []byte) []byte {
	for _, p := range s.payload {
		if s.nals && len(p) > 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(len(p))) //nolint:gosec // G115: bounded by media.MaxUnitBytes
		}
		b = append(b, p...)
	}
	return b
}

// The sizes of boxes in bytes (ISO/IEC 14496-12, 4.2 and 8.8).
const (
	boxHeader = 8
	mfhdSize  = 16
	tfhdSize  = 16
	tfdtSize  = 20
	trunSize  = 20 // without samples
)

// Flags of trun, and of its samples (8.8.8 and 8.8.3.1).
const (
	trunDataOffset = 0x001
	trunDurations  = 0x100
	trunSizes      = 0x200
	trunFlags      = 0x400
	trunOffsets    = 0x800

	sampleDependent = 1 << 16
)

// trunOf returns the flags that trun needs for these samples, and the size of an entry.
func trunOf(list []sample) (flags uint32, entry int) {
	flags, entry = trunDataOffset|trunDurations|trunSizes, 8
	for _, s := range list {
		if s.dependent {
			flags |= trunFlags
		}
		if s.offset != 0 {
			flags |= trunOffsets
		}
	}
	if flags&trunFlags != 0 {
		entry += 4
	}
	if flags&trunOffsets != 0 {
		entry += 4
	}
	return flags, entry
}

func trunBytes(list []sample) int {
	_, entry := trunOf(list)
	return trunSize + entry*len(list)
}

func moofSize(list []sample) int {
	return boxHeader + mfhdSize + boxHeader + tfhdSize + tfdtSize + trunBytes(list)
}

// appendMoof appends the box moof of a fragment whose box mdat follows at once.
func appendMoof(b []byte, u *media.Unit, list []sample) []byte {
	size := moofSize(list)
	base := u.Epoch.Base[u.Track] + u.DTS
	b = appendBox(b, "moof", size)
	b = appendFullBox(b, "mfhd", mfhdSize, 0)
	b = appendWord(b, int(uint32(base))) //nolint:gosec // G115: a number that wraps
	b = appendBox(b, "traf", size-boxHeader-mfhdSize)
	b = appendFullBox(b, "tfhd", tfhdSize, 0x020000) // offsets count from moof
	b = appendWord(b, trackID(u.Track))
	b = appendFullBox(b, "tfdt", tfdtSize, 1<<24) // 64 bits
	b = binary.BigEndian.AppendUint64(b, uint64(max(base, 0)))
	return appendTrun(b, list, size+boxHeader)
}

// appendTrun appends the box trun. data is where the samples begin.
func appendTrun(b []byte, list []sample, data int) []byte {
	flags, _ := trunOf(list)
	b = appendFullBox(b, "trun", trunBytes(list), 1<<24|flags) // signed offsets
	b = appendWord(b, len(list))
	b = appendWord(b, data)
	for _, s := range list {
		b = binary.BigEndian.AppendUint32(b, s.duration)
		b = appendWord(b, s.size())
		if flags&trunFlags != 0 {
			if s.dependent {
				b = appendWord(b, sampleDependent)
			} else {
				b = appendWord(b, 0)
			}
		}
		if flags&trunOffsets != 0 {
			b = binary.BigEndian.AppendUint32(b, uint32(s.offset)) //nolint:gosec // G115: two's complement
		}
	}
	return b
}

func appendBox(b []byte, kind string, size int) []byte { return append(appendWord(b, size), kind...) }

// appendFullBox appends the header of a box with version and flags.
func appendFullBox(b []byte, kind string, size int, flags uint32) []byte {
	return binary.BigEndian.AppendUint32(appendBox(b, kind, size), flags)
}

// appendWord appends 32 bits.
func appendWord(b []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // G115: sizes are bounded by media.MaxUnitBytes
}
