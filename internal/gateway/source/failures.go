package source

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"unicode"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// failed returns the failure that the session ended with: the one that this package
// decided on, else the connection's error, else the library's error.
func (s *Session) failed(err error) *failure.Failure {
	if f := s.cause(); f != nil {
		return f
	}
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		return f
	}
	if _, silent := errors.AsType[liberrors.ErrClientTCPTimeout](err); silent { // the library counts, too
		return failure.New(failure.Media, reason.MediaStopped, nil)
	}
	lost := s.conn.lost()
	if _, answered := errors.AsType[liberrors.ErrClientBadStatusCode](err); lost != nil && !answered {
		return s.connectionFailure(lost) // some cameras end the connection after a refusal
	}
	return failure.New(failure.RTSP, code(err), s.clean(err))
}

// connectionFailure classifies the error of a read. An end in order is the camera's: a
// tunnel passes a cut on as a cut.
func (s *Session) connectionFailure(err error) *failure.Failure {
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		return f
	}
	switch {
	case errors.Is(err, notRTSPError{}):
		return failure.New(failure.RTSP, reason.RTSPProtocol, err)
	case errors.Is(err, io.EOF):
		return failure.New(failure.Camera, reason.CameraClosed, err)
	case s.options.Direct:
		return failure.New(failure.Camera, reason.CameraLost, s.clean(err))
	default:
		return failure.New(failure.Module, reason.TunnelLost, s.clean(err))
	}
}

// code returns the reason of the library's error.
func code(err error) reason.Code {
	if bad, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok {
		switch bad.Code {
		case base.StatusUnauthorized, base.StatusForbidden:
			return reason.RTSPLogin
		case base.StatusNotFound:
			return reason.RTSPNotFound
		case base.StatusNotEnoughBandwidth, base.StatusServiceUnavailable:
			return reason.RTSPBusy
		default:
			return reason.RTSPProtocol
		}
	}
	if _, ok := errors.AsType[liberrors.ErrClientAuthSetup](err); ok {
		return reason.RTSPLogin
	}
	if _, ok := errors.AsType[liberrors.ErrClientRequestTimedOut](err); ok {
		return reason.RTSPTimeout
	}
	return reason.RTSPProtocol
}

// maxErrorText bounds what a camera can put into an error, in bytes.
const maxErrorText = 256

// clean returns an error with the text of err, without the login, without control
// characters, and of bounded length. The text may hold URLs, and what the camera answered.
func (s *Session) clean(err error) error {
	text := strings.ToValidUTF8(err.Error(), "?")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	for _, secret := range []string{s.options.Password, s.options.Username} {
		if secret == "" {
			continue
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), url.UserPassword("", secret).String()[1:]} {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return errors.New(text)
}
