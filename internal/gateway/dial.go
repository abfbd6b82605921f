package gateway

import (
	"context"
	"errors"
	"net"
	"time"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/opener"
)

// dialTimeout bounds the connection to a direct source.
const dialTimeout = 10 * time.Second

// tunnel opens a tunnel to a camera behind a module.
func (g *gateway) tunnel(ctx context.Context, c fleet.Camera) (net.Conn, error) {
	client := g.hubs.client(c.Hub)
	if client == nil { // the hub was removed a moment ago
		return nil, failure.New(failure.Gateway, reason.CameraRemoved, nil)
	}
	conn, err := g.opener.Open(ctx, opener.Target{Name: c.Name, Hub: client, Identity: c.Identity, LocalPort: c.LocalPort})
	if f := failure.Of(err); f != nil && f.Hop == failure.Hub && f.Reason != reason.HubThrottled {
		g.fleet.Suspect(c.Hub) // so that /readyz tells of it soon
	}
	return conn, err
}

// dialDirect connects to a camera that the gateway reaches without a tunnel.
func dialDirect(ctx context.Context, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
	if err == nil {
		return conn, nil
	}
	if f, ok := errors.AsType[*failure.Failure](context.Cause(ctx)); ok {
		return nil, f
	}
	code := reason.CameraRefused
	if _, noName := errors.AsType[*net.DNSError](err); noName {
		code = reason.CameraDNS
	}
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case shortage.Is(err):
		return nil, failure.New(failure.Gateway, reason.NoResources, err)
	case isNet && netErr.Timeout():
		code = reason.CameraTimeout
	}
	return nil, failure.New(failure.Camera, code, err)
}
