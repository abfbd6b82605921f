package edge

import (
	"context"
	"net/http"

	"github.com/rs/zerolog"
)

// hint is the library's dispatcher of desired patches. They arrive out of order, a
// goroutine each, and may be lost: all that one says is that the twin changed.
type hint chan struct{}

// Dispatch never blocks.
func (h hint) Dispatch([]byte) {
	select {
	case h <- struct{}{}:
	default: // a reading is due already
	}
}

// methods is the library's dispatcher of direct methods. With the library's own an
// unknown method gets no answer and a payload that is no object never arrives.
type methods func(name string, payload []byte) (status int, body []byte)

// Dispatch never returns an error: the library would drop the call unanswered.
func (m methods) Dispatch(name string, payload []byte) (status int, body []byte, err error) {
	status, body = m(name, payload)
	return status, body, nil
}

// answer calls the handler, unless Run is over.
func (c *Client) answer(ctx context.Context, name string, payload []byte) (status int, body []byte) {
	if !c.calls.enter() {
		return http.StatusServiceUnavailable, []byte("null")
	}
	defer c.calls.running.Done()
	return c.o.Handler.Method(ctx, name, payload)
}

// logger is the library's logger. What it has to say at debug level holds whole
// payloads, tokens in them, and is dropped.
type logger struct{ log zerolog.Logger }

func (l logger) Errorf(format string, v ...any) { l.log.Error().Msgf("mqtt: "+format, v...) }
func (l logger) Warnf(format string, v ...any)  { l.log.Warn().Msgf("mqtt: "+format, v...) }
func (l logger) Infof(string, ...any)           {}
func (l logger) Debugf(string, ...any)          {}
