package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/wire/proxy"
)

// dial opens the connection on which MQTT runs; from its return on ctx closes it
// until p.stop. Every phase obeys ctx and gives its failure a reason.
func (p *pipe) dial(ctx context.Context) (net.Conn, error) {
	raw, err := p.reach(ctx)
	if err != nil {
		return nil, err
	}
	p.stop = context.AfterFunc(ctx, func() { _ = raw.Close() })
	conn, err := p.secure(ctx, raw)
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	return conn, nil
}

// reach opens the TCP connection. A proxy that fails is not gone around.
func (p *pipe) reach(ctx context.Context) (net.Conn, error) {
	switch {
	case p.way.err != nil:
		return nil, reason.New(reason.ProxyDown, p.way.err)
	case p.way.proxy != nil:
		return proxy.Dial(ctx, p.way.proxy, p.way.address, p.tls.RootCAs)
	}
	dialer := &net.Dialer{Resolver: p.resolver}
	conn, err := dialer.DialContext(ctx, "tcp", p.way.address)
	if unknown, ok := errors.AsType[*net.DNSError](err); ok && unknown.IsNotFound && p.way.loopback != "" {
		p.atLoopback()
		conn, err = dialer.DialContext(ctx, "tcp", p.way.loopback)
		if err != nil {
			err = fmt.Errorf("%s does not resolve here, and at %s there is no edge hub: "+
				"on the host network it must publish its ports, 8883 and 443: %w", p.way.server, p.way.loopback, err)
		}
	}
	if err != nil {
		return nil, reason.New(unreached(ctx, err), err)
	}
	return conn, nil
}

// unreached is the reason for a dial that found nobody. Names come first: a name
// server that is silent fails by time, too.
func unreached(ctx context.Context, err error) reason.Code {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return reason.HubDNS
	}
	if late(ctx, err) {
		return reason.HubTimeout
	}
	return reason.HubRefused
}

// secure does the TLS handshake, and the WebSocket's after it.
func (p *pipe) secure(ctx context.Context, raw net.Conn) (net.Conn, error) {
	conn := tls.Client(raw, p.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, untrusted(ctx, err, p.tls.Time())
	}
	if p.way.protocol == MQTTWS {
		return upgrade(ctx, conn, p.way.server)
	}
	return conn, nil
}

// untrusted gives a failed TLS handshake its reason; now is the device's clock.
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
		cert := invalid.Cert // the hub's, or one above it
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

// alert tells whether err is the hub's own word, by TLS. With TLS 1.2 it says so during
// the handshake if it does not take this device's certificate, with TLS 1.3 when that is
// over for this side.
func alert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

// validity is when cert is valid, and what time it is here.
func validity(cert *x509.Certificate, now time.Time) string {
	return fmt.Sprintf("is valid from %s to %s, and this device's clock says %s", cert.NotBefore.UTC().Format(time.RFC3339),
		cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
}

// late tells whether err came of time that ran out.
func late(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[net.Error](err)
	return ctx.Err() != nil || ok && e.Timeout()
}
