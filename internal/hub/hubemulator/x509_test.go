package hubemulator_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice"
	iothubmqtt "github.com/amenzhinsky/iothub/iotdevice/transport/mqtt"
	"github.com/amenzhinsky/iothub/logger"
	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator"
)

// deviceCertificate returns a certificate for device x1, either signed with the hub's
// authority in its directory, as a user would do it, or self-signed.
func deviceCertificate(t *testing.T, hub *hubemulator.Hub, ofAuthority bool) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "x1"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, any(key)
	if ofAuthority {
		ca, err := tls.LoadX509KeyPair(hub.CAFile(), filepath.Join(filepath.Dir(hub.CAFile()), "ca-key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// amenzhinsky/iothub logs in with a certificate, over TLS and over WebSocket, as a device
// that is registered over REST. The test changes only the port, the hub's authority and
// the name in its certificate.
func TestX509_withIothubLibrary(t *testing.T) {
	t.Parallel()
	for _, webSocket := range []bool{false, true} {
		for _, ofAuthority := range []bool{false, true} {
			t.Run(fmt.Sprintf("webSocket=%t,ofAuthority=%t", webSocket, ofAuthority), func(t *testing.T) {
				t.Parallel()
				hub, _ := start(t)
				s := newService(t, hub)
				certificate := deviceCertificate(t, hub, ofAuthority)
				authentication := `{"type":"certificateAuthority"}`
				if !ofAuthority {
					authentication = fmt.Sprintf(`{"type":"selfSigned","x509Thumbprint":{"primaryThumbprint":"%X"}}`,
						sha256.Sum256(certificate.Certificate[0]))
				}
				registerX509(t, hub, authentication)
				transport := newX509Transport(hub, webSocket)
				t.Cleanup(func() { _ = transport.Close() })
				err := transport.Connect(t.Context(), &iotdevice.X509Credentials{HostName: hostName, DeviceID: "x1", Certificate: &certificate})
				if err != nil {
					t.Fatal(err)
				}
				if version, err := transport.UpdateTwinProperties(t.Context(), []byte(`{"r":true}`)); err != nil || version != 2 {
					t.Errorf("reported patch: version %d, %v; want 2", version, err)
				}
				if got := string(s.must(t, "GET", "/devices/x1", "")); !strings.Contains(got, `"connectionState":"Connected"`) {
					t.Errorf("not connected: %s", got)
				}
			})
		}
	}
}

// registerX509 registers device x1.
func registerX509(t *testing.T, hub *hubemulator.Hub, authentication string) {
	t.Helper()
	if _, err := hub.AddModule("x1", "m1"); err != nil {
		t.Fatal(err)
	}
	newService(t, hub).must(t, "PUT", "/devices/x1", `{"deviceId":"x1","authentication":`+authentication+`}`)
}

func newX509Transport(hub *hubemulator.Hub, webSocket bool) *iothubmqtt.Transport {
	transport := iothubmqtt.New(iothubmqtt.WithWebSocket(webSocket), iothubmqtt.WithClientOptionsConfig(func(o *paho.ClientOptions) {
		o.Servers[0].Host = hub.MQTTAddr()
		if webSocket {
			o.Servers[0].Host = hub.HTTPSAddr()
		}
		o.TLSConfig.RootCAs, o.TLSConfig.ServerName = hub.CA().Pool(), hostName
		o.SetOrderMatters(false)
	}))
	transport.SetLogger(logger.New(logger.LevelOff, nil))
	return transport
}

// The hub refuses the certificate of another authority, over TLS and over WebSocket. A
// module that sends such a certificate can still log in with a token.
func TestX509_foreignCertificate(t *testing.T) {
	t.Parallel()
	hub, generation := start(t)
	registerX509(t, hub, `{"type":"certificateAuthority"}`)
	foreign := deviceCertificate(t, hub, false)
	for _, path := range []string{"", webSocketPath} {
		o := options(t, hub, generation)
		if path != "" {
			overWebSocket(hub, o, path)
		}
		o.TLSConfig.Certificates = []tls.Certificate{foreign}
		o.SetAutoReconnect(false) // otherwise the first connection would replace the second
		connect(t, o)
		o.SetClientID("x1").SetUsername(hostName + "/x1/?api-version=2021-04-12").SetPassword("")
		token := paho.NewClient(o).Connect().(*paho.ConnectToken)
		if !token.WaitTimeout(testTimeout) || token.ReturnCode() != 5 {
			t.Errorf("path %q: CONNACK %d, %v; want 5", path, token.ReturnCode(), token.Error())
		}
	}
}
