package rtspout

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// player writes a stream's units to one connection, from PLAY to PAUSE, TEARDOWN or the end
// of either.
type player struct {
	server  *Server
	conn    *conn
	a       *attachment
	reader  *stream.Reader
	id      string
	agent   string
	begin   time.Time // of PLAY
	since   time.Time // of the DESCRIBE
	log     zerolog.Logger
	tracks  []track
	scratch []byte // for packets that are not shared
	epoch   *media.Epoch

	ctx    context.Context //nolint:containedctx // the life of the goroutine
	cancel context.CancelCauseFunc
	done   chan struct{}

	prepared chan struct{} // closed when first is set
	first    first
	released chan struct{} // closed when the answer to PLAY is written
	once     sync.Once

	bytes, skipped atomic.Uint64
	total          *total // of the output
}

// track is what a player has got of a track.
type track struct {
	setup
	ssrc     uint32
	name     string
	started  bool
	next     uint32    // the unit's Seq that continues the numbers that were sent
	offset   uint16    // between the numbers that are sent and the shared ones
	reported time.Time // the last sender report
	packets  uint32
	octets   uint32
}

// first is the first unit that the player gets, for RTP-Info.
type first struct {
	unit *media.Unit // nil if it is not there yet
	pts  int64       // as the player gets it
}

// firstWait is how long the answer to PLAY waits for the first unit. Kept units are there at
// once; without one, the answer has no times and numbers.
const firstWait = 20 * time.Millisecond

func newPlayer(s *Server, c *conn, sess *session, r *stream.Reader, since time.Time) *player {
	p := &player{
		server: s, conn: c, a: sess.a, reader: r, id: strings.ToLower(rand.Text()[:10]), agent: c.agent,
		begin: time.Now(), since: since, total: s.totals.of(c.output()),
		done: make(chan struct{}), prepared: make(chan struct{}), released: make(chan struct{}),
	}
	name := sourceName(sess.a.ssrc[0])
	for i, set := range sess.tracks {
		p.tracks = append(p.tracks, track{setup: set, ssrc: sess.a.ssrc[i], name: name})
	}
	p.log = s.log.With().Str(fieldViewer, p.id).Str(fieldCamera, p.a.camera).Str(fieldStream, p.a.stream).
		Str(fieldUser, p.a.principal.Name).Str(fieldRemote, c.remote.String()).Logger()
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	return p
}

// release lets the player write.
func (p *player) release() { p.once.Do(func() { close(p.released) }) }

// end makes the player stop with a cause. It does not wait. A player that has paused or
// ended its session goes on to use the connection, so a write that runs is completed.
func (p *player) end(cause error) {
	p.cancel(cause)
	if !errors.Is(cause, errPaused) && !errors.Is(cause, errTeardown) {
		p.conn.hurry(time.Second)
	}
}

// run is the player's goroutine.
func (p *player) run() {
	defer close(p.done)
	ctx := p.ctx
	if at := p.a.principal.Expires; !at.IsZero() {
		expired := failure.New(failure.Viewer, reason.AccessExpired, nil)
		var stop context.CancelFunc
		ctx, stop = context.WithDeadlineCause(ctx, at, expired)
		defer stop()
		defer context.AfterFunc(ctx, func() { p.conn.hurry(time.Second) })()
	}
	p.log.Info().Str(fieldAgent, short(p.agent)).Msg("viewer started")
	err := p.play(ctx)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	p.finish(err)
}

// play writes units until an error.
func (p *player) play(ctx context.Context) error {
	kept, err := p.prepare(ctx)
	close(p.prepared)
	if err != nil {
		return err
	}
	select {
	case <-p.released:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for _, k := range kept {
		if err := p.send(k.unit, k.pts); err != nil {
			return err
		}
	}
	for {
		u, err := p.reader.Next(ctx)
		if err != nil {
			return err
		}
		if err := p.send(u, u.PTS); err != nil {
			return err
		}
	}
}

// enter prepares for the units of an epoch.
func (p *player) enter(e *media.Epoch) error {
	if p.epoch == e {
		return nil
	}
	if !sameTracks(p.a.epoch, e) {
		return failure.New(failure.Media, reason.TracksChanged, nil)
	}
	p.epoch = e
	for i := range p.tracks {
		p.tracks[i].reported = time.Time{} // the clocks may have changed
	}
	return nil
}

// send writes a unit with a PTS that may differ from its own.
func (p *player) send(u *media.Unit, pts int64) error {
	if err := p.enter(u.Epoch); err != nil {
		return err
	}
	if u.Track >= len(p.tracks) || p.tracks[u.Track].url == "" {
		return nil
	}
	t := &p.tracks[u.Track]
	unit := interleaved(u, t.ssrc)
	if len(unit) == 0 {
		return nil
	}
	if t.started && u.Seq != t.next { // groups were skipped
		t.offset += uint16(t.next - u.Seq) //nolint:gosec // sequence numbers wrap
		p.countSkipped()
	}
	t.started, t.next = true, u.Seq+uint32(len(u.Packets))                                                                    //nolint:gosec // a number that wraps
	if s := (shift{channel: t.channel, seq: t.offset, time: uint32(pts - u.PTS)}); s != (shift{channel: byte(2 * u.Track)}) { //nolint:gosec // times wrap
		p.scratch = s.apply(p.scratch[:0], unit)
		unit = p.scratch
	}
	now := time.Now()
	var report []byte
	if now.Sub(t.reported) >= p.server.times.report {
		t.reported = now
		report = t.senderReport(u.Epoch, u.Track, pts)
	}
	if err := p.conn.writeMedia(now, report, unit); err != nil {
		return err
	}
	p.wrote(t, len(u.Packets), len(unit), len(report))
	return nil
}

// wrote counts what send has written, in packets and bytes.
func (p *player) wrote(t *track, packets, unit, report int) {
	t.packets += uint32(packets)                                     //nolint:gosec // a counter that wraps
	t.octets += uint32(max(unit-packets*(frameHeader+rtpHeader), 0)) //nolint:gosec // the same
	n := uint64(unit + report)                                       //nolint:gosec // lengths
	if p.bytes.Add(n) == n && p.server.o.FirstUnit != nil {
		p.server.o.FirstUnit(p.conn.output(), time.Since(p.since))
	}
	p.total.bytes.Add(n)
}

func (p *player) countSkipped() {
	groups, _ := p.reader.Skipped()
	if before := p.skipped.Swap(groups); groups > before {
		p.total.skipped.Add(groups - before)
	}
}

// finish writes the log line of the end, and closes the connection unless the player goes
// on to use it.
func (p *player) finish(err error) {
	defer p.cancel(nil)
	keep := errors.Is(err, errPaused) || errors.Is(err, errTeardown)
	if errors.Is(err, errPaused) {
		p.a.hold(p.reader)
	} else {
		p.a.closeReader(p.reader)
	}
	f := p.failureOf(err)
	if !keep {
		p.goodbye(err)
		p.conn.endedBy(f)
		_ = p.conn.Close()
	}
	p.server.players.remove(p)
	p.log.Info().Func(func(line *zerolog.Event) {
		if f == nil {
			line.Str(fieldEnd, endText(err))
			return
		}
		line.Str(fieldHop, string(f.Hop)).Str(fieldReason, string(f.Reason))
		if f.Err != nil {
			line.AnErr(zerolog.ErrorFieldName, f.Err)
		}
	}).Uint64(fieldBytes, p.bytes.Load()).Uint64(fieldSkipped, p.skipped.Load()).
		Dur(fieldDuration, time.Since(p.begin)).Msg("viewer ended")
}

// failureOf returns the failure that ended the player; nil if the player itself ended.
func (p *player) failureOf(err error) *failure.Failure {
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		return f
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || p.conn.dead.Load() {
		p.total.stalled.Add(1)
		return failure.New(failure.Viewer, reason.ViewerStalled, nil)
	}
	return nil
}

func endText(err error) string {
	switch {
	case errors.Is(err, errTeardown):
		return "teardown"
	case errors.Is(err, errPaused):
		return "pause"
	default:
		return "connection"
	}
}

// goodbye ends all tracks, if err is not the connection's: players that know RTCP see an
// end instead of a lost connection.
func (p *player) goodbye(err error) {
	if _, ok := errors.AsType[*failure.Failure](err); !ok {
		return
	}
	select {
	case <-p.released:
	default:
		return
	}
	var all []byte
	for i := range p.tracks {
		if p.tracks[i].url != "" {
			all = append(all, p.tracks[i].bye()...)
		}
	}
	_ = p.conn.writeMedia(time.Now(), nil, all)
}

// rtpInfo returns the header of the answer to PLAY (RFC 2326, 12.33). Numbers are those of
// the first unit's track alone: the others' are not known yet. All times are those of the
// first unit's instant.
func (p *player) rtpInfo() base.HeaderValue {
	t := time.NewTimer(firstWait)
	defer t.Stop()
	select {
	case <-p.prepared:
	case <-t.C:
	}
	f := first{}
	select {
	case <-p.prepared:
		f = p.first
	default:
	}
	var entries []string
	for i, track := range p.tracks {
		if track.url == "" {
			continue
		}
		entry := "url=" + strings.NewReplacer(",", "%2C", ";", "%3B").Replace(track.url)
		if u := f.unit; u != nil {
			if i == u.Track {
				entry += ";seq=" + strconv.Itoa(int(uint16(u.Seq))) //nolint:gosec // sequence numbers wrap
			}
			pts := rescale(f.pts, u.Epoch.Tracks[u.Track].ClockRate, u.Epoch.Tracks[i].ClockRate)
			entry += ";rtptime=" + strconv.FormatUint(uint64(rtpTime(u.Epoch, i, pts)), 10)
		}
		entries = append(entries, entry)
	}
	return base.HeaderValue{strings.Join(entries, ",")}
}

// rescale converts a time from one clock rate to another.
func rescale(t int64, from, to int) int64 {
	if from <= 0 {
		return 0
	}
	f, n := int64(from), int64(to)
	return t/f*n + t%f*n/f
}

// short bounds the name that a player gives to itself.
func short(agent string) string {
	if len(agent) > 64 {
		return agent[:64]
	}
	return agent
}
