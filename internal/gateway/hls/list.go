package hls

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gohlslib/v2/pkg/playlist"
)

const (
	shown = 7 // segments in a playlist
	gaps  = 7 // the number of gohlslib's first segment: before it come gaps, which iOS requires
)

// list is one media playlist, over all generations. The muxer's mu guards it.
type list struct {
	segments []segment // the newest ones
	parts    int       // of the segment that is not complete
	hint     string    // the file of the next part
	target   int       // seconds
	partLen  time.Duration
	text     []byte // with mark behind each URI
}

// segment is one complete segment.
type segment struct {
	number uint64
	of     *generation
	init   string // the file that precedes it
	*playlist.MediaSegment
}

// mark stands in a text where the query of a URI comes.
const mark = "\x00"

// next returns the number of the segment that is not complete.
func (l *list) next() uint64 {
	if len(l.segments) == 0 {
		return 0
	}
	return l.segments[len(l.segments)-1].number + 1
}

// update takes the playlist of a generation. It returns whether there is a new part.
func (l *list) update(g *generation, text []byte) (bool, error) {
	var p playlist.Media
	if err := p.Unmarshal(text); err != nil {
		return false, fmt.Errorf("parse gohlslib's playlist: %w", err)
	}
	if p.PreloadHint == nil || p.Map == nil || p.PartInf == nil || p.PreloadHint.URI == l.hint {
		return false, nil
	}
	before := l.next()
	for i, s := range p.Segments {
		number := g.offset + uint64(p.MediaSequence+i) //nolint:gosec // G115: not negative
		switch {
		case s.Gap:
		case number >= l.next():
			l.segments = append(l.segments, segment{number, g, p.Map.URI, s})
		default: // it has fewer parts and times than before
			if at := slices.IndexFunc(l.segments, func(have segment) bool { return have.number == number }); at >= 0 {
				l.segments[at].Parts = s.Parts
			}
		}
		l.target = max(l.target, int(math.Round(s.Duration.Seconds())), 1)
	}
	if l.next() > before {
		g.segment = g.last
	}
	l.segments = l.segments[max(0, len(l.segments)-shown):]
	for i := range l.segments[:max(0, len(l.segments)-2)] {
		l.segments[i].Parts = nil
	}
	l.parts, l.hint, l.partLen = len(p.Parts), p.PreloadHint.URI, p.PartInf.PartTarget
	for _, s := range l.segments { // of another generation, too
		for _, part := range s.Parts {
			l.partLen = max(l.partLen, part.Duration.Round(time.Millisecond))
		}
	}
	return true, l.compose(p.Parts)
}

// compose writes the text of the playlist.
func (l *list) compose(parts []*playlist.MediaPart) error {
	first := l.segments[0]
	holdBack := l.partLen * 5 / 2
	number := int(first.of.number) //nolint:gosec // G115: small
	p := playlist.Media{
		Version: 10, IndependentSegments: true, TargetDuration: l.target, DiscontinuitySequence: &number,
		ServerControl: &playlist.MediaServerControl{CanBlockReload: true, PartHoldBack: &holdBack},
		PartInf:       &playlist.MediaPartInf{PartTarget: l.partLen},
		Map:           &playlist.MediaMap{URI: first.init + mark},
		Parts:         marked(parts), PreloadHint: &playlist.MediaPreloadHint{URI: l.hint + mark},
	}
	missing := uint64(max(0, shown-len(l.segments)))
	for range missing {
		p.Segments = append(p.Segments, &playlist.MediaSegment{Gap: true, Duration: first.Duration, URI: "gap.mp4"})
	}
	p.MediaSequence = int(first.number - missing) //nolint:gosec // G115: numbers begin far above
	var maps []string
	for i, s := range l.segments {
		c := *s.MediaSegment
		c.URI, c.Parts = c.URI+mark, marked(c.Parts)
		if i > 0 && s.of != l.segments[i-1].of {
			c.Discontinuity = true
			maps = append(maps, s.init)
		}
		p.Segments = append(p.Segments, &c)
	}
	text, err := p.Marshal()
	if err != nil {
		return fmt.Errorf("write the playlist: %w", err)
	}
	l.text = withMaps(text, maps)
	return nil
}

const discontinuity = "#EXT-X-DISCONTINUITY\n"

// withMaps puts the init segment of each generation behind its discontinuity: gohlslib writes
// one for the whole playlist.
func withMaps(text []byte, maps []string) []byte {
	var out bytes.Buffer
	for _, file := range maps {
		before, after, _ := strings.Cut(string(text), discontinuity)
		out.WriteString(before + discontinuity + `#EXT-X-MAP:URI="` + file + mark + "\"\n")
		text = []byte(after)
	}
	out.Write(text)
	return out.Bytes()
}

func marked(parts []*playlist.MediaPart) []*playlist.MediaPart {
	list := make([]*playlist.MediaPart, len(parts))
	for i, part := range parts {
		c := *part
		c.URI += mark
		list[i] = &c
	}
	return list
}

// withQuery returns the text with a query behind each URI.
func withQuery(text []byte, query string) []byte {
	if query != "" {
		query = "?" + query
	}
	return bytes.ReplaceAll(text, []byte(mark), []byte(query))
}

// maxAhead is how many parts a player may wait for in advance (rfc8216bis, 6.2.5.2).
const maxAhead = 3

// want is what a player waits for. It is a blocking request if segment is set.
type want struct {
	blocking bool
	number   uint64 // of a segment
	whole    bool   // the segment, else the part of it
	part     uint64
}

// has reports whether the playlist has what a player waits for, and whether it will.
func (l *list) has(w want) (has, will bool) {
	next := l.next()
	switch {
	case !w.blocking || w.number+1 < next:
		return true, true
	case w.number > next+1:
		return false, false
	case w.number > next:
		return false, w.whole || w.part <= maxAhead
	case w.number == next:
		return !w.whole && w.part < uint64(l.parts), w.whole || w.part <= uint64(l.parts)+maxAhead //nolint:gosec // G115: not negative
	}
	if w.whole || w.part < uint64(len(l.segments[len(l.segments)-1].Parts)) {
		return true, true
	}
	return l.parts > 0, true // the first part of the next one
}
