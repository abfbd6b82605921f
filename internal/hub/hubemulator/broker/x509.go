package broker

import (
	"crypto/sha1" //nolint:gosec // IoT Hub's thumbprints; TLS has verified the possession of the key
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file verifies logins by certificate. TLS has verified only that the client has the
// key of the certificate. The rules are:
//   - An identity has one method to authenticate: by token or by certificate.
//   - A CONNECT with a password is a login by token, even if the TLS client has a
//     certificate (Azure/iotedge, DeviceIdentityProvider).
//   - For type selfSigned, the certificate must match one of the two thumbprints in the
//     registry, and must be valid now. Names and signatures are not checked
//     (Azure/iotedge, pull request 621: "IoTHub validates only if the cert is not expired
//     and if the thumbprints match").
//   - For type certificateAuthority, the chain must end at an authority of the hub. The
//     common name must be the device's id, or "device/module" (Microsoft, "Authenticate
//     identities with X.509 certificates").
//   - Modules may log in by certificate, as with IoT Hub. Edge hub refuses them.
//   - A connection continues after its certificate expires: IoT Hub checks it "every time
//     a device connects" (same page).

// Reasons to refuse a login by certificate.
var (
	errPasswordExpected    = errors.New("password expected: the identity logs in by token")
	errCertificateExpected = errors.New("certificate expected, and no password: the identity logs in by X.509")
	errNoCertificate       = errors.New("no certificate presented")
	errThumbprint          = errors.New("thumbprint matches neither of the identity's")
	errCommonName          = errors.New("wrong common name in the certificate")
	errNotValidYet         = errors.New("certificate is not valid yet")
	errCertificateExpired  = errors.New("expired certificate")
	errAuthority           = errors.New("certificate of an unknown authority")
	errKeyUsage            = errors.New("certificate is not for client authentication")
)

// verifyCredentials verifies the token or the certificate of a client, and returns its
// expiry; zero means never.
func (b *Broker) verifyCredentials(conn net.Conn, password string, identity store.Identity) (expires time.Time, err error) {
	byToken := identity.Type == store.AuthSAS
	switch {
	case byToken && password == "":
		return time.Time{}, errPasswordExpected
	case byToken:
		return b.verifyToken(password, identity)
	case password != "":
		return time.Time{}, errCertificateExpected
	default:
		return time.Time{}, b.verifyCertificate(conn, identity)
	}
}

// verifyCertificate verifies the certificate of an identity that does not use tokens.
func (b *Broker) verifyCertificate(conn net.Conn, identity store.Identity) error {
	chain := clientCertificates(conn)
	if len(chain) == 0 {
		return errNoCertificate
	}
	leaf, now := chain[0], time.Now()
	if err := verifyDates(leaf, now); err != nil {
		return err
	}
	if identity.Type == store.AuthSelfSigned {
		return verifyThumbprint(leaf, identity)
	}
	if leaf.Subject.CommonName != identity.ID.String() {
		return fmt.Errorf("%w: %.300q", errCommonName, leaf.Subject.CommonName)
	}
	return b.verifyChain(chain, now)
}

func verifyDates(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("%w: from %s", errNotValidYet, leaf.NotBefore.UTC().Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("%w: since %s", errCertificateExpired, leaf.NotAfter.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}

// verifyThumbprint accepts digests of both algorithms: IoT Hub's portal asks for SHA-1,
// the provisioning service sets SHA-256.
func verifyThumbprint(leaf *x509.Certificate, identity store.Identity) error {
	short, long := sha1.Sum(leaf.Raw), sha256.Sum256(leaf.Raw) //nolint:gosec // see the import
	own := []string{hex.EncodeToString(short[:]), hex.EncodeToString(long[:])}
	for _, registered := range []string{identity.PrimaryThumbprint, identity.SecondaryThumbprint} {
		if slices.Contains(own, normalizeThumbprint(registered)) {
			return nil
		}
	}
	return errThumbprint
}

// normalizeThumbprint removes the separators and the upper case that tools print.
func normalizeThumbprint(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// verifyChain verifies that a chain, leaf first, ends at an authority of the hub.
func (b *Broker) verifyChain(chain []*x509.Certificate, now time.Time) error {
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         b.clientCAs,
		Intermediates: intermediates,
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case err == nil:
		return nil
	case invalid.Reason == x509.IncompatibleUsage:
		return errKeyUsage
	case invalid.Reason == x509.Expired:
		return fmt.Errorf("%w, in the chain above the client's", errCertificateExpired)
	default: // the text is truncated, because it may contain names that the client chose
		return fmt.Errorf("%w: %.300s", errAuthority, err.Error())
	}
}

// clientCertificates returns the chain that the client presented in TLS, leaf first. It
// returns none without TLS. TLS may be below conn, see ServeConn.
func clientCertificates(conn net.Conn) []*x509.Certificate {
	for {
		if secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
			return secure.ConnectionState().PeerCertificates
		}
		wrapped, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapped.NetConn()
	}
}
