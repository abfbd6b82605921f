package hls

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fmp4"
	"rtsptunnel/internal/gateway/media"
)

// maxSegment bounds a segment in bytes: as much as a camera of 40 Mbit/s sends in 6 s.
const maxSegment = 32 << 20

// maxFirst bounds the number of a muxer's first discontinuity. It differs between muxers, which
// have clocks of their own. It is small: with numbers in the millions, hls.js 1.7.4 takes a whole
// core and does not keep up.
const maxFirst = 1000

// tracks are what a player of a playlist expects: epochs with other ones need a new playback.
// Parameter sets may change.
type tracks struct {
	video, sound   media.Codec
	rate, channels int
}

// pick returns the tracks of an epoch that HLS carries. The error is CODEC_NOT_FOR_OUTPUT.
func pick(e *media.Epoch) (tracks, error) {
	var p tracks
	var list []int
	video, sound := fmp4.Select(e)
	if video >= 0 {
		p.video = e.Tracks[video].Codec
		list = append(list, video)
	}
	if sound >= 0 {
		t := e.Tracks[sound]
		p.sound, p.rate, p.channels = t.Codec, t.ClockRate, t.Channels
		list = append(list, sound)
	}
	_, err := fmp4.New(e, list...) // judges the parameters
	return p, err
}

// generation is a muxer of gohlslib, for one epoch. The goroutine of its muxer writes it.
type generation struct {
	epoch   *media.Epoch
	mux     *gohlslib.Muxer
	video   *gohlslib.Track // nil: none
	sound   *gohlslib.Track
	leading int      // index of the track whose pictures begin segments and parts
	names   []string // of the playlists
	offset  uint64   // between gohlslib's numbers of segments and ours
	number  uint64   // of discontinuities

	filled  atomic.Bool            // it has a segment
	master  atomic.Pointer[[]byte] // the multivariant playlist, from then on; nil without
	waiting sync.WaitGroup
	once    sync.Once // closes mux

	// The muxer's mu guards what follows. Its goroutine alone writes key, last and ahead.

	published bool // its first segment is in the playlists

	key     *media.Unit   // the newest key frame
	last    time.Duration // the newest picture's time
	ahead   time.Duration // the greatest time from decoding to showing a picture
	part    time.Duration // when the newest part began
	segment time.Duration // when the newest segment began
}

// newGeneration returns a generation for an epoch, which waits for its first segment.
func (m *muxer) newGeneration(e *media.Epoch) (*generation, error) {
	g := &generation{epoch: e, number: m.base%maxFirst + m.count, leading: -1}
	var list []*gohlslib.Track
	video, sound := fmp4.Select(e)
	if video >= 0 {
		g.video, g.leading = trackOf(e.Tracks[video]), video
		list = append(list, g.video)
		g.names = append(g.names, "video1_stream.m3u8")
	}
	if sound >= 0 {
		g.sound = trackOf(e.Tracks[sound])
		list = append(list, g.sound)
		g.names = append(g.names, "audio"+strconv.Itoa(len(list))+"_stream.m3u8")
	}
	if g.leading < 0 {
		g.leading = sound
	}
	g.mux = &gohlslib.Muxer{
		Tracks: list, Variant: gohlslib.MuxerVariantLowLatency, SegmentCount: shown, SegmentMaxSize: maxSegment,
		SegmentMinDuration: m.out.o.Segment, PartMinDuration: m.out.o.Part,
		OnEncodeError: func(err error) { m.log.Debug().Err(err).Msg("players of Apple may stop") },
	}
	if slices.Contains(list, nil) {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, nil)
	}
	if err := g.mux.Start(); err != nil {
		return nil, failure.New(failure.Media, reason.CodecNotForOutput, err)
	}
	g.offset = m.nextNumber() - gaps
	g.waiting.Go(func() { // gohlslib tells its first segment only to a request that waits
		a := g.fetch(Index)
		if a.status == http.StatusNotFound { // it was closed
			return
		}
		if a.status == http.StatusOK {
			text := a.body.Bytes()
			g.master.Store(&text)
		}
		g.filled.Store(true)
		m.refresh(g, false)
	})
	return g, nil
}

// nextNumber returns the number of the first segment of the next generation.
func (m *muxer) nextNumber() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.base
	for _, l := range m.lists {
		next = max(next, l.next())
	}
	return next
}

// trackOf returns a track for gohlslib, which wants the clock rate of the codec; nil if it does
// not know the codec.
func trackOf(t media.Track) *gohlslib.Track {
	switch t.Codec {
	case media.H264:
		return &gohlslib.Track{Codec: &codecs.H264{SPS: t.SPS, PPS: t.PPS}, ClockRate: 90000}
	case media.H265:
		return &gohlslib.Track{Codec: &codecs.H265{VPS: t.VPS, SPS: t.SPS, PPS: t.PPS}, ClockRate: 90000}
	case media.AAC:
		var config mpeg4audio.AudioSpecificConfig
		if config.Unmarshal(t.Config) != nil || config.SampleRate <= 0 {
			return nil
		}
		return &gohlslib.Track{Codec: &codecs.MPEG4Audio{Config: config}, ClockRate: config.SampleRate}
	case media.Opus:
		return &gohlslib.Track{Codec: &codecs.Opus{ChannelCount: max(t.Channels, 1)}, ClockRate: 48000}
	case media.PCMA, media.PCMU:
		return &gohlslib.Track{Codec: &codecs.FLAC{StreamInfo: fmp4.StreamInfo(t)}, ClockRate: t.ClockRate}
	case media.MJPEG: // not in MP4
	}
	return nil
}

// write writes a unit. Units of tracks that HLS does not carry are left out.
func (g *generation) write(u *media.Unit) error {
	t := u.Epoch.Tracks[u.Track]
	video, sound := fmp4.Select(u.Epoch)
	at := u.Epoch.Base[u.Track] + u.PTS
	switch {
	case len(u.Payload) == 0:
		return nil
	case u.Track == video:
		return g.writePicture(u.Payload, rescale(at, t.ClockRate, g.video.ClockRate), u.Wall)
	case u.Track == sound:
		return g.writeSound(u, rescale(at, t.ClockRate, g.sound.ClockRate))
	}
	return nil
}

// note keeps what finish and due need of the leading track. The caller holds the lock.
func (g *generation) note(u *media.Unit) {
	if u.Track != g.leading {
		return
	}
	rate := u.Epoch.Tracks[u.Track].ClockRate
	g.last = duration(u.Epoch.Base[u.Track]+u.DTS, rate)
	g.ahead = max(g.ahead, duration(u.PTS-u.DTS, rate))
	if g.key == nil {
		g.part, g.segment = g.last, g.last
	}
	if u.Key {
		g.key = u
	}
}

func (g *generation) writePicture(payload [][]byte, pts int64, wall time.Time) error {
	if slices.ContainsFunc(payload, empty) { // gohlslib looks at the first byte of each
		payload = slices.DeleteFunc(slices.Clone(payload), empty)
	}
	if _, ok := g.video.Codec.(*codecs.H265); ok {
		return g.mux.WriteH265(g.video, wall, pts, payload)
	}
	return g.mux.WriteH264(g.video, wall, pts, payload)
}

func empty(b []byte) bool { return len(b) == 0 }

func (g *generation) writeSound(u *media.Unit, pts int64) error {
	switch g.sound.Codec.(type) {
	case *codecs.MPEG4Audio:
		return g.mux.WriteMPEG4Audio(g.sound, u.Wall, pts, u.Payload)
	case *codecs.Opus:
		if slices.ContainsFunc(u.Payload, empty) {
			return errors.New("a packet of Opus without bytes")
		}
		return g.mux.WriteOpus(g.sound, u.Wall, pts, u.Payload)
	}
	var failed error
	for _, f := range fmp4.FLACFrames(u) {
		failed = errors.Join(failed, g.mux.WriteFLAC(g.sound, u.Wall, pts, f.Frame))
		pts += int64(f.Samples)
	}
	return failed
}

// due reports whether a unit may have begun a part or a segment. gohlslib does not tell. The
// caller holds the lock.
func (g *generation) due(u *media.Unit, part time.Duration) bool {
	return u.Track == g.leading && (!g.published || u.Key || g.last-g.part >= part*3/4)
}

// rotated notes that the playlists have a new part, which the newest unit has begun if exact is
// true. The caller holds the lock.
func (g *generation) rotated(exact bool) {
	g.published = true
	if exact {
		g.part = g.last
	}
}

// finish completes the newest segment, as the next key frame would: gohlslib has no other way.
// Without that, players would miss what the segment has, and its number would come twice.
func (g *generation) finish(segment time.Duration) {
	if g.video == nil || g.key == nil || !g.filled.Load() {
		return
	}
	const picture = 40 * time.Millisecond // how long the last one is shown
	at := max(g.last+picture, g.segment+segment) + g.ahead
	_ = g.writePicture(g.key.Payload, ticks(at, g.video.ClockRate), g.key.Wall) // without it a segment is lost
}

// close ends a generation. Files can still be fetched. The caller holds no lock.
func (g *generation) close() {
	g.once.Do(g.mux.Close)
	g.waiting.Wait()
}

// answer is what gohlslib answers.
type answer struct {
	status int // 0: it does not know the file
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// fetch gets a file or playlist of gohlslib, without a query. The index waits for the first
// segment, and so does the part that is next to come.
func (g *generation) fetch(file string) *answer {
	a := &answer{header: http.Header{}}
	g.mux.Handle(a, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/" + file}})
	return a
}

// rescale converts a time from one clock rate to another.
func rescale(t int64, from, to int) int64 {
	if from == to || from <= 0 {
		return t
	}
	f, n := int64(from), int64(to)
	return t/f*n + t%f*n/f
}

// ticks converts a time to ticks of a clock.
func ticks(d time.Duration, rate int) int64 { return rescale(int64(d), int(time.Second), rate) }

// duration converts ticks of a clock to a time.
func duration(t int64, rate int) time.Duration {
	return time.Duration(rescale(t, rate, int(time.Second)))
}
