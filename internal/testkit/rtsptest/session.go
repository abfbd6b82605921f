package rtsptest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
)

// rtpTicks is the duration of a frame in ticks of the 90 kHz RTP clock (RFC 6184,
// 8.2.1).
const rtpTicks = 90000 / 25

// schedule is a camera's clip and clock: frame n is due n frame periods after the
// start. It does not change, so all sessions share it.
type schedule struct {
	clip   clip
	start  time.Time
	video  *description.Media
	sound  *sound // nil if there is none
	change Change // nil if there is none
}

func (s schedule) due(n int) time.Time { return s.start.Add(time.Duration(n) * framePeriod) }

// keyFrame returns the number of the current second's key frame.
func (s schedule) keyFrame(now time.Time) int {
	n := int(now.Sub(s.start) / framePeriod)
	return n - n%groupSize
}

// session is one client's RTSP session. The handler's lock guards its fields.
type session struct {
	stream  *gortsplib.ServerStream
	playFor *gortsplib.ServerConn // whose PLAY has no response yet; nil if none

	stop context.CancelFunc // nil until it plays
	wg   sync.WaitGroup
}

func (s *session) playing() bool { return s.stop != nil }

// play starts to send frames. It calls fail if it cannot continue.
func (s *session) play(sc schedule, fail func()) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.wg.Go(func() {
		if err := s.send(ctx, sc); err != nil {
			fail()
		}
	})
}

// close stops playing, waits for the sending goroutine, and closes the stream.
func (s *session) close() {
	if s.playing() {
		s.stop()
	}
	s.wg.Wait()
	s.stream.Close()
}

// send writes each frame when it is due, beginning with the current second's key
// frame, until ctx is done.
func (s *session) send(ctx context.Context, sc schedule) error {
	encoder, err := sc.video.Formats[0].(*format.H264).CreateEncoder()
	if err != nil {
		return fmt.Errorf("create encoder: %w", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	first := sc.keyFrame(time.Now())
	for n := first; ; n++ {
		timer.Reset(time.Until(sc.due(n))) // fires at once if the time is past
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.sendFrame(encoder, sc, n, sc.frame(first, n)); err != nil {
			return fmt.Errorf("send frame %d: %w", n, err)
		}
	}
}

// frame returns picture n for a session that began with picture first.
func (s schedule) frame(first, n int) *Frame {
	f := &Frame{
		Number:    n - first,
		Unit:      s.clip.at(n),
		Timestamp: uint32(int64(s.clip.shown(n)*rtpTicks) & math.MaxUint32), // RTP timestamps wrap
	}
	if s.change != nil {
		s.change(f)
	}
	return f
}

var errEnd = errors.New("the camera ends the connection")

func (s *session) sendFrame(encoder *rtph264.Encoder, sc schedule, n int, f *Frame) error {
	if f.End {
		return errEnd
	}
	if len(f.Unit) > 0 {
		packets, err := encoder.Encode(f.Unit)
		if err != nil {
			return err
		}
		if f.Lose {
			packets = packets[:len(packets)-1]
		}
		for _, packet := range packets {
			packet.Timestamp = f.Timestamp
			if err := s.stream.WritePacketRTPWithNTP(sc.video, packet, sc.due(n)); err != nil {
				return err
			}
		}
	}
	if f.Mute {
		return nil
	}
	for _, packet := range sc.sound.packets(n) {
		if err := s.stream.WritePacketRTPWithNTP(sc.sound.media, packet, sc.due(n)); err != nil {
			return err
		}
	}
	return nil
}
