package measure

import (
	"context"
	"fmt"
	"time"

	"rtsptunnel/bench/cameras"
	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/players"
	"rtsptunnel/bench/relays"
	"rtsptunnel/internal/testkit/rtsptest"
)

// This file measures servers of video: the gateway, and gortsplib's fan-out. The rules are:
// cameras, server and players are one process each; every player has a picture before the
// window begins; processor time and memory are those of the server's process alone.

const (
	firstWithin  = 60 * time.Second // for each player's first picture
	manyOpening  = 64               // players that start at once where each has its own camera
	memorySettle = 2 * time.Second  // after the start of an idle gateway
)

// served is a server that is to be measured.
type served struct {
	lab  *relays.Lab
	name string
}

// gatewayPlan says how much is measured of servers.
type gatewayPlan struct {
	warm, window time.Duration
	readers      []int // players of one camera
	opens        int   // first pictures
	idle         int   // configured cameras
	low, hd      int   // streams of 64 kbit/s and of 4 Mbit/s
}

// fullGateway is the plan whose figures the bar is about.
func fullGateway(window time.Duration) gatewayPlan {
	return gatewayPlan{warm: time.Second, window: 4 * window, readers: []int{20, 100}, opens: 20, idle: 10000, low: 1000, hd: 200}
}

// smokeGateway tests that everything runs.
func smokeGateway() gatewayPlan {
	return gatewayPlan{warm: 10 * time.Millisecond, window: 100 * time.Millisecond, readers: []int{2}, opens: 1, idle: 20, low: 3, hd: 2}
}

// phases returns the phases of servers in their order.
func (p gatewayPlan) phases() []phase {
	cpu := figures.Metric{Key: figures.CPUPercent, Title: "CPU % of a core", Digits: 1}
	rss := figures.Metric{Key: figures.RSS, Title: "RSS MiB", Digits: 1}
	late := []figures.Metric{{Key: "delay_p50_ms", Title: "delay p50 ms", Digits: 2}, {Key: figures.DelayP99, Title: "p99 ms", Digits: 2}}
	carried := []figures.Metric{{Key: figures.Missing, Title: "pictures missing"}, {Key: "mbit_per_s", Title: "Mbit/s", Digits: 0}}
	first := []figures.Metric{{Key: figures.P50Millis, Title: "p50 ms", Digits: 1}, {Key: "max_ms", Title: "max ms", Digits: 1}}

	all := []phase{}
	add := func(name, text, base string, serve func(context.Context, served) (map[string]float64, error), metrics ...figures.Metric) {
		row := figures.Phase{Name: "gateway-" + name, Text: text, Metrics: metrics, Base: base, Rows: []string{relays.Gateway}}
		if base != "" {
			row.Rows = append(row.Rows, base)
		}
		all = append(all, phase{Phase: row, serve: serve})
	}
	for _, n := range p.readers {
		add(fmt.Sprintf("readers-%d", n), fmt.Sprintf("%d RTSP/TCP players of one camera of 4 Mbit/s", n), relays.GORTSPLib,
			p.oneCamera(n), append(append([]figures.Metric{cpu, rss}, late...), carried...)...)
	}
	add("first-open", "first picture after DESCRIBE, stream open, a key frame every 4 s, ?start=live", "", p.firstOpen, first...)
	add("first-closed", "first picture after DESCRIBE, stream closed: hub, module and camera on this machine", "", p.firstClosed, first...)
	add("idle", fmt.Sprintf("%d configured cameras without a player", p.idle), "", p.idleMemory, rss)
	add(fmt.Sprintf("streams-%d-low", p.low), fmt.Sprintf("%d cameras of 64 kbit/s, one player each", p.low), "",
		p.manyCameras(cameras.Low, p.low), append([]figures.Metric{cpu, rss}, carried...)...)
	add(fmt.Sprintf("streams-%d-hd", p.hd), fmt.Sprintf("%d cameras of 4 Mbit/s, one player each", p.hd), "",
		p.manyCameras(cameras.HD, p.hd), append([]figures.Metric{cpu, rss}, carried...)...)
	return all
}

// directCameras returns count cameras of a kind.
func directCameras(address, kind string, count int) (sources []relays.Source, paths []string) {
	for i := range count {
		name := fmt.Sprintf("bench/%s%d", kind, i)
		sources = append(sources, relays.Source{Name: name, URL: fmt.Sprintf("rtsp://%s/%s/%d", address, kind, i)})
		paths = append(paths, "/"+name)
	}
	return sources, paths
}

// oneCamera measures players of one camera.
func (p gatewayPlan) oneCamera(count int) func(context.Context, served) (map[string]float64, error) {
	return func(ctx context.Context, s served) (map[string]float64, error) {
		return p.withCameras(ctx, s, cameras.HD, 1, func(server *relays.Server, paths []string) (map[string]float64, error) {
			same := make([]string, count)
			for i := range same {
				same[i] = paths[0]
			}
			return p.watch(ctx, s, server, same, count)
		})
	}
}

// manyCameras measures players that have a camera each.
func (p gatewayPlan) manyCameras(kind string, count int) func(context.Context, served) (map[string]float64, error) {
	return func(ctx context.Context, s served) (map[string]float64, error) {
		if limit, err := relays.Descriptors(); err != nil || 2*count+reserve > limit {
			return nil, fmt.Errorf("%d streams would need %d %w, ulimit -n allows %d", count, 2*count+reserve, errDescriptors, limit)
		}
		return p.withCameras(ctx, s, kind, count, func(server *relays.Server, paths []string) (map[string]float64, error) {
			return p.watch(ctx, s, server, paths, manyOpening)
		})
	}
}

// withCameras calls use with a server of cameras.
func (p gatewayPlan) withCameras(ctx context.Context, s served, kind string, count int, use func(*relays.Server, []string) (map[string]float64, error)) (map[string]float64, error) {
	address, end, err := s.lab.Cameras()
	if err != nil {
		return nil, err
	}
	defer end()
	sources, paths := directCameras(address, kind, count)
	server, err := s.lab.Serve(ctx, s.name, relays.Sources{Direct: sources})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	return use(server, paths)
}

// watch starts a player for each path and measures one window.
func (p gatewayPlan) watch(ctx context.Context, s served, server *relays.Server, paths []string, opening int) (map[string]float64, error) {
	crowd, err := s.lab.Crowd(server, paths, opening, firstWithin)
	if err != nil {
		return nil, err
	}
	defer crowd.Close()
	if err := wait(ctx, p.warm); err != nil {
		return nil, err
	}
	before, err := server.CPU()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := crowd.Begin(); err != nil {
		return nil, err
	}
	if err := wait(ctx, p.window); err != nil {
		return nil, err
	}
	counted, err := crowd.End()
	if err != nil {
		return nil, err
	}
	took := time.Since(begin)
	after, err := server.CPU()
	if err != nil {
		return nil, err
	}
	rss, err := server.RSS()
	if err != nil {
		return nil, err
	}
	return usage{cpu: after - before, wall: took}.served(counted, rss, len(paths))
}

// served returns the figures of a window. It is an error if a stream has ended or brings no
// picture: the server does not carry it.
func (u usage) served(c players.Counted, rss int64, count int) (map[string]float64, error) {
	values := map[string]float64{
		figures.CPUPercent: 100 * u.cpu.Seconds() / u.wall.Seconds(), figures.RSS: float64(rss) / (1 << 20),
		"delay_p50_ms": c.P50, figures.DelayP99: c.P99, figures.Missing: float64(c.Missing),
		"mbit_per_s": float64(c.Bytes) * 8 / 1e6 / u.wall.Seconds(),
	}
	if c.Playing < count {
		return values, fmt.Errorf("%d of %d streams have ended", count-c.Playing, count)
	}
	if c.Least == 0 && u.wall > 2*time.Second {
		return values, fmt.Errorf("a stream of %d brings no picture", count)
	}
	return values, nil
}

// firstOpen measures the first picture of a stream that another player watches.
func (p gatewayPlan) firstOpen(ctx context.Context, s served) (map[string]float64, error) {
	return p.withCameras(ctx, s, cameras.Long, 1, func(server *relays.Server, paths []string) (map[string]float64, error) {
		crowd, err := s.lab.Crowd(server, paths, 1, firstWithin)
		if err != nil {
			return nil, err
		}
		defer crowd.Close()
		var took []time.Duration
		for n := range p.opens {
			// The players come at different times of a group of 4 s.
			if err := wait(ctx, p.warm/3+time.Duration(n%7)*p.warm/17); err != nil {
				return nil, err
			}
			t, err := first(ctx, server, paths[0]+"?start=live")
			if err != nil {
				return nil, err
			}
			took = append(took, t)
		}
		return firsts(took), nil
	})
}

// firstClosed measures the first picture of a camera behind the module without another player.
// The camera begins with a key frame.
func (p gatewayPlan) firstClosed(ctx context.Context, s served) (map[string]float64, error) {
	camera, err := rtsptest.Start(rtsptest.Options{})
	if err != nil {
		return nil, err
	}
	defer camera.Close()
	server, err := s.lab.Serve(ctx, s.name, relays.Sources{Tunneled: relays.Tunneled{Address: camera.Addr(), Path: "/front"}})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	var took []time.Duration
	for n := range p.opens + 1 {
		t, err := first(ctx, server, relays.TunneledPath)
		if err != nil {
			return nil, err
		}
		if n > 0 { // the first one of a gateway does not count
			took = append(took, t)
		}
		for camera.Connections() > 0 { // until the gateway has closed the stream
			if err := wait(ctx, 10*time.Millisecond); err != nil {
				return nil, fmt.Errorf("the gateway does not close the stream: %w", err)
			}
		}
	}
	return firsts(took), nil
}

// first plays until there is a picture, which must be a key frame.
func first(ctx context.Context, server *relays.Server, path string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, firstWithin)
	defer cancel()
	begin := time.Now()
	player, err := server.Play(ctx, path)
	if err != nil {
		return 0, err
	}
	defer context.AfterFunc(ctx, player.Close)()
	defer player.Close()
	picture, err := player.Next()
	if err == nil && !picture.Key {
		err = fmt.Errorf("the first picture of %s is no key frame", path)
	}
	return picture.Arrived.Sub(begin), err
}

func firsts(took []time.Duration) map[string]float64 {
	return map[string]float64{figures.P50Millis: millis(quantile(took, 0.5)), "max_ms": millis(quantile(took, 1))}
}

// idleMemory reads the memory of a gateway with many cameras.
func (p gatewayPlan) idleMemory(ctx context.Context, s served) (map[string]float64, error) {
	sources, _ := directCameras("127.0.0.1:554", cameras.HD, p.idle)
	server, err := s.lab.Serve(ctx, s.name, relays.Sources{Direct: sources})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if err := wait(ctx, min(p.window, memorySettle)); err != nil {
		return nil, err
	}
	rss, err := server.RSS()
	return map[string]float64{figures.RSS: float64(rss) / (1 << 20)}, err
}
