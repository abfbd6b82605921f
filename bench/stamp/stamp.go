// Package stamp marks pictures with their number and the time at which they were sent, so
// that a player knows how late a picture is and whether one is missing.
//
// The mark is the end of a picture's last NAL unit, so it is also the end of the picture's
// last RTP packet, whichever program made the packets (RFC 6184, 5.6 and 5.8). It has letters and
// digits alone, and is therefore no start code. The clock is the machine's, which all
// processes of a measurement share.
package stamp

import (
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Size is the number of bytes of a mark.
const Size = len(magic) + 2*raw

const (
	magic = "stamp:"
	raw   = 4 + 8 // bytes: the number and the time, which stand in hexadecimal digits
)

// Put writes a mark over the last Size bytes of b, which must have as many.
func Put(b []byte, number uint32, sent time.Time) {
	mark := b[len(b)-Size:]
	copy(mark, magic)
	values := binary.BigEndian.AppendUint32(make([]byte, 0, raw), number)
	values = binary.BigEndian.AppendUint64(values, uint64(sent.UnixNano()))
	hex.Encode(mark[len(magic):], values)
}

// Read returns the mark at the end of b; ok is false if there is none.
func Read(b []byte) (number uint32, sent time.Time, ok bool) {
	if len(b) < Size || string(b[len(b)-Size:][:len(magic)]) != magic {
		return 0, time.Time{}, false
	}
	var values [raw]byte
	if _, err := hex.Decode(values[:], b[len(b)-2*raw:]); err != nil {
		return 0, time.Time{}, false
	}
	ns := int64(binary.BigEndian.Uint64(values[4:])) //nolint:gosec // G115: what Put wrote, or a wrong time
	return binary.BigEndian.Uint32(values[:]), time.Unix(0, ns), true
}
