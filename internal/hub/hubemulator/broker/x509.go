package broker

import (
	"crypto/sha1" //nolint:gosec // IoT Hub's thumbprints, of certificates whose keys TLS has proved
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

// This file judges logins by certificate. TLS has proved that the client has
// the certificate's key, and nothing more. The rules are:
//   - an identity has one way to log in: by token or by certificate;
//   - a CONNECT with a password is a login by token, whatever certificate the
//     TLS client offers besides (Azure/iotedge, DeviceIdentityProvider);
//   - of type selfSigned, the certificate must be one of the two that the
//     registry has the thumbprints of, and be valid now. Nothing else is looked
//     at, no name and no signature (Azure/iotedge, pull request 621: "IoTHub
//     validates only if the cert is not expired and if the thumbprints match");
//   - of type certificateAuthority, the common name must be the device's id, or
//     "device/module" (Microsoft, "Authenticate identities with X.509
//     certificates"), and the chain must lead to the hub's authority;
//   - modules may log in so too, as at IoT Hub. Edge hub refuses them;
//   - a connection outlives its certificate: IoT Hub looks at it "every time a
//     device connects" (same page).

// Why a login by certificate is refused.
var (
	errPasswordExpected    = errors.New("password expected: the identity logs in by token")
	errCertificateExpected = errors.New("certificate expected, and no password: the identity logs in by X.509")
	errNoCertificate       = errors.New("no certificate presented")
	errThumbprint          = errors.New("thumbprint matches neither of the identity's")
	errCommonName          = errors.New("wrong common name in the certificate")
	errNotValidYet         = errors.New("certificate is not valid yet")
	errCertificateExpired  = errors.New("expired certificate")
	errAuthority           = errors.New("certificate of an unknown authority")
	errUnfit               = errors.New("certificate is not fit for a client")
)

// prove judges what a client brings to prove that it is the identity, and
// returns when that expires; zero is never.
func (b *Broker) prove(conn net.Conn, password string, identity store.Identity) (expires time.Time, err error) {
	byToken := identity.Type == store.AuthSAS
	switch {
	case byToken && password == "":
		return time.Time{}, errPasswordExpected
	case byToken:
		return b.verify(password, identity)
	case password != "":
		return time.Time{}, errCertificateExpected
	default:
		return time.Time{}, b.verifyCertificate(conn, identity)
	}
}

// verifyCertificate judges the certificate of an identity that logs in by one.
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

// verifyThumbprint takes the digest by either algorithm: SHA-1 is what IoT
// Hub's portal asks for, SHA-256 what the provisioning service fills in.
func verifyThumbprint(leaf *x509.Certificate, identity store.Identity) error {
	short, long := sha1.Sum(leaf.Raw), sha256.Sum256(leaf.Raw) //nolint:gosec // see the import
	own := []string{hex.EncodeToString(short[:]), hex.EncodeToString(long[:])}
	for _, registered := range []string{identity.PrimaryThumbprint, identity.SecondaryThumbprint} {
		if slices.Contains(own, plainThumbprint(registered)) {
			return nil
		}
	}
	return errThumbprint
}

// plainThumbprint undoes the ways in which tools print a thumbprint.
func plainThumbprint(s string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(s))
}

// verifyChain judges a chain, leaf first, for its way to the hub's authority.
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
		return errUnfit
	case invalid.Reason == x509.Expired:
		return fmt.Errorf("%w, in the chain above the client's", errCertificateExpired)
	default: // the text is cut, for it may hold names of the client's choice
		return fmt.Errorf("%w: %.300s", errAuthority, err.Error())
	}
}

// clientCertificates returns the chain that the client presented to TLS, the
// leaf first; none without TLS. TLS may be below conn, see ServeConn.
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
