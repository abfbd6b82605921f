package rtspout_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/format/rtph264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/testkit/rtsptest"
)

// feed is a stream that a test fills. It keeps all units.
type feed struct {
	epoch *media.Epoch
	err   error         // of Attach
	block chan struct{} // Attach waits for it, if not nil

	mu       sync.Mutex
	units    []*media.Unit
	ended    error
	changed  chan struct{} // closed at each change
	attached int
	readers  map[*feedReader]bool
}

func newFeed(e *media.Epoch) *feed {
	return &feed{epoch: e, changed: make(chan struct{}), readers: map[*feedReader]bool{}}
}

func (f *feed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *feed) put(units ...*media.Unit) {
	f.change(func() { f.units = append(f.units, units...) })
}

func (f *feed) end(err error) { f.change(func() { f.ended = err }) }

// await waits until cond holds.
func (f *feed) await(t *testing.T, cond func() bool) {
	t.Helper()
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-t.Context().Done():
			t.Fatal("the test ended")
		}
	}
}

func (f *feed) awaitReaders(t *testing.T, n int) {
	t.Helper()
	f.await(t, func() bool { return len(f.readers) == n })
}

func (f *feed) Attach(ctx context.Context, live bool) (rtspout.Reader, error) {
	if f.block != nil {
		f.change(func() { f.attached++ })
		select {
		case <-f.block:
		case <-ctx.Done():
			f.change(func() { f.attached-- })
			return nil, context.Cause(ctx)
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	r := &feedReader{feed: f}
	f.change(func() { f.readers[r] = true })
	if live {
		r.Restart(true)
	}
	return r, nil
}

// feedReader begins at the first unit.
type feedReader struct {
	feed    *feed
	next    int
	skipped uint64
}

func (r *feedReader) Epoch() *media.Epoch { return r.feed.epoch }

func (r *feedReader) Next(ctx context.Context) (*media.Unit, error) {
	for {
		r.feed.mu.Lock()
		changed, ended := r.feed.changed, r.feed.ended
		var u *media.Unit
		if r.next < len(r.feed.units) {
			u = r.feed.units[r.next]
			r.next++
		}
		r.feed.mu.Unlock()
		if u != nil {
			return u, nil
		}
		if ended != nil {
			return nil, ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *feedReader) Restart(live bool) {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	r.next = len(r.feed.units)
	for i, u := range slices.Backward(r.feed.units) {
		if live && u.Key && u.Track == u.Epoch.MainTrack() {
			r.next = i
			return
		}
	}
}

func (r *feedReader) Skipped() (groups, units uint64) { return r.skipped, 0 }

func (r *feedReader) Close() { r.feed.change(func() { delete(r.feed.readers, r) }) }

// clipUnits returns n access units of the clip "front" as an epoch of one H264 track sends
// them, 40 ms apart.
func clipUnits(t testing.TB, n int) (*media.Epoch, []*media.Unit) {
	t.Helper()
	clip, err := rtsptest.Clip("front")
	if err != nil {
		t.Fatal(err)
	}
	e := &media.Epoch{Begin: time.Now(), Number: 1, Base: []int64{1 << 20}}
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
		t.Fatal(err)
	}
	var units []*media.Unit
	seq := uint32(65500) // the numbers wrap soon
	for i := range n {
		au := clip[i%len(clip)]
		packets, err := encoder.Encode(au)
		if err != nil {
			t.Fatal(err)
		}
		u := &media.Unit{
			Epoch: e, PTS: int64(i) * 3600, DTS: int64(i) * 3600, Wall: time.Now(), Key: i%25 == 0, Payload: au, Seq: seq,
		}
		for _, p := range packets {
			b, err := p.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			u.Packets = append(u.Packets, b)
		}
		seq += uint32(len(packets))
		units = append(units, u)
	}
	return e, units
}

// tokens are the users of a test, by token.
var tokens = map[string]rtspout.Principal{"rtt_wall": {Name: "wall"}, "rtt_ops": {Name: "ops"}}

func authorize(l rtspout.Login, camera string) (rtspout.Principal, error) {
	p, ok := tokens[l.Token]
	switch {
	case !ok:
		return p, failure.New(failure.Viewer, reason.AccessLogin, nil)
	case p.Name == "wall" && camera == "edge1/secret":
		return p, failure.New(failure.Viewer, reason.AccessDenied, nil)
	}
	return p, nil
}
