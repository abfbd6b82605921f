package edge_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/testkit/hubtest"
)

// at makes both addresses of the hub this one.
func (s *site) at(address string, p edge.Protocol) {
	s.o.Address, s.o.WebSocketAddress, s.o.Protocol = address, address, p
}

var protocols = []edge.Protocol{edge.MQTT, edge.MQTTWS}

func issue(t *testing.T, ca *localca.CA, name string) tls.Certificate {
	t.Helper()
	cert, err := ca.Issue(name)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// A hub that cannot be verified gets not a byte, and its reason says what to do.
func TestTLS_reasons(t *testing.T) {
	t.Parallel()
	decades := func(n int) func() time.Time {
		return func() time.Time { return time.Now().AddDate(10*n, 0, 0) }
	}
	start := func() time.Time { return time.Unix(3600, 0) }
	good := func(s *site) tls.Certificate { return issue(t, s.CA(), hubtest.GatewayName) }
	for name, c := range map[string]struct {
		cert    func(*site) tls.Certificate
		now     func() time.Time
		version uint16 // at most; none if 0
		want    reason.Code
		text    string
	}{
		"expired":       {good, decades(1), 0, reason.HubTLSExpired, "this device's clock says 203"},
		"not yet valid": {good, decades(-1), 0, reason.HubTLSNotYet, "this device's clock says 201"},
		"1970":          {good, start, 0, reason.HubTLSNotYet, "this device's clock says 1970-01-01T01:00:00Z"},
		"wrong name":    {func(s *site) tls.Certificate { return issue(t, s.CA(), "other.test") }, nil, 0, reason.HubTLSName, "other.test"},
		"unknown CA": {func(*site) tls.Certificate {
			ca, err := localca.New("somebody")
			if err != nil {
				t.Fatal(err)
			}
			return issue(t, ca, hubtest.GatewayName)
		}, nil, 0, reason.HubTLSCA, "unknown authority"},
		"expired intermediate": {expiredIntermediate(t), nil, 0, reason.HubTLSExpired, `the certificate of \"intermediate\" is valid`},
		"TLS 1.1":              {good, nil, tls.VersionTLS11, reason.HubTLS, "protocol version"},
	} {
		for _, p := range protocols {
			t.Run(name+" "+string(p), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				var told atomic.Int64
				config := &tls.Config{Certificates: []tls.Certificate{c.cert(s)}, MinVersion: tls.VersionTLS10, MaxVersion: c.version}
				s.at(listen(t, func(conn net.Conn) {
					n, _ := io.Copy(io.Discard, tls.Server(conn, config))
					told.Add(n)
				}), p)
				s.o.Now = c.now
				s.trust(t)
				stop := s.run(t)
				s.log.Await(t, `"reason":"`+string(c.want)+`","protocol":"`+string(p)+`"`, 1)
				stop()
				if !strings.Contains(s.log.String(), c.text) {
					t.Errorf("the log does not say %q:\n%s", c.text, s.log)
				}
				if told.Load() != 0 {
					t.Errorf("the hub was told %d bytes", told.Load())
				}
			})
		}
	}
}

// trust makes the hub's authority the one root, without the workload API, whose
// tokens have nothing to do with it.
func (s *site) trust(t *testing.T) {
	t.Helper()
	s.o.Identity.Login = edge.Key{
		Key:   func() ([]byte, error) { return []byte("key"), nil },
		Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
	}
}

// expiredIntermediate is a chain whose middle's time is over, as happens to IoT Edge's
// quick-start certificates.
func expiredIntermediate(t *testing.T) func(*site) tls.Certificate {
	t.Helper()
	sign := func(name string, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		template.SerialNumber, template.Subject = big.NewInt(int64(len(name))), pkix.Name{CommonName: name}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	var keys [3]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	past, future := time.Now().Add(-48*time.Hour), time.Now().Add(48*time.Hour)
	root := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, NotBefore: past, NotAfter: future, IsCA: true, BasicConstraintsValid: true}
	middle := &x509.Certificate{Subject: pkix.Name{CommonName: "intermediate"}, NotBefore: past, NotAfter: time.Now().Add(-time.Hour), IsCA: true, BasicConstraintsValid: true}
	leaf := &x509.Certificate{NotBefore: past, NotAfter: future, DNSNames: []string{hubtest.GatewayName}}
	middleDER := sign("intermediate", middle, root, keys[1], keys[0])
	leafDER := sign("leaf", leaf, middle, keys[2], keys[1])
	return func(*site) tls.Certificate {
		return tls.Certificate{Certificate: [][]byte{leafDER, middleDER}, PrivateKey: keys[2]}
	}
}

// hub serves connections behind a good certificate.
func (s *site) hub(t *testing.T, p edge.Protocol, serve func(net.Conn)) {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, s.CA(), hubtest.GatewayName)}}
	s.at(listen(t, func(conn net.Conn) { serve(tls.Server(conn, config)) }), p)
}

func TestConnack_reasons(t *testing.T) {
	t.Parallel()
	for want, answer := range map[reason.Code]string{
		reason.HubLogin:       "\x20\x02\x00\x05",
		reason.HubUnavailable: "\x20\x02\x00\x03",
		reason.HubProtocol:    "\x20\x02\x00\x01",
		reason.HubLost:        "",
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.hub(t, edge.MQTT, func(c net.Conn) {
				if _, err := packets.ReadPacket(c); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			})
			s.run(t)
			s.log.Await(t, `"reason":"`+string(want)+`"`, 1)
		})
	}
}

// What is no WebSocket for MQTT is none; a redirect is not followed, and an answer
// without an end is not waited for.
func TestWebSocket_isForMQTT(t *testing.T) {
	t.Parallel()
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
	came := make(chan string, 16)
	other := hangUp(t, came, "redirected")
	for name, c := range map[string]struct {
		answer string
		want   reason.Code
	}{
		"200":                    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reason.HubUpgrade},
		"401":                    {"HTTP/1.1 401 Unauthorized\r\n\r\n", reason.HubUpgrade},
		"redirect":               {"HTTP/1.1 307 X\r\nLocation: https://" + other + "/\r\nContent-Length: 0\r\n\r\n", reason.HubUpgrade},
		"no subprotocol":         {upgrade + "\r\n", reason.HubUpgrade},
		"another":                {upgrade + "Sec-WebSocket-Protocol: AMQPWSB10\r\n\r\n", reason.HubUpgrade},
		"an extension":           {upgrade + "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: x\r\n\r\n", reason.HubUpgrade},
		"not HTTP":               {"SSH-2.0\r\n\r\n", reason.HubUpgrade},
		"nothing":                {"", reason.HubUpgrade},
		"endless":                {"HTTP/1.1 101 X\r\n" + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 1000), reason.HubUpgrade},
		"text instead of binary": {upgrade + "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x81\x04\x20\x02\x00\x00", reason.HubLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.hub(t, edge.MQTTWS, func(conn net.Conn) { answerUpgrade(conn, c.answer) })
			s.start(t, func(ts *edge.Times) { quick(ts); ts.Connect = 2 * time.Second }) // 401 has a body without an end
			s.log.Await(t, `"reason":"`+string(c.want)+`","protocol":"mqttws"`, 1)
			log := s.log.String()
			if strings.Contains(log, "connected to the hub") || c.want == reason.HubLost && !strings.Contains(log, "text message on MQTT's WebSocket") {
				t.Errorf("the log:\n%s", log)
			}
		})
	}
	t.Cleanup(func() { // when the parallel ones are over
		if len(came) != 0 {
			t.Error("a redirect was followed")
		}
	})
}

// answerUpgrade answers a WebSocket handshake; {accept} is the right key.
func answerUpgrade(conn net.Conn, answer string) {
	buffered := bufio.NewReader(conn)
	r, err := http.ReadRequest(buffered)
	if err != nil || r.URL.Path != "/$iothub/websocket" || r.Header.Get("Sec-WebSocket-Protocol") != "mqtt" || r.Host != hubtest.GatewayName {
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = io.WriteString(conn, strings.Replace(answer, "{accept}", base64.StdEncoding.EncodeToString(sum[:]), 1))
	if answer != "" {
		_, _ = io.Copy(io.Discard, buffered) // until the module hangs up
	}
}

// A hub that falls silent in any phase costs the time of one attempt.
func TestConnect_silence(t *testing.T) {
	t.Parallel()
	wait := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for name, c := range map[string]struct {
		protocol edge.Protocol
		raw      bool
		serve    func(net.Conn)
	}{
		"no TLS":       {edge.MQTT, true, wait},
		"no CONNACK":   {edge.MQTT, false, wait},
		"no WebSocket": {edge.MQTTWS, false, wait},
		"WebSocket, no CONNACK": {edge.MQTTWS, false, func(c net.Conn) {
			answerUpgrade(c, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.hub(t, c.protocol, c.serve)
			if c.raw {
				s.at(listen(t, c.serve), c.protocol)
			}
			s.start(t, func(ts *edge.Times) { quick(ts); ts.Connect = time.Second })
			s.log.Await(t, `"reason":"HUB_TIMEOUT"`, 1)
		})
	}
}

// A module that ends does not wait for a handshake that hangs.
func TestRun_endsWhileTheWebSocketIsSilent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	asked := make(chan struct{}, 16)
	s.hub(t, edge.MQTTWS, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			asked <- struct{}{}
			_, _ = io.Copy(io.Discard, c)
		}
	})
	stop := s.run(t)
	<-asked
	begin := time.Now()
	stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}
