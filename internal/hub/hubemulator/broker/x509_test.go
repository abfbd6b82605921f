package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// authority signs the certificates of clients.
type authority struct {
	tls.Certificate
	pool *x509.CertPool
}

// clientCA is the authority that the brokers of these tests accept.
var clientCA = sync.OnceValue(func() *authority { return newAuthority(nil) })

// newAuthority returns an authority that parent signed; it is self-signed if parent is nil.
func newAuthority(parent *authority) *authority {
	template := leafOf("authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	template.ExtKeyUsage = nil
	a := &authority{Certificate: issue(template, parent), pool: x509.NewCertPool()}
	a.pool.AddCert(a.Leaf)
	return a
}

// leafOf returns a template for the certificate of a client.
func leafOf(commonName string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: commonName},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// issue creates a certificate and its key. by signs it; it is self-signed if by is nil.
func issue(template *x509.Certificate, by *authority) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey.(*ecdsa.PrivateKey)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func thumbprint(c tls.Certificate) string { return fmt.Sprintf("%x", sha1.Sum(c.Leaf.Raw)) }

// register changes the authentication of an identity.
func (e *env) register(t *testing.T, id store.ID, a store.Authentication) {
	t.Helper()
	if _, err := e.store.Update(id, store.Settings{Authentication: a}, ""); err != nil {
		t.Fatal(err)
	}
}

// withCertificate changes o to the options of a client without a password, and with the
// given certificates, if any.
func withCertificate(e *env, o *paho.ClientOptions, certs ...tls.Certificate) *paho.ClientOptions {
	return o.SetPassword("").SetTLSConfig(&tls.Config{RootCAs: e.ca.Pool(), Certificates: certs})
}

func TestX509_accepted(t *testing.T) {
	self := issue(leafOf("anything"), nil)
	long := fmt.Sprintf("%X", sha256.Sum256(self.Leaf.Raw))
	colons := strings.TrimSuffix(fmt.Sprintf("% X", sha1.Sum(self.Leaf.Raw)), " ")
	selfSigned := func(primary, secondary string) store.Authentication {
		return store.Authentication{Type: store.AuthSelfSigned, PrimaryThumbprint: primary, SecondaryThumbprint: secondary}
	}
	signed := store.Authentication{Type: store.AuthAuthority}
	deep := newAuthority(clientCA())
	chain := issue(leafOf("d1"), deep)
	chain.Certificate = append(chain.Certificate, deep.Leaf.Raw)
	serverToo := leafOf("d1")
	serverToo.ExtKeyUsage = append(serverToo.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	noUsage := leafOf("d1")
	noUsage.ExtKeyUsage = nil

	tests := []struct {
		name           string
		id             store.ID
		authentication store.Authentication
		certificate    tls.Certificate
	}{
		{"SHA-1", device, selfSigned(thumbprint(self), ""), self},
		{"SHA-256, secondary, upper case", device, selfSigned("00", long), self},
		{"with blanks", device, selfSigned(colons, ""), self},
		{"with colons", device, selfSigned(strings.ReplaceAll(colons, " ", ":"), ""), self},
		{"a module's thumbprint", module, selfSigned(thumbprint(self), ""), self},
		{"of the authority", device, signed, issue(leafOf("d1"), clientCA())},
		{"by an intermediate", device, signed, chain},
		{"for servers as well", device, signed, issue(serverToo, clientCA())},
		{"without extended key usage", device, signed, issue(noUsage, clientCA())},
		{"a module of the authority", module, signed, issue(leafOf("d1/m1"), clientCA())},
		{"a token and a certificate", module, store.Authentication{}, self},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t)
			e.register(t, tt.id, tt.authentication)
			o := e.options(t, tt.id)
			password := o.Password
			withCertificate(e, o, tt.certificate)
			if tt.authentication.Type == "" {
				o.SetPassword(password)
			}
			subscribe(t, connect(t, o), "$iothub/twin/res/#")
		})
	}
}

// refusedCertificate is a login that the broker refuses.
type refusedCertificate struct {
	name        string
	id          store.ID
	kind        string
	certificate tls.Certificate
	reason      string // in the log
}

// changed issues a certificate for d1 after a change of its template.
func changed(by *authority, change func(*x509.Certificate)) tls.Certificate {
	template := leafOf("d1")
	change(template)
	return issue(template, by)
}

// expiredChain returns a valid certificate whose authority has expired.
func expiredChain() tls.Certificate {
	expired := newAuthority(clientCA())
	expired.Leaf.NotAfter = expired.Leaf.NotBefore
	expired.Certificate = issue(expired.Leaf, clientCA())
	chain := issue(leafOf("d1"), expired)
	chain.Certificate = append(chain.Certificate, expired.Leaf.Raw)
	return chain
}

// signedByDevice returns a certificate that the certificate of a device signed.
func signedByDevice(device tls.Certificate) tls.Certificate {
	chain := issue(leafOf("d1"), &authority{Certificate: device})
	chain.Certificate = append(chain.Certificate, device.Leaf.Raw)
	return chain
}

func refusedCertificates(self tls.Certificate) []refusedCertificate {
	signed := issue(leafOf("d1"), clientCA())
	old := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotBefore.Add(-time.Hour), c.NotBefore }
	early := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = c.NotAfter, c.NotAfter.Add(time.Hour) }
	server := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	bySelf, byCA := store.AuthSelfSigned, store.AuthAuthority
	return []refusedCertificate{
		{"another's thumbprint", device, bySelf, signed, "thumbprint matches neither"},
		{"expired, selfSigned", device, bySelf, changed(nil, old), "expired certificate"},
		{"too early, selfSigned", device, bySelf, changed(nil, early), "not valid yet"},
		{"none, selfSigned", device, bySelf, tls.Certificate{}, "no certificate presented"},
		{"none, of the authority", device, byCA, tls.Certificate{}, "no certificate presented"},
		{"another device's", device, byCA, issue(leafOf("d2"), clientCA()), "wrong common name"},
		{"in other case", device, byCA, issue(leafOf("D1"), clientCA()), "wrong common name"},
		{"no name", device, byCA, issue(leafOf(""), clientCA()), "wrong common name"},
		{"the module's", device, byCA, issue(leafOf("d1/m1"), clientCA()), "wrong common name"},
		{"the device's, for a module", module, byCA, signed, "wrong common name"},
		{"expired, of the authority", device, byCA, changed(clientCA(), old), "expired certificate"},
		{"too early, of the authority", device, byCA, changed(clientCA(), early), "not valid yet"},
		{"self-signed, not of the authority", device, byCA, self, "unknown authority"},
		{"another authority's", device, byCA, issue(leafOf("d1"), newAuthority(nil)), "unknown authority"},
		{"signed by a device certificate", device, byCA, signedByDevice(signed), "unknown authority"},
		{"expired authority's", device, byCA, expiredChain(), "expired certificate, in the chain"},
		{"a server's", device, byCA, changed(clientCA(), server), "not for client authentication"},
		{"for an identity with keys", device, store.AuthSAS, signed, "password expected"},
		{"nothing for an identity with keys", device, store.AuthSAS, tls.Certificate{}, "password expected"},
	}
}

func TestX509_refused(t *testing.T) {
	self := issue(leafOf("d1"), nil)
	for _, tt := range refusedCertificates(self) {
		t.Run(tt.name, func(t *testing.T) {
			e := start(t)
			registered := store.Authentication{Type: tt.kind, PrimaryThumbprint: thumbprint(self)}
			if tt.reason != "thumbprint matches neither" && tt.certificate.Leaf != nil {
				registered.PrimaryThumbprint = thumbprint(tt.certificate)
			}
			e.register(t, tt.id, registered)
			o := withCertificate(e, e.options(t, tt.id))
			if tt.certificate.Leaf != nil {
				o.TLSConfig.Certificates = []tls.Certificate{tt.certificate}
			}
			wantRefusal(t, e, o, tt.reason)
		})
	}
}

// An identity that logs in by certificate cannot use a token, with or without a
// certificate.
func TestX509_tokenRefused(t *testing.T) {
	self := issue(leafOf("d1"), nil)
	for _, kind := range []string{store.AuthSelfSigned, store.AuthAuthority} {
		t.Run(kind, func(t *testing.T) {
			e := start(t)
			o := e.options(t, device) // with a token signed with the old key of the device
			e.register(t, device, store.Authentication{Type: kind, PrimaryThumbprint: thumbprint(self)})
			wantRefusal(t, e, o, "certificate expected")
			o.TLSConfig.Certificates = []tls.Certificate{self}
			wantRefusal(t, e, o, "certificate expected")
		})
	}
}

func wantRefusal(t *testing.T, e *env, o *paho.ClientOptions, reason string) {
	t.Helper()
	before := len(e.log.String())
	if got := refusedWith(t, o); got != 5 {
		t.Errorf("CONNACK %d, want 5", got)
	}
	log := e.log.String()[before:]
	if !strings.Contains(log, "login refused") || !strings.Contains(log, reason) {
		t.Errorf("the log does not contain %q:\n%s", reason, log)
	}
	if len(log) > 1000 {
		t.Errorf("log of %d bytes", len(log))
	}
}

// Names that a client chooses do not fill the log.
func TestX509_longNames(t *testing.T) {
	e := start(t)
	e.register(t, device, store.Authentication{Type: store.AuthAuthority})
	long := strings.Repeat("x", 10_000)
	wantRefusal(t, e, withCertificate(e, e.options(t, device), issue(leafOf(long), clientCA())), "wrong common name")
	// The error for an authority with the right name and another key contains its name.
	template := leafOf(long)
	template.IsCA, template.BasicConstraintsValid = true, true
	leaf := issue(leafOf("d1"), &authority{Certificate: issue(template, nil)})
	leaf.Certificate = append(leaf.Certificate, issue(template, clientCA()).Leaf.Raw)
	wantRefusal(t, e, withCertificate(e, e.options(t, device), leaf), "unknown authority")
}

// If a certificate is no longer valid when the session starts, the connection is cut,
// as with tokens.
func TestX509_changedBeforeSession(t *testing.T) {
	self := issue(leafOf("d1"), nil)
	e := start(t)
	e.register(t, device, store.Authentication{Type: store.AuthSelfSigned, PrimaryThumbprint: thumbprint(self)})
	e.log.at(broker.MessageLoggedIn, func() {
		e.register(t, device, store.Authentication{Type: store.AuthSelfSigned, PrimaryThumbprint: "00"})
	})
	o := withCertificate(e, e.options(t, device), self)
	lost := lossOf(o)
	client := paho.NewClient(o)
	if token := client.Connect(); token.WaitTimeout(patience) && token.Error() == nil {
		next(t, lost)
	}
	if log := e.log.String(); !strings.Contains(log, "the login is not valid any more") {
		t.Errorf("the log has no reason:\n%s", log)
	}
}
