package gateway

import (
	"context"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/stream"
)

// newAPI joins the API with access, the fleet, the streams and the viewers.
func (g *gateway) newAPI() *api.API {
	return api.New(api.Options{
		Access: g.access, Browser: g.browser, Log: g.log, Ended: g.reviewViewers,
		Watch:  func(ctx context.Context, changed func(string)) { g.changes.watch(ctx, changed, g.streams.snapshot) },
		Denied: func(f *failure.Failure) { g.metrics.denied(kindAPI, f) },
		Cameras: func() []api.Camera {
			cameras := g.fleet.Cameras()
			shown := make([]api.Camera, len(cameras))
			for i := range cameras {
				shown[i] = shownCamera(cameras[i])
			}
			return shown
		},
		Lookup: g.lookupShown,
		State: func(camera, streamName string) stream.State {
			return g.streams.state(camera + "/" + streamName)
		},
		LastPicture: func(camera, streamName string) time.Time { return g.streams.lastPicture(camera + "/" + streamName) },
		Viewers:     g.viewers,
		Disconnect: func(id string) bool {
			cause := failure.New(failure.Viewer, reason.ViewerClosed, nil)
			return g.rtsp.Disconnect(id, cause) || g.watching.Disconnect(id, cause)
		},
		Close: func(camera, streamName string) {
			g.streams.close(camera, streamName, failure.New(failure.Gateway, reason.StreamClosed, nil))
		},
		Diagnose: func(ctx context.Context, camera, streamName string) (any, error) {
			return g.diagnose(ctx, camera, streamName)
		},
		Links: links(g.started), Outputs: shownOutputs,
	})
}

// lookupShown is fleet.Lookup for the API, which shows a camera with the failure that its
// stream has.
func (g *gateway) lookupShown(asked string) (api.Camera, string, error) {
	c, streamName, err := g.fleet.Lookup(asked)
	if c.Name == "" {
		return api.Camera{}, "", err
	}
	if f := failure.Of(err); f != nil && f.Reason == reason.CameraUnknown { // a stream that the camera does not have
		return api.Camera{}, "", err
	}
	if !strings.HasSuffix(asked, "/"+streamName) {
		streamName = ""
	}
	return shownCamera(c), streamName, nil
}

// shownCamera returns a camera as the API shows it.
func shownCamera(c fleet.Camera) api.Camera {
	shown := api.Camera{Name: c.Name, Title: c.Title, Video: c.Video, GUID: c.GUID, Hub: c.Hub, Failure: c.Trouble()}
	names := slices.Sorted(maps.Keys(c.Streams))
	if _, there := c.Streams[desired.MainStream]; !there {
		names = append([]string{desired.MainStream}, names...) // to say why it cannot be opened
	}
	for _, name := range names {
		info := c.Streams[name]
		shown.Streams = append(shown.Streams, api.Stream{
			Name: name, Default: name == desired.MainStream, Codec: info.Codec, Width: info.Width, Height: info.Height, BitsPerSecond: info.BitsPerSecond,
			Failure: failure.Of(c.Check(name)),
		})
	}
	return shown
}

// viewers returns the viewers of all outputs.
func (g *gateway) viewers() []api.Viewer {
	var list []api.Viewer
	for _, v := range g.rtsp.Viewers() {
		list = append(list, api.Viewer(v))
	}
	for _, v := range g.watching.List() {
		list = append(list, api.Viewer{
			ID: v.ID, Camera: v.Camera, Stream: v.Stream, Principal: v.Principal.Name, RemoteAddr: v.RemoteAddr, Output: v.Output,
			Since: v.Since, Bytes: v.Bytes, Skipped: v.Skipped,
		})
	}
	return list
}

// links returns the base URLs of the RTSP listeners. Their host is the one of the public URL,
// unless the listener is for this machine alone.
func links(c *config.Config) map[string]string {
	host := ""
	if u, err := url.Parse(c.PublicURL); err == nil {
		host = u.Hostname()
	}
	found := map[string]string{}
	for scheme, address := range map[string]string{"rtsp": c.Listen.RTSP.Address, "rtsps": c.Listen.RTSPS.Address} {
		bound, port, err := net.SplitHostPort(address)
		if err != nil || port == "0" {
			continue
		}
		if bound == "localhost" || net.ParseIP(bound).IsLoopback() || host == "" {
			found[scheme] = scheme + "://" + net.JoinHostPort(bound, port)
			continue
		}
		found[scheme] = scheme + "://" + net.JoinHostPort(host, port)
	}
	return found
}
