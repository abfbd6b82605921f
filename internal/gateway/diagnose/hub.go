package diagnose

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/hubfailure"
	"rtsptunnel/internal/hub/hubclient"
)

// askHub reads the module's twin: it needs the hub's name, TLS and the policy's key, and
// shows whether the module exists.
func (d *diagnosis) askHub(ctx context.Context) bool {
	d.begin()
	twin, err := d.Hub.Twin(ctx, d.Module)
	f := hubfailure.Of(err)
	if f != nil && f.Hop != failure.Module {
		return d.failed(ctx, failure.Hub, f)
	}
	d.passed(failure.Hub, d.Hub.Host()+" answers, and accepts the gateway's credentials", "")
	if f != nil {
		return d.failed(ctx, failure.Module, f)
	}
	return d.judgeTwin(ctx, twin)
}

// identity is what a twin tells about its module's registration.
type identity struct {
	Status string `json:"status"`
}

// judgeTwin records a module that cannot answer. It does not use connectionState: a hub
// changes that late, and the direct method shows more.
func (d *diagnosis) judgeTwin(ctx context.Context, twin hubclient.Twin) bool {
	var id identity
	if err := json.Unmarshal(twin.Document, &id); err != nil {
		return d.failed(ctx, failure.Hub, failure.New(failure.Hub, reason.HubAnswer, err))
	}
	if id.Status == "disabled" {
		f := failure.New(failure.Module, reason.ModuleUnknown, nil)
		f.Message = fmt.Sprintf("%s is disabled in the hub's registry", d.Module)
		return d.failed(ctx, failure.Module, f)
	}
	d.modelID = twin.ModelID
	return true
}

// askModule calls tunnelOpen without a payload: every module refuses it, and none dials.
func (d *diagnosis) askModule(ctx context.Context) bool {
	d.begin()
	status, answer, err := d.Hub.Invoke(ctx, d.Module, hubclient.Method{
		Name: tunnelopen.MethodName, Payload: json.RawMessage(`{}`), ConnectTimeout: connectTimeout, ResponseTimeout: methodTimeout,
	})
	if err != nil {
		return d.failed(ctx, failure.Module, hubfailure.Of(err))
	}
	refused := tunnelopen.DecodeFailure(tunnelopen.Request{}, status, answer)
	switch {
	case refused.Reason == reason.UnknownMethod:
		return d.failed(ctx, failure.Module, failure.New(failure.Module, reason.UnknownMethod, nil))
	case refused.Reason == "" && status == http.StatusNotFound: // an edge hub's answer
		return d.failed(ctx, failure.Module, failure.New(failure.Module, reason.ModuleOffline, nil))
	case refused.Reason == "" && status == http.StatusGatewayTimeout:
		return d.failed(ctx, failure.Module, failure.New(failure.Module, reason.ModuleTimeout, nil))
	}
	d.passed(failure.Module, fmt.Sprintf("%s answers direct methods", d.Module), d.modelAdvice())
	return true
}

// modelAdvice is about a module that discovery does not find.
func (d *diagnosis) modelAdvice() string {
	if d.modelID == tunnelopen.ModelID {
		return ""
	}
	return "the module does not announce the model id of tunnels, so discovery does not find its cameras: name them in the gateway's file, or update the module"
}
