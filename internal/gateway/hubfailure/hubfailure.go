// Package hubfailure names what failed in a call of IoT Hub's REST API: the hub, the way to
// it, or the module behind it.
//
// Code belongs here if it derives hop and reason from an error of hubclient. The package
// does not know tunnels or twins.
package hubfailure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/hub/hubclient"
)

// Of returns the failure for an error of hubclient; nil for a nil error. An error that
// wraps a failure keeps it. The caller handles the end of its own context first: here a
// deadline means that the hub did not answer in time.
func Of(err error) *failure.Failure {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*failure.Failure](err); ok {
		return f
	}
	if e, ok := errors.AsType[*hubclient.Error](err); ok {
		hop, code := answered(e)
		return failure.New(hop, code, err)
	}
	code := unanswered(err, time.Now())
	if code == reason.NoResources {
		return failure.New(failure.Gateway, code, err)
	}
	return failure.New(failure.Hub, code, err)
}

// numbers are the hub's error numbers that say more than the HTTP status ("Understand and
// resolve Azure IoT Hub errors").
var numbers = map[int]place{
	404001: {failure.Module, reason.ModuleUnknown}, // DeviceNotFound
	404010: {failure.Module, reason.ModuleUnknown}, // ModuleNotFound
	404103: {failure.Module, reason.ModuleOffline}, // DeviceNotOnline
	404104: {failure.Module, reason.ModuleOffline}, // DeviceConnectionClosedRemotely
	403002: {failure.Hub, reason.HubThrottled},     // IoTHubQuotaExceeded
	504101: {failure.Module, reason.ModuleTimeout}, // GatewayTimeout
}

// codes are the same errors by name: not every response has a number.
var codes = map[string]place{
	"DeviceNotFound":      {failure.Module, reason.ModuleUnknown},
	"ModuleNotFound":      {failure.Module, reason.ModuleUnknown},
	"DeviceNotOnline":     {failure.Module, reason.ModuleOffline},
	"IotHubQuotaExceeded": {failure.Hub, reason.HubThrottled},
	"QuotaExceeded":       {failure.Hub, reason.HubThrottled},
	"BadDeviceResponse":   {failure.Module, reason.ModuleAnswer},
}

type place struct {
	hop  failure.Hop
	code reason.Code
}

// answered is for a response of the hub with an error status.
func answered(e *hubclient.Error) (failure.Hop, reason.Code) {
	if p, ok := numbers[e.Number]; ok {
		return p.hop, p.code
	}
	for name, p := range codes {
		if strings.HasPrefix(e.Code, name) { // DeviceNotOnlineException is another spelling
			return p.hop, p.code
		}
	}
	switch {
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return failure.Hub, reason.HubLogin
	case e.Status == http.StatusProxyAuthRequired:
		return failure.Hub, reason.ProxyLogin
	case e.Status == http.StatusTooManyRequests:
		return failure.Hub, reason.HubThrottled
	case e.Status == http.StatusGatewayTimeout:
		return failure.Module, reason.ModuleTimeout
	case e.Status >= http.StatusInternalServerError:
		return failure.Hub, reason.HubUnavailable
	}
	return failure.Hub, reason.HubAnswer
}

// unanswered is for a call without a response. An own shortage comes first: it is no fault
// of the hub. Then come look-ups: a name server that does not answer fails by a timeout.
func unanswered(err error, now time.Time) reason.Code {
	if shortage.Is(err) {
		return reason.NoResources
	}
	if code, ok := ofProxy(err); ok {
		return code
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.HubDNS
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return unverified(err, now)
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return reason.HubTimeout
	}
	if notTLS(err) {
		return reason.HubTLS
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return reason.HubRefused
	}
	if notJSON(err) {
		return reason.HubAnswer
	}
	return reason.HubLost
}

// ofProxy is for an HTTP proxy that failed, whose errors net/http marks.
func ofProxy(err error) (reason.Code, bool) {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "proxyconnect" {
		return reason.ProxyDown, true
	}
	// net/http returns the text of the proxy's status alone.
	if strings.HasSuffix(err.Error(), ": "+http.StatusText(http.StatusProxyAuthRequired)) {
		return reason.ProxyLogin, true
	}
	return "", false
}

func unverified(err error, now time.Time) reason.Code {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		if now.Before(invalid.Cert.NotBefore) {
			return reason.HubTLSNotYet
		}
		return reason.HubTLSExpired
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return reason.HubTLSName
	}
	return reason.HubTLSCA
}

// notTLS tells whether a peer does not speak TLS, or refused the handshake by an alert.
func notTLS(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	e, remote := errors.AsType[*net.OpError](err)
	return record || alert || remote && e.Op == "remote error" || errors.Is(err, http.ErrSchemeMismatch)
}

func notJSON(err error) bool {
	_, syntax := errors.AsType[*json.SyntaxError](err)
	_, kind := errors.AsType[*json.UnmarshalTypeError](err)
	return syntax || kind
}
