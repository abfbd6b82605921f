package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/datafolder"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/listen"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/source"
)

// diagnose asks the hops to a camera's stream, one after the other; main if streamName is
// empty. The error is the failure of a camera that is not known.
func (g *gateway) diagnose(ctx context.Context, camera, streamName string) (diagnose.Result, error) {
	if streamName == "" {
		streamName = desired.MainStream
	}
	return g.diagnoseName(ctx, camera+"/"+streamName)
}

func (g *gateway) diagnoseName(ctx context.Context, name string) (diagnose.Result, error) {
	c, streamName, err := g.fleet.Lookup(name)
	if err != nil {
		return diagnose.Result{}, err
	}
	return diagnose.Run(ctx, g.target(c, streamName)), nil
}

// target says how a camera is diagnosed.
func (g *gateway) target(c fleet.Camera, streamName string) diagnose.Target {
	address, location := c.Source(streamName)
	t := diagnose.Target{Camera: c.Name, Module: c.Identity}
	if address == "" {
		t.Hub = g.hubs.client(c.Hub)
	}
	t.Dial = g.streams.dialer(c, address, func(failure.Hop) {})
	t.Play = func(ctx context.Context, conn net.Conn, deliver func(*media.Unit)) (diagnose.Session, error) {
		session, err := source.Open(ctx, source.Options{
			Dial: func(context.Context) (net.Conn, error) { return conn, nil }, Direct: address != "", URL: location,
			Username: c.Credentials.Username, Password: c.Credentials.Password, Log: g.log,
		}, deliver)
		if err != nil {
			return nil, err
		}
		return session, nil
	}
	return t
}

// ErrRunning is the error of Diagnose while a gateway runs with the configuration.
var ErrRunning = errors.New("a gateway runs with this configuration")

// Diagnose asks the hops to a camera, as a running gateway does, where no gateway runs: it
// listens on the public listeners for the camera's tunnel, and ends them.
func Diagnose(ctx context.Context, c *config.Config, name string) (diagnose.Result, error) {
	g := &gateway{log: zerolog.Nop(), started: c, certificates: map[tlsFiles]certificate{}}
	defer g.end()
	switch err := g.openFolder(ctx); {
	case errors.Is(err, datafolder.ErrInUse):
		return diagnose.Result{}, ErrRunning
	case err != nil:
		return diagnose.Result{}, err
	}
	g.buildSources()
	g.streams.configure(c)
	if err := g.applyFleet(c); err != nil {
		return diagnose.Result{}, err
	}
	if err := g.servePublic(ctx, func(listen.Proxies) http.Handler { return g.opener }); err != nil {
		return diagnose.Result{}, err
	}
	refreshErr := g.fleet.Refresh(ctx)
	result, err := g.diagnoseName(ctx, name)
	if f := failure.Of(err); f != nil && f.Reason == reason.CameraUnknown {
		if refreshErr != nil {
			return result, refreshErr // the camera may be in the hub that has not answered
		}
		return result, unknown(f, g.fleet.Cameras())
	}
	return result, err
}

// unknown names the cameras that there are, beside the one that there is not.
func unknown(f *failure.Failure, cameras []fleet.Camera) *failure.Failure {
	const most = 10
	var names []string
	for _, c := range cameras[:min(len(cameras), most)] {
		names = append(names, c.Name)
	}
	if len(cameras) > most {
		names = append(names, "...")
	}
	named := *f
	named.Message = fmt.Sprintf("%s; cameras: %d %s", f.Reason.Text(), len(cameras), strings.Join(names, ", "))
	return &named
}
