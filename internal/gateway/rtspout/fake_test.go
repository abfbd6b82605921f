package rtspout_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/testkit/rtsptest"
)

// feed is a stream whose camera sends what a test puts.
type feed struct {
	*stream.Stream
	epoch *media.Epoch
	block chan struct{} // the opening waits for it, if not nil

	mu      sync.Mutex
	opening int           // that wait for block
	pending []*media.Unit // before the opening
	deliver func(*media.Unit)
}

// newFeed returns a stream with the tracks of e. Its ring keeps all that tests put.
func newFeed(tb testing.TB, e *media.Epoch, change ...func(*stream.Options)) *feed {
	tb.Helper()
	f := &feed{epoch: e}
	o := stream.Options{Name: "edge1/front", Open: f.open, Grace: time.Minute, Lag: time.Minute, RingAge: time.Minute, RingBytes: 256 << 20}
	for _, c := range change {
		c(&o)
	}
	f.Stream = stream.New(o)
	tb.Cleanup(func() { f.Close(nil) })
	return f
}

func (f *feed) open(ctx context.Context, deliver func(*media.Unit), _ func(failure.Hop)) (stream.Session, error) {
	if f.block != nil {
		f.add(1)
		defer f.add(-1)
		select {
		case <-f.block:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliver = deliver
	for _, u := range f.pending {
		deliver(u)
	}
	f.pending = nil
	return &session{epoch: f.epoch, ended: make(chan struct{})}, nil
}

func (f *feed) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opening += n
}

// put sends units, or keeps them for the opening.
func (f *feed) put(units ...*media.Unit) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.deliver == nil {
		f.pending = append(f.pending, units...)
		return
	}
	for _, u := range units {
		f.deliver(u)
	}
}

// keep opens the stream with a reader of the test, and returns when the stream has all that
// was put.
func (f *feed) keep(tb testing.TB) {
	tb.Helper()
	r, err := f.Attach(tb.Context(), stream.Want{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	f.mu.Lock() // open has it while it delivers
	defer f.mu.Unlock()
	if f.deliver == nil {
		tb.Fatal("the stream is not open")
	}
}

// session is one pull of a feed.
type session struct {
	epoch *media.Epoch
	ended chan struct{}
}

func (s *session) Epoch() *media.Epoch { return s.epoch }
func (s *session) Wait() error         { <-s.ended; return nil }
func (s *session) Close()              { close(s.ended) }

// await polls until cond holds.
func await(tb testing.TB, cond func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(time.Minute)
	defer late.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late.C:
			tb.Fatal("not within a minute")
		}
	}
}

func (f *feed) awaitReaders(tb testing.TB, n int) {
	tb.Helper()
	await(tb, func() bool { return f.State().Readers == n })
}

func (f *feed) awaitOpening(tb testing.TB, n int) {
	tb.Helper()
	await(tb, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.opening == n
	})
}

// clipUnits returns n access units of the clip "front" as an epoch of one H264 track sends
// them, 40 ms apart, with a key frame each second.
func clipUnits(tb testing.TB, n int) (*media.Epoch, []*media.Unit) {
	tb.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		tb.Fatal(err)
	}
	e := &media.Epoch{Begin: time.Now()}
	var sps, pps []byte
	for _, nalu := range clip[0] {
		switch h264.NALUType(nalu[0] & 0x1F) {
		case h264.NALUTypeSPS:
			sps = nalu
		case h264.NALUTypePPS:
			pps = nalu
		}
	}
	e.Tracks = []media.Track{{
		Codec: media.H264, ClockRate: 90000, PayloadType: 99, RTPMap: "H264/90000",
		FMTP: map[string]string{"packetization-mode": "1"}, SPS: sps, PPS: pps,
	}}
	encoder := &rtph264.Encoder{PayloadType: 99, PayloadMaxSize: 1400, PacketizationMode: 1}
	if err := encoder.Init(); err != nil {
		tb.Fatal(err)
	}
	var units []*media.Unit
	for i := range n {
		au := clip[i%len(clip)]
		packets, err := encoder.Encode(au)
		if err != nil {
			tb.Fatal(err)
		}
		u := &media.Unit{Epoch: e, PTS: int64(i) * 3600, DTS: int64(i) * 3600, Wall: time.Now(), Key: i%25 == 0, Payload: au}
		for _, p := range packets {
			b, err := p.Marshal()
			if err != nil {
				tb.Fatal(err)
			}
			u.Packets = append(u.Packets, b)
		}
		units = append(units, u)
	}
	return e, units
}

// front returns a feed with one key frame, and a second one to put.
func front(tb testing.TB) (f *feed, first, second *media.Unit) {
	tb.Helper()
	e, units := clipUnits(tb, 26)
	f = newFeed(tb, e)
	f.put(units[0])
	return f, units[0], units[25]
}

// tokens are the users of a test, by token.
var tokens = map[string]rtspout.Principal{"rtt_wall": {Name: "wall"}, "rtt_ops": {Name: "ops"}}

func authorize(l rtspout.Login, camera string) (rtspout.Principal, error) {
	p, ok := tokens[l.Token]
	if l.Verify != nil && l.Name == "ops" {
		p, ok = tokens["rtt_ops"], l.Verify("rtt_ops")
	}
	switch {
	case !ok:
		return p, failure.New(failure.Viewer, reason.AccessLogin, nil)
	case p.Name == "wall" && camera == "edge1/secret":
		return p, failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return p, nil
}
