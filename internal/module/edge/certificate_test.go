package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/testkit/hubtest"
)

// A hub may refuse a certificate by TLS instead of MQTT: with TLS 1.2 within the
// handshake, with 1.3 after it. Either is a login refused, and the certificate, valid
// now, is not blamed.
func TestCertificate_refusedByTLS(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		for _, p := range protocols {
			t.Run(name+" "+string(p), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				config := &tls.Config{
					Certificates: []tls.Certificate{issue(t, s.CA(), hubtest.GatewayName)}, MinVersion: tls.VersionTLS12, MaxVersion: version,
					ClientAuth:            tls.RequireAnyClientCert,
					VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { return errors.New("not this one") },
				}
				s.at(listen(t, func(conn net.Conn) {
					_ = tls.Server(conn, config).Handshake()
					_, _ = io.Copy(io.Discard, conn) // a reset would overtake the alert
				}), p)
				own := issue(t, s.CA(), "device")
				s.o.Identity = edge.Identity{HubHost: hubtest.HubName, GatewayHost: hubtest.GatewayName, DeviceID: "d1", Login: edge.Certificate{
					Certificate: func() (tls.Certificate, error) { return own, nil },
					Roots:       func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
				}}
				s.run(t)
				s.log.Await(t, `"reason":"`+string(reason.HubLogin)+`","protocol":"`+string(p)+`"`, 1)
				if log := s.log.String(); !strings.Contains(log, "bad certificate") || strings.Contains(log, "own certificate") {
					t.Errorf("the log:\n%s", log)
				}
			})
		}
	}
}
