package hubconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/proxy"
)

// dial opens the connection on which MQTT runs. Every phase obeys ctx and gives its
// failure a reason code.
func (d *Dialer) dial(ctx context.Context, r Route, config *tls.Config) (net.Conn, error) {
	raw, err := d.reach(ctx, r, config.RootCAs)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, err := secure(ctx, raw, r, config)
	if err == nil && !stop() {
		err = noConnack(ctx)
	}
	if err != nil {
		stop()
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// reach opens the TCP connection. roots may sign the certificate of an HTTPS proxy. If the
// proxy fails there is no direct fallback.
func (d *Dialer) reach(ctx context.Context, r Route, roots *x509.CertPool) (net.Conn, error) {
	switch {
	case r.err != nil:
		return nil, reason.New(reason.ProxyDown, r.err)
	case r.proxy != nil:
		return proxy.Dial(ctx, r.proxy, r.Address, roots)
	}
	dialer := &net.Dialer{Resolver: d.o.Resolver}
	conn, err := dialer.DialContext(ctx, "tcp", r.Address)
	if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound && r.loopback != "" {
		d.loopback.Do(func() { d.logLoopback(r) })
		conn, err = dialer.DialContext(ctx, "tcp", r.loopback)
		if err != nil {
			err = fmt.Errorf("%s does not resolve here, and no edge hub listens at %s: "+
				"on the host network it must publish its ports 8883 and 443: %w", r.server, r.loopback, err)
		}
	}
	if err != nil {
		return nil, reason.New(unreached(ctx, err), err)
	}
	return conn, nil
}

// unreached is the reason code of a TCP dial that failed. An own shortage comes first: it is
// no fault of the hub. Then come DNS errors: a name server that does not answer also fails
// by a timeout.
func unreached(ctx context.Context, err error) reason.Code {
	if shortage.Is(err) {
		return reason.NoResources
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.HubDNS
	}
	if late(ctx, err) {
		return reason.HubTimeout
	}
	return reason.HubRefused
}

// Unreachable tells whether err means that no TCP connection was established, with the
// hub, the workload API, or the hub behind a proxy that answered.
func Unreachable(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op == "dial"
	}
	e, ok := errors.AsType[*proxy.StatusError](err)
	return ok && e.Status >= http.StatusInternalServerError
}

// secure does the TLS handshake and, for MQTTWS, the WebSocket handshake after it.
func secure(ctx context.Context, raw net.Conn, r Route, config *tls.Config) (net.Conn, error) {
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, untrusted(ctx, err, config.Time())
	}
	if r.Protocol == MQTTWS {
		return upgrade(ctx, conn, r.server)
	}
	return conn, nil
}

// untrusted gives a failed TLS handshake its reason code; now is the device's clock.
func untrusted(ctx context.Context, err error, now time.Time) error {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	if !unverified && late(ctx, err) {
		return reason.New(reason.HubTimeout, fmt.Errorf("TLS handshake: %w", err))
	}
	if !unverified && alert(err) && strings.Contains(err.Error(), "certificate") {
		return reason.New(reason.HubLogin, fmt.Errorf("TLS handshake: %w", err))
	}
	if !unverified {
		return reason.New(reason.HubTLS, fmt.Errorf("TLS handshake: %w", err))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		cert := invalid.Cert // the hub's certificate, or one above it in the chain
		code := reason.HubTLSExpired
		if now.Before(cert.NotBefore) {
			code = reason.HubTLSNotYet
		}
		return reason.New(code, fmt.Errorf("the certificate of %q %s: %w", cert.Subject.CommonName, validity(cert, now), err))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return reason.New(reason.HubTLSName, err)
	}
	return reason.New(reason.HubTLSCA, err)
}

// alert tells whether err is a TLS alert from the hub. A hub that refuses this device's
// certificate sends one during the handshake with TLS 1.2, and after it with TLS 1.3.
func alert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

// validity is a text with the times between which cert is valid, and this device's time.
func validity(cert *x509.Certificate, now time.Time) string {
	return fmt.Sprintf("is valid from %s to %s, and this device's clock says %s", cert.NotBefore.UTC().Format(time.RFC3339),
		cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// late tells whether err was caused by a timeout.
func late(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[net.Error](err)
	return ctx.Err() != nil || ok && e.Timeout()
}
