package rtspout

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/stream"
)

// kept is a unit that a player gets at once, with the PTS that it gets.
type kept struct {
	unit *media.Unit
	pts  int64
}

// The kept pictures that a player decodes at once. If there are more, it waits for the next
// key frame.
const (
	keptAge   = 6 * time.Second
	keptBytes = 8 << 20
)

// prepare reads what the player gets first, without waiting for the answer to PLAY.
func (p *player) prepare(ctx context.Context) ([]kept, error) {
	if p.a.target.live {
		units, err := p.keptUnits()
		if err != nil {
			return nil, err
		}
		if k := squeeze(units); len(k) > 0 {
			p.first = first{unit: k[0].unit, pts: k[0].pts}
			return k, nil
		}
	}
	for {
		u, err := p.reader.Next(ctx)
		if err != nil {
			return nil, err
		}
		if u.Track < len(p.tracks) && p.tracks[u.Track].url != "" {
			p.first = first{unit: u, pts: u.PTS}
			return []kept{{u, u.PTS}}, nil
		}
	}
}

// keptUnits returns the pictures from the newest key frame to now. Sound begins at the
// newest. It returns none if they are too many.
func (p *player) keptUnits() ([]*media.Unit, error) {
	var units []*media.Unit
	size := 0
	for {
		u, err := p.reader.Poll()
		if err != nil {
			return nil, err
		}
		if u == nil {
			return units, nil
		}
		if u.Track != u.Epoch.MainTrack() || u.Track >= len(p.tracks) || p.tracks[u.Track].url == "" {
			continue
		}
		if len(units) > 0 && units[0].Epoch != u.Epoch {
			units, size = nil, 0
		}
		units, size = append(units, u), size+u.Size()
		age := u.DTS - units[0].DTS
		if size > keptBytes || age > int64(keptAge.Seconds())*int64(u.Epoch.Tracks[u.Track].ClockRate) {
			p.reader.Restart(stream.Want{Start: stream.NextKey})
			return nil, nil
		}
	}
}

// squeeze gives the units of one track times 1 ms apart, in the order of presentation. The
// last is the decoding time of the newest unit: later units are not before it, so that the
// player's times never go back.
func squeeze(units []*media.Unit) []kept {
	list := make([]kept, len(units))
	for i, u := range units {
		list[i] = kept{unit: u}
	}
	if len(units) == 0 {
		return list
	}
	newest := units[len(units)-1]
	step := max(int64(newest.Epoch.Tracks[newest.Track].ClockRate)/1000, 1)
	order := make([]int, len(units))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(units[a].PTS, units[b].PTS) })
	for rank, i := range order {
		list[i].pts = newest.DTS - int64(len(units)-1-rank)*step
	}
	return list
}
