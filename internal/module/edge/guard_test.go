package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/module/edge"
)

// replaced makes serve the site's hub, on connections that have TLS already, and the
// module log in by a key.
func (s *site) replaced(t *testing.T, serve func(net.Conn)) {
	t.Helper()
	cert, err := s.CA().Issue("edge.rtsptunnel.test")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.o.Address = listen(t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		defer conn.Close()
		serve(conn)
	})
	s.o.Identity.Login = edge.Key{
		Key:   func() ([]byte, error) { return []byte("key"), nil },
		Roots: func() (*x509.CertPool, error) { return s.CA().Pool(), nil },
	}
}

// after waits for the client's next packet and sends these bytes.
func after(conn net.Conn, answer string) error {
	if _, err := packets.ReadPacket(conn); err != nil {
		return err
	}
	_, err := io.WriteString(conn, answer)
	return err
}

// What the MQTT client would take for a yes, or pay for with memory, costs the hub
// the connection and says why.
func TestConnect_hubOutOfOrder(t *testing.T) {
	const accepted = "\x20\x02\x00\x00"
	for name, answers := range map[string][]string{
		"unknown return code":      {"\x20\x02\x00\x06"},
		"login of 256 MB":          {"\x20\xff\xff\xff\x7f"},
		"publication of 256 MB":    {accepted, "\x30\xff\xff\xff\x7f"},
		"publication with QoS 2":   {accepted, "\x34\x08\x00\x04$iot\x00\x01"},
		"packet that clients send": {accepted, "\x82\x05\x00\x01\x00\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.replaced(t, func(conn net.Conn) {
				for _, a := range answers {
					if after(conn, a) != nil {
						return
					}
				}
				_, _ = io.Copy(io.Discard, conn)
			})
			s.run(t)
			s.log.Await(t, `"reason":"HUB_PROTOCOL"`, 2) // and it tries again
			if strings.Contains(s.log.String(), "connected to the hub") {
				t.Errorf("taken for a connection:\n%s", s.log)
			}
		})
	}
}

// The largest publication goes through, and one more byte does not.
func TestWatch_largest(t *testing.T) {
	const mib = "\x32\x80\x80\x40" // PUBLISH, QoS 1, 1 MiB
	if err := edge.Watch([]byte(mib+strings.Repeat("x", 1<<20)+"\xd0\x00"), 1<<12); err != nil {
		t.Error(err)
	}
	if err := edge.Watch([]byte("\x32\x81\x80\x40"), 1); err == nil {
		t.Error("one more byte is let through")
	}
}

// A connection that the MQTT client gave up is told apart from one that the hub ended.
func TestLost(t *testing.T) {
	address := listen(t, func(net.Conn) {})
	for name, c := range map[string]struct {
		close bool
		want  string
	}{"client": {true, "did not answer a ping"}, "hub": {false, "EOF"}} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if c.close {
			conn.Close()
		}
		if err := edge.Lost(conn); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("by the %s: %v", name, err)
		}
	}
}
