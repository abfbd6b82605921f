package module_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubclient"
)

// certificate is a self-signed certificate of a device.
type certificate struct {
	cert, key  []byte // PEM
	thumbprint string
}

func newCertificate(t *testing.T, from, to time.Time) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "device"}, NotBefore: from, NotAfter: to}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return certificate{
		cert:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:        pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		thumbprint: hex.EncodeToString(sum[:]),
	}
}

// byCertificate registers one or two certificates for the site's device, writes the first
// one to files, and returns the files.
func (s *site) byCertificate(t *testing.T, first certificate, second ...certificate) (certFile, keyFile string) {
	t.Helper()
	thumbprint := &hubclient.Thumbprint{Primary: first.thumbprint, Secondary: first.thumbprint}
	for _, c := range second {
		thumbprint.Secondary = c.thumbprint
	}
	if err := s.Client.Unregister(t.Context(), s.ID, ""); err != nil {
		t.Fatal(err)
	}
	_, err := s.Client.Register(t.Context(), hubclient.Registration{
		DeviceID: s.ID.Device, Authentication: hubclient.Authentication{Type: hubclient.AuthSelfSigned, Thumbprint: thumbprint},
	})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = file(t, first.cert), file(t, first.key)
	s.env["RTSPTUNNEL_CONNECTION_STRING"] = s.connectionString(t, "")
	s.env["RTSPTUNNEL_CERT_FILE"], s.env["RTSPTUNNEL_KEY_FILE"] = certFile, keyFile
	s.env["RTSPTUNNEL_CA_FILE"] = s.CAFile()
	return certFile, keyFile
}

// The module retries with a certificate that is expired or not yet valid, and logs why. It
// connects when a valid certificate is in the same files. An attempt fails while only
// one of the two files is replaced.
func TestCertificate_notValidNow(t *testing.T) {
	t.Parallel()
	now := time.Now()
	valid := newCertificate(t, now.Add(-time.Hour), now.Add(time.Hour))
	for name, c := range map[string]struct {
		invalid        certificate
		protocol, want string
	}{
		"expired":       {newCertificate(t, now.Add(-2*time.Hour), now.Add(-time.Hour)), "mqtt", "has expired"},
		"not yet valid": {newCertificate(t, now.Add(time.Hour), now.Add(2*time.Hour)), "mqttws", "is not yet valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.outside(t, false)
			certFile, keyFile := s.byCertificate(t, c.invalid, valid)
			s.env["RTSPTUNNEL_PROTOCOL"], s.env["RTSPTUNNEL_HUB_WS_ADDRESS"] = c.protocol, s.HTTPSAddr()
			s.run(t)
			s.log.Await(t, `"reason":"HUB_LOGIN"`, 2)
			log := s.log.String()
			if !strings.Contains(log, "this device's own certificate "+c.want+": it is valid from 20") || !strings.Contains(log, "and this device's clock says 20") {
				t.Errorf("the log:\n%s", log)
			}
			replace(t, certFile, valid.cert)
			s.log.Await(t, `"reason":"HUB_CREDENTIALS"`, 1)
			replace(t, keyFile, valid.key)
			s.serves(t)
		})
	}
}

// replace replaces a file atomically.
func replace(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}
