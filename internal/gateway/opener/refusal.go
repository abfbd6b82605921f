package opener

import (
	"fmt"
	"net/http"
	"strconv"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
)

// place is where a refused tunnelOpen failed.
type place struct {
	hop failure.Hop
	// message replaces the code's text, which is the module's view: "this process" is the
	// module there, and "the remote endpoint" is this gateway.
	message string
}

// Messages of codes that the module's answer does not tell apart.
const (
	toGateway  = "the module cannot reach this gateway: check that the public URL's name resolves at the site, its certificate, and the site's firewall; the module's log has the reason"
	badRequest = "the module does not accept the gateway's request: check the gateway's public URL"
)

// places has a place for each reason that tunnelopen.DecodeFailure returns.
var places = map[reason.Code]place{
	reason.PortNotAllowed:  {hop: failure.Module},
	reason.PolicyRemote:    {failure.Module, "the module's policy does not allow this gateway: add its host to remoteEndpoints in the module's twin"},
	reason.LimitTunnels:    {failure.Module, "the module has reached its maximum number of tunnels, of this camera or of all"},
	reason.LimitCalls:      {hop: failure.Module},
	reason.Disabled:        {failure.Module, "tunnels are switched off in the module's twin, or the module has no twin yet"},
	reason.ShuttingDown:    {failure.Module, "the module is shutting down"},
	reason.NoResources:     {failure.Module, "the module has no file descriptor, port or memory left"},
	reason.UnknownMethod:   {hop: failure.Module},
	reason.Internal:        {failure.Module, "the module has an internal error: its log has the cause"},
	reason.CameraRefused:   {failure.Camera, "the camera refused the module's connection, is unreachable, or its name does not resolve"},
	reason.RemoteHTTP:      {hop: failure.Gateway},
	reason.RemoteRefused:   {failure.Gateway, toGateway},
	reason.RemoteTimeout:   {failure.Gateway, "the module got no answer from this gateway in time: check the public URL and the site's firewall"},
	reason.ProxyHTTP:       {failure.Gateway, "the site's proxy refuses the module's connection to this gateway, or fails"},
	reason.RequestJSON:     {failure.Gateway, badRequest},
	reason.RequestType:     {failure.Gateway, badRequest},
	reason.RequestToken:    {failure.Gateway, badRequest},
	reason.RequestEndpoint: {failure.Gateway, badRequest},
}

// refusal is the failure for the module's answer. Its text for the log holds the answer,
// which is untrusted and printable.
func refusal(e *tunnelopen.Error) *failure.Failure {
	err := fmt.Errorf("tunnelOpen answered %d: %q (%q)", e.Status, e.Message, e.Target)
	p, ok := places[e.Reason]
	switch {
	case !ok:
		return failure.New(failure.Module, unknown(e), err)
	case e.Reason == reason.RemoteHTTP:
		p.message = "the gateway's public URL answered the module with status " + strconv.Itoa(e.Status) + ": check which program answers there"
	}
	f := failure.New(p.hop, e.Reason, err)
	if p.message != "" {
		f.Message = p.message
	}
	return f
}

// unknown is the code of an answer that is none of the contract's. An edge hub answers like
// this for a module that is not connected, or does not answer.
func unknown(e *tunnelopen.Error) reason.Code {
	switch {
	case e.Message == "" && e.Status == http.StatusNotFound:
		return reason.ModuleOffline
	case e.Message == "" && e.Status == http.StatusGatewayTimeout:
		return reason.ModuleTimeout
	}
	return reason.ModuleAnswer
}
