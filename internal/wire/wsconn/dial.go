package wsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/contract/reason"
)

// Dialer opens WebSockets. Its zero value trusts the system's roots and uses no
// proxy. It may be used by several goroutines.
type Dialer struct {
	// Roots may sign the certificates of endpoints and of https proxies; the system's
	// if nil.
	Roots *x509.CertPool
	// Proxy is the http or https proxy on the way to an https URL (http for a ws
	// endpoint), nil for none; none at all if nil. One that fails is never gone around.
	Proxy func(*url.URL) (*url.URL, error)
	// Judge is asked for each address that an endpoint is about to be dialled at, and
	// for the one in an endpoint that a proxy is to dial; never for a proxy's own. Its
	// error ends the attempt, and should have a reason code. Any address is right if nil.
	Judge func(netip.Addr) error
	// Sessions are resumed, and kept; none if nil.
	Sessions *Sessions
	// Liveness is how the endpoints that are dialled are watched.
	Liveness Liveness
}

// HandshakeError is a server's HTTP answer that is not a WebSocket.
type HandshakeError struct {
	status int
	phrase string
}

// Error names the status.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("websocket handshake answered with status %d", e.status)
}

// HTTPStatus is the answer's status, and the reason phrase in its status line,
// exactly as the server wrote it.
func (e *HandshakeError) HTTPStatus() (status int, phrase string) { return e.status, e.phrase }

// Dial opens a WebSocket to a ws or wss URL with these header fields; ctx bounds
// the whole of it. The error has a reason code; an HTTP answer that says no (300 to
// 599) is a *HandshakeError. No error holds a header's value. The caller closes the
// connection.
func (d Dialer) Dial(ctx context.Context, endpoint string, header http.Header) (*Conn, error) {
	raw := handshake{roots: d.Roots, judge: d.Judge, sessions: d.Sessions}
	var err error
	if raw.proxy, err = d.proxyFor(endpoint); err != nil {
		return nil, reason.New(reason.ProxyDown, err)
	}
	dialer := websocket.Dialer{
		NetDialContext:    raw.dial,
		NetDialTLSContext: raw.dialTLS,
		ReadBufferSize:    readBuffer,
		WriteBufferPool:   noBuffers,
	}
	ws, answer, err := dialer.DialContext(raw.watched(ctx), endpoint, header)
	if late := raw.over(); err == nil && late {
		_ = ws.Close()
		return nil, reason.New(reason.RemoteTimeout, ctx.Err())
	}
	if err != nil {
		if answer != nil && answer.Body != nil {
			_ = answer.Body.Close()
		}
		if raw.asked && answer == nil {
			err = raw.unquoted(err)
		}
		return nil, classify(ctx, answer, err)
	}
	if chosen(answer.Header, "Sec-WebSocket-Extensions") || chosen(answer.Header, "Sec-WebSocket-Protocol") {
		_ = ws.Close()
		return nil, reason.New(reason.RemoteUpgrade, errors.New("the server chose what was not offered"))
	}
	c := newConn(ws, raw.under, client, d.Liveness)
	c.wordless = true
	return c, nil
}

// chosen tells whether any line of a field says something: gorilla reads them all, and
// would inflate messages that nobody offered to.
func chosen(h http.Header, field string) bool { return strings.Join(h.Values(field), "") != "" }

// proxyFor is the proxy on the way to endpoint, nil for none. The rules know http
// and https only. They and the endpoint may hold secrets, so that no word of an
// error of theirs is passed on.
func (d Dialer) proxyFor(endpoint string) (*url.URL, error) {
	if d.Proxy == nil {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, nil //nolint:nilerr // the dial says so
	}
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	p, err := d.Proxy(u)
	if err != nil {
		return nil, errors.New("the proxy's setting is not a URL")
	}
	return p, nil
}

// classify gives a failed dial its reason, unless it has one from the proxy.
func classify(ctx context.Context, answer *http.Response, err error) error {
	if _, has := errors.AsType[*reason.Error](err); has {
		return err
	}
	if errors.Is(err, websocket.ErrBadHandshake) && answer != nil {
		if answer.StatusCode < 300 || answer.StatusCode > 599 {
			return reason.New(reason.RemoteUpgrade, fmt.Errorf("websocket handshake answered with status %d", answer.StatusCode))
		}
		_, phrase, _ := strings.Cut(answer.Status, " ")
		return reason.New(reason.RemoteHTTP, &HandshakeError{status: answer.StatusCode, phrase: phrase})
	}
	return reason.New(cause(ctx, err), err)
}

// cause is the reason for a dial that got no HTTP answer. Time first: a name server
// or a TLS peer that is silent until the deadline fails in its own words.
func cause(ctx context.Context, err error) reason.Code {
	if late, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && late.Timeout() {
		return reason.RemoteTimeout
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.RemoteDNS
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return reason.RemoteTLSExpiry
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return reason.RemoteTLSName
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return reason.RemoteTLSCA
	}
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return reason.RemoteRefused
	}
	return reason.RemoteUpgrade
}
