package gateway

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hls"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/mse"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/rtspws"
	"rtsptunnel/internal/gateway/still"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// The outputs, as the list of viewers and the metrics have them.
const (
	outputRTSP   = "rtsp"
	outputRTSPWS = "rtsp-ws"
)

// outputNames are the outputs by their segment of the path.
var outputNames = map[string]string{live.MSE: mse.Name, live.HLS: hls.Name, live.Still: still.Name, live.RTSP: outputRTSPWS}

// shownOutputs are the outputs over HTTP as the API shows them, the preferred one first.
var shownOutputs = []string{api.OutputMSE, api.OutputHLS, api.OutputStill, api.OutputRTSP}

// buildOutputs makes the outputs over RTSP and HTTP.
func (g *gateway) buildOutputs() (err error) {
	g.watching = viewer.New(viewer.Limits{})
	g.watching.OnFirstUnit(g.metrics.firstUnit)
	if g.rtsp, err = rtspout.New(g.rtspOptions()); err != nil {
		return err
	}
	g.hls = hls.New(hls.Options{
		Find: g.find, Viewers: g.watching, Log: g.log,
		Part: time.Duration(g.started.Live.HLS.Part), Segment: time.Duration(g.started.Live.HLS.Segment),
	})
	g.live = live.New(live.Options{
		Outputs: map[string]live.Output{
			live.HLS:   g.hls,
			live.MSE:   mse.New(mse.Options{Find: g.find, Viewers: g.watching, Log: g.log}),
			live.Still: still.New(still.Options{Find: g.find, Known: g.streams.known, Viewers: g.watching, Store: g.streams.stills}),
			live.RTSP:  rtspws.New(rtspws.Options{RTSP: g.rtsp, Viewers: g.watching, Current: g.access.Current}),
		},
		Login: g.login, Playback: g.playback, Resolve: g.resolve, Video: g.resolveVideo, Log: g.log,
		Denied: func(output string, f *failure.Failure) { g.metrics.denied(outputNames[output], f) },
	})
	return nil
}

func (g *gateway) find(_ context.Context, name string) (*stream.Stream, error) {
	return g.streams.find(name)
}

// acquire takes a place of a reader over RTSP. It is not bound per address: a recorder pulls
// many cameras from one.
func (g *gateway) acquire(camera string) (release func(), _ error) {
	return g.watching.Reserve(camera, netip.Addr{})
}

// endViewers tells all viewers that the gateway shuts down, and waits for them until ctx is
// done.
func (g *gateway) endViewers(ctx context.Context) {
	var ending sync.WaitGroup
	for _, end := range []func(context.Context){g.rtsp.Shutdown, g.watching.Shutdown, g.hls.Shutdown} {
		ending.Go(func() { end(ctx) })
	}
	ending.Wait()
	g.live.Shutdown(ctx)
}
