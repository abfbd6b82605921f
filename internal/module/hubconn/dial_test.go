package hubconn_test

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
	"testing"
	"time"

	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/hubtest"
	"rtsptunnel/internal/testkit/nettest"
)

// A hub that cannot be verified receives no byte, and the reason says what to do.
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
			ca, err := localca.New("unknown")
			if err != nil {
				t.Fatal(err)
			}
			return issue(t, ca, hubtest.GatewayName)
		}, nil, 0, reason.HubTLSCA, "unknown authority"},
		"expired intermediate": {expiredIntermediate(t), nil, 0, reason.HubTLSExpired, `the certificate of "intermediate" is valid`},
		"TLS 1.1":              {good, nil, tls.VersionTLS11, reason.HubTLS, "protocol version"},
	} {
		for _, p := range protocols {
			t.Run(name+" "+string(p), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				config := &tls.Config{Certificates: []tls.Certificate{c.cert(s)}, MinVersion: tls.VersionTLS10, MaxVersion: c.version}
				received := make(chan int64, 1)
				address := nettest.Listen(t, func(conn net.Conn) {
					n, _ := io.Copy(io.Discard, tls.Server(conn, config))
					received <- n
				})
				s.o.Now = c.now
				s.anyKey()
				expect(t, s.connect(t, p, address, patience), c.want, c.text)
				if n := <-received; n != 0 {
					t.Errorf("the hub received %d bytes", n)
				}
			})
		}
	}
}

// expiredIntermediate is a chain with an expired intermediate certificate, as IoT Edge's
// quick-start certificates become.
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

// Only a WebSocket for MQTT is accepted. A redirect is not followed, and an answer without
// an end is cut off.
func TestWebSocket_isForMQTT(t *testing.T) {
	t.Parallel()
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
	came := make(chan string, 16)
	other := nettest.Listen(t, func(net.Conn) { came <- "redirected" })
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
		"6 informational":        {strings.Repeat("HTTP/1.1 103 X\r\n\r\n", 6) + upgrade + "Sec-WebSocket-Protocol: mqtt\r\n\r\n", reason.HubUpgrade},
		"informational, text":    {strings.Repeat("HTTP/1.1 103 X\r\nX: y\r\n\r\n", 5) + upgrade + "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x81\x04\x20\x02\x00\x00", reason.HubLost},
		"text instead of binary": {upgrade + "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x81\x04\x20\x02\x00\x00", reason.HubLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.anyKey()
			address := s.tlsServer(t, func(conn net.Conn) { answerUpgrade(conn, c.answer) })
			text := ""
			if c.want == reason.HubLost {
				text = "text message on a WebSocket of bytes"
			}
			expect(t, s.connect(t, hubconn.MQTTWS, address, 2*time.Second), c.want, text)
		})
	}
	t.Cleanup(func() { // when the parallel ones are over
		if len(came) != 0 {
			t.Error("a redirect was followed")
		}
	})
}

// answerUpgrade answers a WebSocket handshake, with the right key in place of {accept}.
func answerUpgrade(conn net.Conn, answer string) {
	buffered := bufio.NewReader(conn)
	r, err := http.ReadRequest(buffered)
	if err != nil || r.URL.Path != "/$iothub/websocket" || r.Header.Get("Sec-WebSocket-Protocol") != "mqtt" || r.Host != hubtest.GatewayName {
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = io.WriteString(conn, strings.Replace(answer, "{accept}", base64.StdEncoding.EncodeToString(sum[:]), 1))
	if answer != "" {
		_, _ = io.Copy(io.Discard, buffered) // until the module closes
	}
}
