package hubconn_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/hubtest"
)

// login is what a CONNECT and the TLS handshake before it contained.
type login struct {
	clientID, user, password string
	hasPassword              bool
	certificate              string // its name; empty if none was sent
}

// loginRecorder is a hub that asks for a certificate of another authority, records each
// login and closes the connection.
func loginRecorder(t *testing.T, ca *localca.CA, version uint16) (address string, logins chan login) {
	t.Helper()
	cert, err := ca.Issue("hub.rtsptunnel.test")
	if err != nil {
		t.Fatal(err)
	}
	other, err := localca.New("known to the hub")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, MaxVersion: version,
		ClientAuth: tls.RequestClientCert, ClientCAs: other.Pool(),
	})
	if err != nil {
		t.Fatal(err)
	}
	logins = make(chan login, 16)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			p, err := packets.ReadPacket(c)
			if connect, ok := p.(*packets.ConnectPacket); ok && err == nil {
				logins <- loginOf(c, connect)
			}
			c.Close()
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return ln.Addr().String(), logins
}

func loginOf(c net.Conn, p *packets.ConnectPacket) login {
	l := login{clientID: p.ClientIdentifier, user: p.Username, password: string(p.Password), hasPassword: len(p.Password) > 0}
	if certs := c.(*tls.Conn).ConnectionState().PeerCertificates; len(certs) > 0 {
		l.certificate = certs[0].Subject.CommonName
	}
	return l
}

func next(t *testing.T, logins chan login) login {
	t.Helper()
	select {
	case l := <-logins:
		return l
	default:
		t.Fatal("the hub got no CONNECT")
		return login{}
	}
}

// A certificate is sent whatever authorities the hub names, without a password. It is read
// again for each connect; if that fails, there are no credentials for this one.
func TestCertificate_isShown(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			address, logins := loginRecorder(t, s.CA(), version)
			calls := 0
			s.o.Identity = hubconn.Identity{HubHost: hubtest.HubName, DeviceID: "d1", Auth: hubconn.Certificate{
				Certificate: func() (tls.Certificate, error) {
					calls++
					if calls == 3 {
						return tls.Certificate{}, errors.New("no file")
					}
					return s.CA().Issue("device-" + strconv.Itoa(calls))
				},
				Roots: s.roots,
			}}
			d := s.dialer(t) // New is the first call
			connect := func() error {
				return use(t, d, d.Route(hubconn.MQTT, address), patience, func(*hubconn.Conn) error { return nil })
			}
			for _, want := range []string{"device-2", "", "device-4"} {
				if err := connect(); want == "" {
					expect(t, err, reason.HubCredentials, "no file")
					continue
				}
				l := next(t, logins)
				if l.certificate != want || l.hasPassword || l.clientID != "d1" || !strings.HasPrefix(l.user, "hub.rtsptunnel.test/d1/?api-version=2021-04-12") {
					t.Errorf("login %+v, want %s", l, want)
				}
			}
		})
	}
}

func TestNew_noCredentials(t *testing.T) {
	none := errors.New("none")
	roots := func() (*x509.CertPool, error) { return nil, nil }
	cert := func() (tls.Certificate, error) { return tls.Certificate{}, nil }
	for name, id := range map[string]hubconn.Identity{
		"no key":               {Auth: hubconn.SymmetricKey{Key: func() ([]byte, error) { return nil, none }, Roots: roots}},
		"no roots for a key":   {Auth: hubconn.SymmetricKey{Key: func() ([]byte, error) { return nil, nil }, Roots: func() (*x509.CertPool, error) { return nil, none }}},
		"no certificate":       {Auth: hubconn.Certificate{Certificate: func() (tls.Certificate, error) { return tls.Certificate{}, none }, Roots: roots}},
		"no roots":             {Auth: hubconn.Certificate{Certificate: cert, Roots: func() (*x509.CertPool, error) { return nil, none }}},
		"module's certificate": {ModuleID: "m", Auth: hubconn.Certificate{Certificate: cert, Roots: roots}},
	} {
		if _, err := hubconn.New(hubconn.Options{Identity: id}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The token is for the identity alone, each id escaped once and the whole once more, with
// the hub's own name although the gateway is dialed.
func TestSymmetricKey_signs(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	for name, c := range map[string]struct{ device, module, sr string }{
		"device": {"d+1#", "", "hub1%2Fdevices%2Fd%252B1%2523"},
		"module": {"d=1", "m%1", "hub1%2Fdevices%2Fd%253D1%2Fmodules%2Fm%25251"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			address, logins := loginRecorder(t, s.CA(), tls.VersionTLS13)
			s.o.Identity = hubconn.Identity{
				HubHost: "hub1", GatewayHost: "hub.rtsptunnel.test", DeviceID: c.device, ModuleID: c.module,
				Auth: hubconn.SymmetricKey{Key: func() ([]byte, error) { return []byte(key), nil }, Roots: s.roots},
			}
			_ = s.connect(t, hubconn.MQTT, address, patience) // the hub hangs up
			l := next(t, logins)
			text, ok := strings.CutPrefix(l.password, "SharedAccessSignature ")
			fields, err := url.ParseQuery(text)
			if !ok || err != nil || !strings.HasPrefix(text, "sr="+c.sr+"&") {
				t.Fatalf("token %s, %v; want sr=%s", text, err, c.sr)
			}
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte(c.sr + "\n" + fields.Get("se")))
			if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); fields.Get("sig") != want {
				t.Errorf("signature %s, want %s", fields.Get("sig"), want)
			}
			if !strings.HasPrefix(l.user, "hub1/"+c.device) || l.certificate != "" {
				t.Errorf("login %+v", l)
			}
		})
	}
}
