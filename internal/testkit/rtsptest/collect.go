package rtsptest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/pion/rtp"
)

// collector collects frames from RTP packets until it has enough or a packet fails.
// It ignores later packets. The client calls it from one goroutine. Others may read
// its fields after done is closed or the client has ended.
type collector struct {
	start   time.Time
	want    int // frames
	decoder *rtph264.Decoder

	done   chan struct{} // closed when err or pulled is final
	pulled Pulled
	err    error
}

func newCollector(start time.Time, want int) *collector {
	return &collector{start: start, want: want, done: make(chan struct{})}
}

func (c *collector) packet(p *rtp.Packet) {
	unit, err := c.decoder.Decode(p)
	switch {
	case errors.Is(err, rtph264.ErrMorePacketsNeeded):
	case errors.Is(err, rtph264.ErrNonStartingPacketAndNoPrevious):
		// The stream may begin in the middle of a frame.
	case err != nil:
		c.fail(fmt.Errorf("decode packet: %w", err))
	default:
		c.frame(unit)
	}
}

func (c *collector) frame(unit AccessUnit) {
	if c.ended() {
		return
	}
	p := &c.pulled
	if p.Frames == 0 {
		if !h264.IsRandomAccess(unit) {
			p.Skipped++
			return
		}
		p.FirstFrame = time.Since(c.start)
	}
	p.AccessUnits = append(p.AccessUnits, unit)
	p.Frames++
	if p.Frames == c.want {
		close(c.done)
	}
}

func (c *collector) fail(err error) {
	if c.ended() {
		return
	}
	c.err = err
	close(c.done)
}

func (c *collector) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// MatchClip returns nil if the frames equal consecutive frames of the named clip in
// a loop, byte for byte, beginning with a key frame. The error names the first frame
// that differs.
func (p Pulled) MatchClip(name string) error {
	c, err := loadClip(name)
	if err != nil {
		return err
	}
	if len(p.AccessUnits) == 0 {
		return errors.New("no frames")
	}
	first := slices.IndexFunc(c.units, p.AccessUnits[0].equal)
	if first < 0 || first%groupSize != 0 {
		return fmt.Errorf("frame 0 is not a key frame of clip %s", name)
	}
	for i, unit := range p.AccessUnits {
		if !unit.equal(c.at(first + i)) {
			return fmt.Errorf("frame %d is not frame %d of clip %s", i, (first+i)%len(c.units), name)
		}
	}
	return nil
}

func (u AccessUnit) equal(v AccessUnit) bool { return slices.EqualFunc(u, v, slices.Equal[[]byte]) }
