package fmp4

import (
	"encoding/binary"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/g711"

	"rtsptunnel/internal/gateway/media"
)

// The sizes of a block of FLAC, in samples (RFC 9639, 8.2).
const (
	minBlock = 16
	maxBlock = 4096
)

// FLAC is a frame of FLAC with its number of samples of one channel.
type FLAC struct {
	Frame   []byte
	Samples int
}

// FLACFrames returns the sound of a unit of G.711 as frames of FLAC that have the decoded samples
// verbatim (RFC 9639, 9.2.4): a codec that browsers know, without compressing anything.
func FLACFrames(u *media.Unit) []FLAC {
	t := u.Epoch.Tracks[u.Track]
	n := channels(t)
	position := max(u.Epoch.Base[u.Track]+u.DTS, 0)
	var list []FLAC
	for _, encoded := range u.Payload {
		pcm := linear(t.Codec, encoded)
		for block := maxBlock * 2 * n; len(pcm) >= minBlock*2*n; {
			part := pcm[:min(block, len(pcm)/(2*n)*(2*n))]
			if rest := len(pcm) - len(part); rest > 0 && rest < minBlock*2*n { // no block may be that short
				part = part[:len(part)-minBlock*2*n]
			}
			samples := len(part) / (2 * n)
			list = append(list, FLAC{verbatim(part, n, uint64(position)), samples})
			pcm = pcm[len(part):]
			position += int64(samples)
		}
	}
	return list
}

func flacFrames(u *media.Unit) []sample {
	var list []sample
	for _, f := range FLACFrames(u) {
		list = append(list, sample{duration: clamp(int64(f.Samples)), payload: [][]byte{f.Frame}})
	}
	return list
}

// linear decodes G.711 to samples of 16 bits, big endian, the channels interleaved.
func linear(c media.Codec, encoded []byte) []byte {
	if c == media.PCMA {
		var out g711.Alaw
		out.Unmarshal(encoded)
		return out
	}
	var out g711.Mulaw
	out.Unmarshal(encoded)
	return out
}

// verbatim returns a frame of FLAC with these samples (RFC 9639, 9). position is the number of
// the first one: blocks have different sizes.
func verbatim(pcm []byte, channels int, position uint64) []byte {
	const (
		sync           = 0xFFF9 // blocks of variable size
		size16AtEnd    = 7 << 4 // the size stands behind the position; the rate in the stream's information
		bits16         = 4 << 1
		verbatimHeader = 1 << 1
	)
	b := make([]byte, 0, len(pcm)+channels+24)
	b = binary.BigEndian.AppendUint16(b, sync)
	b = append(b, size16AtEnd, byte(channels-1)<<4|bits16)                //nolint:gosec // G115: at most 8
	b = appendNumber(b, position&(1<<31-1))                               // ffmpeg knows no more bits; MP4 has the time
	b = binary.BigEndian.AppendUint16(b, uint16(len(pcm)/(2*channels)-1)) //nolint:gosec // G115: at most maxBlock
	b = append(b, crc8(b))
	for c := range channels {
		b = append(b, verbatimHeader)
		for at := 2 * c; at < len(pcm); at += 2 * channels {
			b = append(b, pcm[at], pcm[at+1])
		}
	}
	return binary.BigEndian.AppendUint16(b, crc16(b))
}

// appendNumber appends a number of 36 bits as FLAC codes it, like UTF-8 (RFC 9639, 9.1.5).
func appendNumber(b []byte, n uint64) []byte {
	if n < 1<<7 {
		return append(b, byte(n))
	}
	more := 1 // bytes behind the first one, which has 6-more bits of the number
	for more < 6 && n >= 1<<(6-more+6*more) {
		more++
	}
	b = append(b, byte(0xFF<<(7-more))|byte(n>>(6*more))) //nolint:gosec // G115: at most 6-more bits
	for i := more - 1; i >= 0; i-- {
		b = append(b, 0x80|byte(n>>(6*i))&0x3F) //nolint:gosec // G115: the low bits are meant
	}
	return b
}

// crc8 is the checksum of a frame's header, with the polynomial x^8+x^2+x+1.
func crc8(b []byte) byte {
	var sum byte
	for _, x := range b {
		sum ^= x
		for range 8 {
			carry := sum >> 7
			sum = sum<<1 ^ carry*0x07
		}
	}
	return sum
}

var crc16Table = func() (table [256]uint16) {
	for i := range table {
		sum := uint16(i) << 8
		for range 8 {
			carry := sum >> 15
			sum = sum<<1 ^ carry*0x8005
		}
		table[i] = sum
	}
	return table
}()

// crc16 is the checksum of a frame, with the polynomial x^16+x^15+x^2+1.
func crc16(b []byte) uint16 {
	var sum uint16
	for _, x := range b {
		sum = sum<<8 ^ crc16Table[byte(sum>>8)^x]
	}
	return sum
}
