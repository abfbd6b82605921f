package module

import (
	"context"
	"errors"
	"fmt"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/module/logline"
)

// methods are the direct methods of this module by name. A new method is one line
// here and its handler.
var methods = map[string]method{
	tunnelopen.MethodName: (*module).tunnelOpen,
}

// method handles one direct method: it gets the payload and returns the response's
// status and body. ctx ends when the caller stops waiting.
type method func(m *module, ctx context.Context, payload []byte) (status int, body []byte)

// Method responds to a direct method. A method that the module does not have gets 404. A
// panic in a handler is logged and gets 500, and the module continues.
func (m *module) Method(ctx context.Context, name string, payload []byte) (status int, body []byte) {
	defer func() {
		if p := recover(); p != nil {
			status, body = tunnelopen.Response(errors.New("panic"))
			m.log.Error().Str("panic", logline.Cut(fmt.Sprint(p))).Str("method", logline.Cut(name)).Str("reason", string(reason.Internal)).Int("code", status).Msg("internal error")
		}
	}()
	m.log.Debug().Str("method", logline.Cut(name)).Int("bytes", len(payload)).Msg("direct method received")
	handle, known := methods[name]
	if !known {
		return tunnelopen.Response(m.refused(tunnelopen.UnknownMethod(name)))
	}
	return handle(m, ctx, payload)
}

// tunnelOpen opens a tunnel and responds when it is open, or why it is not.
func (m *module) tunnelOpen(ctx context.Context, payload []byte) (status int, body []byte) {
	r, err := m.decoder.Decode(payload)
	if err != nil {
		return tunnelopen.Response(m.refused(err))
	}
	return tunnelopen.Response(m.tunnels.Open(ctx, r))
}

// refused logs and returns why a call was refused before it reached the tunnels.
func (m *module) refused(err error) error {
	m.refusals.Write(m.log, "direct method refused", err)
	return err
}
