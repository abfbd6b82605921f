package rtsptest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
)

// rtpTicks is how far the RTP clock of 90 kHz goes in one frame (RFC 6184, 8.2.1).
const rtpTicks = 90000 / 25

// show is what a camera shows at any time: frame n is due n frame periods
// after the start. Nothing in it changes, so that sessions share it.
type show struct {
	clip  clip
	start time.Time
	video *description.Media
}

func (s show) due(n int) time.Time { return s.start.Add(time.Duration(n) * framePeriod) }

// keyFrame returns the number of the key frame of the running second.
func (s show) keyFrame(now time.Time) int {
	n := int(now.Sub(s.start) / framePeriod)
	return n - n%groupSize
}

// session is one client's RTSP session. The handler's lock guards its fields.
type session struct {
	stream  *gortsplib.ServerStream
	playFor *gortsplib.ServerConn // whose PLAY is to be answered; nil if none

	stop context.CancelFunc // nil until it plays
	wg   sync.WaitGroup
}

func (s *session) playing() bool { return s.stop != nil }

// play starts to send the show. It calls giveUp if it cannot go on.
func (s *session) play(sh show, giveUp func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.wg.Go(func() {
		if err := s.send(ctx, sh); err != nil {
			giveUp()
		}
	})
}

// close ends playing and frees the stream.
func (s *session) close() {
	if s.playing() {
		s.stop()
	}
	s.wg.Wait()
	s.stream.Close()
}

// send writes frame by frame when it is due, from the key frame of the running
// second on, until ctx is done.
func (s *session) send(ctx context.Context, sh show) error {
	encoder, err := sh.video.Formats[0].(*format.H264).CreateEncoder()
	if err != nil {
		return fmt.Errorf("create encoder: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := sh.keyFrame(time.Now()); ; n++ {
		timer.Reset(time.Until(sh.due(n))) // at once if it is past
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.sendFrame(encoder, sh, n); err != nil {
			return fmt.Errorf("send frame %d: %w", n, err)
		}
	}
}

func (s *session) sendFrame(encoder *rtph264.Encoder, sh show, n int) error {
	packets, err := encoder.Encode(sh.clip.at(n))
	if err != nil {
		return err
	}
	for _, packet := range packets {
		packet.Timestamp = uint32(int64(n*rtpTicks) & math.MaxUint32) // RTP timestamps wrap
		if err := s.stream.WritePacketRTPWithNTP(sh.video, packet, sh.due(n)); err != nil {
			return err
		}
	}
	return nil
}
