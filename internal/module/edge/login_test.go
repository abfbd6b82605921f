package edge_test

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
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/module/edge"
)

// login is what a client showed of itself.
type login struct {
	clientID, user, password string
	hasPassword              bool
	certificate              string // its name; empty if it showed none
}

// doorkeeper is a hub that asks for a certificate of another authority, tells who
// logs in, and hangs up.
func doorkeeper(t *testing.T, ca *localca.CA, version uint16) (address string, logins chan login) {
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

func next(t *testing.T, s *site, logins chan login) login {
	t.Helper()
	select {
	case l := <-logins:
		return l
	case <-time.After(2 * patience):
		t.Fatalf("nobody logs in:\n%s", s.log)
		return login{}
	}
}

// A certificate is shown whatever authorities the hub names, without a password, and
// is asked for anew for each connect; one that cannot be had costs an attempt.
func TestCertificate_isShown(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			var logins chan login
			s.o.Address, logins = doorkeeper(t, s.CA(), version)
			var mu sync.Mutex
			calls := 0
			s.o.Identity = edge.Identity{HubHost: "hub.rtsptunnel.test", DeviceID: "d1", Login: edge.Certificate{
				Certificate: func() (tls.Certificate, error) {
					mu.Lock()
					defer mu.Unlock()
					calls++
					if calls == 3 {
						return tls.Certificate{}, errors.New("no file")
					}
					return s.CA().Issue("device-" + strconv.Itoa(calls))
				},
				Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
			}}
			s.run(t) // New was the first call
			for _, want := range []string{"device-2", "device-4"} {
				l := next(t, s, logins)
				if l.certificate != want || l.hasPassword || l.clientID != "d1" || !strings.HasPrefix(l.user, "hub.rtsptunnel.test/d1/?api-version=2021-04-12&") {
					t.Errorf("login %+v, want %s", l, want)
				}
			}
			s.log.Await(t, "no file", 1)
		})
	}
}

func TestNew_loginThatCannotBeHad(t *testing.T) {
	none := errors.New("none")
	roots := func() (*x509.CertPool, error) { return nil, nil }
	cert := func() (tls.Certificate, error) { return tls.Certificate{}, nil }
	for name, id := range map[string]edge.Identity{
		"no key":               {Login: edge.Key{Key: func() ([]byte, error) { return nil, none }, Roots: roots}},
		"no roots for a key":   {Login: edge.Key{Key: func() ([]byte, error) { return nil, nil }, Roots: func() (*x509.CertPool, error) { return nil, none }}},
		"no certificate":       {Login: edge.Certificate{Certificate: func() (tls.Certificate, error) { return tls.Certificate{}, none }, Roots: roots}},
		"no roots":             {Login: edge.Certificate{Certificate: cert, Roots: func() (*x509.CertPool, error) { return nil, none }}},
		"module's certificate": {ModuleID: "m", Login: edge.Certificate{Certificate: cert, Roots: roots}},
	} {
		if _, err := edge.New(edge.Options{Identity: id}); err == nil {
			t.Errorf("%s: taken for a login", name)
		}
	}
}

// The token is for the identity alone, each id escaped once and the whole once more,
// with the hub's own name although the gateway is dialled.
func TestKey_signs(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	for name, c := range map[string]struct{ device, module, sr string }{
		"device": {"d+1#", "", "hub1%2Fdevices%2Fd%252B1%2523"},
		"module": {"d=1", "m%1", "hub1%2Fdevices%2Fd%253D1%2Fmodules%2Fm%25251"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			var logins chan login
			s.o.Address, logins = doorkeeper(t, s.CA(), tls.VersionTLS13)
			s.o.Identity = edge.Identity{
				HubHost: "hub1", GatewayHost: "hub.rtsptunnel.test", DeviceID: c.device, ModuleID: c.module,
				Login: edge.Key{
					Key:   func() ([]byte, error) { return []byte(key), nil },
					Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
				},
			}
			s.run(t)
			l := next(t, s, logins)
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
