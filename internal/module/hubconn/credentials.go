package hubconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Auth is how an identity authenticates, and by which roots it verifies its hub:
// [Workload], [SymmetricKey] or [Certificate].
type Auth interface {
	// open checks what can be checked before the first connect.
	open(Identity, tokens) (authenticator, error)
}

// authenticator makes the credentials of one CONNECT.
type authenticator interface {
	credentials(ctx context.Context) (Credentials, error)
}

// Credentials are used for one CONNECT.
type Credentials struct {
	Expires  time.Time     // of the token, by the device's clock; zero with a certificate
	Lifetime time.Duration // of the token, from when it was made; 0 with a certificate

	roots       *x509.CertPool   // that may sign the hub's certificate; the system's if nil
	password    string           // a SAS token; empty with a certificate
	certificate *tls.Certificate // nil with a password
}

// Roots returns the certificates that may sign the hub's. It is called for each connect.
// A nil pool means the system's roots. If it fails there is no connection.
type Roots func() (*x509.CertPool, error)

// SymmetricKey authenticates a module or a device by a symmetric key.
type SymmetricKey struct {
	Key   func() ([]byte, error)
	Roots Roots
}

type keyAuth struct {
	id Identity
	tokens
	SymmetricKey
}

func (k SymmetricKey) open(id Identity, t tokens) (authenticator, error) {
	a := keyAuth{id, t, k}
	_, err := a.credentials(context.Background())
	return a, err
}

func (k keyAuth) credentials(ctx context.Context) (Credentials, error) {
	key, err := k.Key()
	if err != nil {
		return Credentials{}, err
	}
	c, err := k.id.tokenCredentials(ctx, k.tokens, hmacSigner(key))
	if err != nil {
		return Credentials{}, err
	}
	c.roots, err = k.Roots()
	return c, err
}

// Certificate authenticates a device by an X.509 certificate. Modules cannot use it.
type Certificate struct {
	Certificate func() (tls.Certificate, error)
	Roots       Roots
}

type certificateAuth struct{ Certificate }

func (c Certificate) open(id Identity, _ tokens) (authenticator, error) {
	if id.ModuleID != "" {
		return nil, errors.New("a module cannot authenticate by a certificate")
	}
	_, err := certificateAuth{c}.credentials(context.Background())
	return certificateAuth{c}, err
}

func (c certificateAuth) credentials(context.Context) (Credentials, error) {
	certificate, err := c.Certificate.Certificate()
	if err != nil {
		return Credentials{}, err
	}
	roots, err := c.Roots()
	return Credentials{roots: roots, certificate: &certificate}, err
}

// explain adds to the error of a connect that this device's own certificate is not valid
// now. The certificate is sent all the same, since the clock may be wrong. A hub that
// refuses a certificate may send an alert or just close the connection.
func (c Credentials) explain(err error, now time.Time) error {
	if c.certificate == nil || c.certificate.Leaf == nil {
		return err
	}
	switch reason.Of(err) {
	case reason.HubLogin, reason.HubLost, reason.HubTLS, reason.HubUpgrade:
	default:
		return err
	}
	leaf, how := c.certificate.Leaf, ""
	switch {
	case now.After(leaf.NotAfter):
		how = "has expired"
	case now.Before(leaf.NotBefore):
		how = "is not yet valid"
	default:
		return err
	}
	return fmt.Errorf("%w (this device's own certificate %s: it %s)", err, how, validity(leaf, now))
}

// tls is the configuration for one connect to the hub with that name, whose certificate
// must be valid now.
func (c Credentials) tls(server string, now func() time.Time) *tls.Config {
	config := &tls.Config{RootCAs: c.roots, ServerName: server, MinVersion: tls.VersionTLS12, Time: now}
	if c.certificate != nil {
		// Sent whatever authorities the hub names: it knows self-signed certificates by
		// their thumbprints, and Go would send none of those.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.certificate, nil }
		// Azure may ask for the certificate in a second handshake (golang/go#5742). The
		// library's own configuration allows it, too.
		config.Renegotiation = tls.RenegotiateOnceAsClient
	}
	return config
}
