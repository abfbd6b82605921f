package cameras

import (
	"testing"
	"time"

	"rtsptunnel/bench/stamp"
)

// Whatever the length of a picture, its mark is in its last packet as a whole.
func TestPacketize_markIsNotDivided(t *testing.T) {
	t.Parallel()
	for length := packetBytes - 10; length < 3*packetBytes+10; length++ {
		unit := make([]byte, length)
		unit[0] = 1
		stamp.Put(unit, 7, time.Now())
		p := packetize([][]byte{unit})
		if number, _, ok := stamp.Read(p.packets[p.headers[len(p.headers)-1]+rtpHeader:]); !ok || number != 7 {
			t.Fatalf("%d bytes: the last packet has no mark", length)
		}
	}
}
