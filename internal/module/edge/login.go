package edge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"rtsptunnel/internal/contract/reason"
)

// Login is how an identity proves who it is, and by which roots it knows its hub:
// [Workload], [Key] or [Certificate].
type Login interface {
	// open checks what can be checked before the first connect.
	open(Identity, tokens) (login, error)
}

// login makes what one connect needs; it is asked for each anew, since keys,
// certificates and roots change while a module runs.
type login interface {
	pass(ctx context.Context) (pass, error)
}

// pass is good for one connect.
type pass struct {
	roots       *x509.CertPool   // that may sign the hub's certificate; the system's if nil
	password    string           // a SAS token; empty with a certificate
	expires     time.Time        // the password; zero with a certificate
	certificate *tls.Certificate // nil with a password
}

// Roots are the certificates that may sign the hub's, read anew for each connect;
// the system's if the pool is nil. Without roots there is no connection.
type Roots func() (*x509.CertPool, error)

// Key is the login of a module or device by a symmetric key.
type Key struct {
	Key   func() ([]byte, error)
	Roots Roots
}

type keyLogin struct {
	id Identity
	tokens
	Key
}

func (k Key) open(id Identity, t tokens) (login, error) {
	l := keyLogin{id, t, k}
	_, err := l.pass(context.Background())
	return l, err
}

func (k keyLogin) pass(ctx context.Context) (pass, error) {
	key, err := k.Key.Key()
	if err != nil {
		return pass{}, err
	}
	password, expires, err := k.id.token(ctx, k.tokens, hmacSigner(key))
	if err != nil {
		return pass{}, err
	}
	roots, err := k.Roots()
	return pass{roots: roots, password: password, expires: expires}, err
}

// Certificate is the login of a device by an X.509 certificate. There is none for
// modules.
type Certificate struct {
	Certificate func() (tls.Certificate, error)
	Roots       Roots
}

type certificateLogin struct{ Certificate }

func (c Certificate) open(id Identity, _ tokens) (login, error) {
	if id.ModuleID != "" {
		return nil, errors.New("a module cannot log in by a certificate")
	}
	_, err := certificateLogin{c}.pass(context.Background())
	return certificateLogin{c}, err
}

func (c certificateLogin) pass(context.Context) (pass, error) {
	certificate, err := c.Certificate.Certificate()
	if err != nil {
		return pass{}, err
	}
	roots, err := c.Roots()
	return pass{roots: roots, certificate: &certificate}, err
}

// explain adds to the error of a connect what this device can see by itself: that its
// certificate is not valid now. It is shown to the hub all the same, since it may be the
// clock that is wrong. A hub that refuses a certificate may say so or just hang up.
func (p pass) explain(err error, now time.Time) error {
	if p.certificate == nil || p.certificate.Leaf == nil {
		return err
	}
	switch reason.Of(err) {
	case reason.HubLogin, reason.HubLost, reason.HubTLS, reason.HubUpgrade:
	default:
		return err
	}
	leaf, how := p.certificate.Leaf, ""
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

// tls is the configuration for one connect to the hub of that name, whose
// certificate must be valid now.
func (p pass) tls(server string, now func() time.Time) *tls.Config {
	config := &tls.Config{RootCAs: p.roots, ServerName: server, MinVersion: tls.VersionTLS12, Time: now}
	if p.certificate != nil {
		// Whatever authorities the hub names: it knows self-signed certificates by
		// their thumbprints, and Go would send none of those.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.certificate, nil }
		// Azure may ask for the certificate in a second handshake (golang/go#5742); the
		// library's own configuration allows for it, too.
		config.Renegotiation = tls.RenegotiateOnceAsClient
	}
	return config
}
