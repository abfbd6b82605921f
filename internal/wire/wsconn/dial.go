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

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
)

// Dialer opens WebSockets. Its zero value trusts the system's roots and uses no
// proxy. It is safe for concurrent use.
type Dialer struct {
	// Roots verify the certificates of endpoints and of https proxies; the system's
	// roots if nil.
	Roots *x509.CertPool
	// Proxy returns the http or https proxy for an https URL (http for a ws endpoint), nil
	// for a direct connection; always direct if nil. There is no direct fallback for a
	// proxy that fails.
	Proxy func(*url.URL) (*url.URL, error)
	// Judge decides whether an address of an endpoint may be dialed, also an address in
	// an endpoint that a proxy dials; a proxy's own address is not judged. Its error ends
	// the attempt and should have a reason code. Every address is allowed if nil.
	Judge func(netip.Addr) error
	// Sessions caches TLS sessions; none are resumed if nil.
	Sessions *Sessions
	// Liveness sets how the endpoints are watched.
	Liveness Liveness
}

// HandshakeError is the error of a server that answered the handshake with an HTTP status
// from 300 to 599.
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

// Dial opens a WebSocket to a ws or wss URL with these header fields. ctx bounds the
// whole dial, and not the connection. The error has a reason code; it is a
// *HandshakeError if the server answered with a status from 300 to 599. No error holds a
// header's value. Dial does not change endpoint. The caller closes the connection.
func (d Dialer) Dial(ctx context.Context, endpoint *url.URL, header http.Header) (*Conn, error) {
	raw := handshake{roots: d.Roots, judge: d.Judge, sessions: d.Sessions}
	var err error
	if raw.proxy, err = d.proxyFor(endpoint); err != nil {
		return nil, reason.New(reason.ProxyDown, err)
	}
	dialer := websocket.Dialer{
		NetDialContext:    raw.dial,
		NetDialTLSContext: raw.dialTLS,
		ReadBufferSize:    readBuffer, // for the head of the answer
		WriteBufferPool:   noBuffers,
	}
	ws, answer, err := dialer.DialContext(raw.traced(ctx), endpoint.String(), header)
	if late := raw.finish(); err == nil && late {
		_ = ws.Close()
		return nil, reason.New(reason.RemoteTimeout, ctx.Err())
	}
	if err != nil {
		if answer != nil && answer.Body != nil {
			_ = answer.Body.Close()
		}
		if raw.headerSent && answer == nil {
			err = raw.redact(err)
		}
		return nil, classify(ctx, answer, err)
	}
	if chosen(answer.Header, "Sec-WebSocket-Extensions") || chosen(answer.Header, "Sec-WebSocket-Protocol") {
		_ = ws.Close()
		return nil, reason.New(reason.RemoteUpgrade, errors.New("the server chose what was not offered"))
	}
	c := newConn(raw.answer.Rest(), raw.under, client, d.Liveness)
	c.redact = true
	return c, nil
}

// chosen tells whether a line of the field has a value. gorilla reads all of its lines and
// would inflate messages although no compression was offered.
func chosen(h http.Header, field string) bool { return strings.Join(h.Values(field), "") != "" }

// proxyFor returns the proxy for endpoint, nil for none. Proxy rules know http and https
// only. The error repeats no text of Proxy's error, which may hold secrets of the rules
// or of the endpoint.
func (d Dialer) proxyFor(endpoint *url.URL) (*url.URL, error) {
	if d.Proxy == nil {
		return nil, nil
	}
	u := *endpoint
	u.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
	p, err := d.Proxy(&u)
	if err != nil {
		return nil, errors.New("the proxy's setting is not a URL")
	}
	return p, nil
}

// classify returns the error of a failed dial with a reason; an error that has one keeps
// it.
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

// cause returns the reason of a dial without an HTTP answer. An own shortage comes first: it
// is no fault of the endpoint. Then come timeouts: a silent name server or TLS peer fails
// with an error of another type.
func cause(ctx context.Context, err error) reason.Code {
	if shortage.Is(err) {
		return reason.NoResources
	}
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
