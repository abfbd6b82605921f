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

// method decodes the payload of one direct method, which it does not keep, and returns the
// call that is left to do. The call's ctx ends when the caller stops waiting.
type method func(m *module, payload []byte) (call func(ctx context.Context) error, err error)

// Method decodes a direct method and returns the call that responds to it. A method that
// the module does not have gets 404. A panic is logged and gets 500, and the module continues.
func (m *module) Method(ctx context.Context, name string, payload []byte) (call func() (status int, body []byte)) {
	var run func(context.Context) error
	err := m.guarded(name, func() (err error) {
		run, err = m.decode(name, payload)
		return err
	})
	if err != nil {
		return func() (int, []byte) { return tunnelopen.Response(err) }
	}
	return func() (int, []byte) {
		return tunnelopen.Response(m.guarded(name, func() error { return run(ctx) }))
	}
}

func (m *module) decode(name string, payload []byte) (call func(context.Context) error, err error) {
	m.log.Debug().Str("method", logline.Cut(name)).Int("bytes", len(payload)).Msg("direct method received")
	decode, known := methods[name]
	if !known {
		return nil, m.refused(tunnelopen.UnknownMethod(name))
	}
	return decode(m, payload)
}

// guarded returns the error of a part of a method; a panic becomes an internal error.
func (m *module) guarded(name string, part func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("panic")
			status, _ := tunnelopen.Response(err)
			m.log.Error().Str("panic", logline.Cut(fmt.Sprint(p))).Str("method", logline.Cut(name)).Str("reason", string(reason.Internal)).Int("code", status).Msg("internal error")
		}
	}()
	return part()
}

// tunnelOpen decodes a request; its call opens the tunnel and returns when it is open, or
// why it is not.
func (m *module) tunnelOpen(payload []byte) (call func(context.Context) error, err error) {
	r, err := m.decoder.Decode(payload)
	if err != nil {
		return nil, m.refused(err)
	}
	return func(ctx context.Context) error { return m.tunnels.Open(ctx, r) }, nil
}

// Busy responds to a direct method that arrives while the hub connection runs as many calls
// as it may.
func (m *module) Busy(name string) (status int, body []byte) {
	return tunnelopen.Response(m.refused(tunnelopen.TooManyCalls(name)))
}

// refused logs and returns why a call was refused before it reached the tunnels.
func (m *module) refused(err error) error {
	m.refusals.Write(m.log, "direct method refused", err)
	return err
}
