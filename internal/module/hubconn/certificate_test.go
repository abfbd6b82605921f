package hubconn_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/nettest"
)

// A hub may refuse a certificate by TLS instead of MQTT: with TLS 1.2 during the handshake,
// with 1.3 after it. Both are a refused login. The certificate, which is valid now, is not
// blamed.
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
				address := nettest.Listen(t, func(conn net.Conn) {
					_ = tls.Server(conn, config).Handshake()
					_, _ = io.Copy(io.Discard, conn) // a reset would overtake the alert
				})
				own := issue(t, s.CA(), "device")
				s.o.Identity = hubconn.Identity{HubHost: hubtest.HubName, GatewayHost: hubtest.GatewayName, DeviceID: "d1", Auth: hubconn.Certificate{
					Certificate: func() (tls.Certificate, error) { return own, nil }, Roots: s.roots,
				}}
				err := s.connect(t, p, address, patience)
				expect(t, err, reason.HubLogin, "bad certificate")
				if err != nil && strings.Contains(err.Error(), "own certificate") {
					t.Errorf("the certificate is blamed: %v", err)
				}
			})
		}
	}
}
