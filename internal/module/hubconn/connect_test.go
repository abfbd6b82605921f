package hubconn_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/nettest"
)

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
			s.anyKey()
			address := s.tlsServer(t, func(c net.Conn) {
				if _, err := packets.ReadPacket(c); err == nil {
					_, _ = io.WriteString(c, answer)
				}
			})
			expect(t, s.connect(t, hubconn.MQTT, address, patience), want, "connect to "+address)
		})
	}
}

// A hub that falls silent in any phase ends the connect at its deadline.
func TestConnect_silence(t *testing.T) {
	t.Parallel()
	wait := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	for name, c := range map[string]struct {
		protocol hubconn.Protocol
		raw      bool
		serve    func(net.Conn)
	}{
		"no TLS":       {hubconn.MQTT, true, wait},
		"no CONNACK":   {hubconn.MQTT, false, wait},
		"no WebSocket": {hubconn.MQTTWS, false, wait},
		"WebSocket, no CONNACK": {hubconn.MQTTWS, false, func(c net.Conn) {
			answerUpgrade(c, "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.anyKey()
			var address string
			if c.raw {
				address = nettest.Listen(t, c.serve)
			} else {
				address = s.tlsServer(t, c.serve)
			}
			expect(t, s.connect(t, c.protocol, address, time.Second), reason.HubTimeout, "")
		})
	}
}

// after waits for the client's next packet and sends these bytes, with the packet's id in
// place of XX.
func after(conn net.Conn, answer string) error {
	p, err := packets.ReadPacket(conn)
	if err != nil {
		return err
	}
	if s, ok := p.(*packets.SubscribePacket); ok {
		answer = strings.Replace(answer, "XX", string([]byte{byte(s.MessageID >> 8), byte(s.MessageID)}), 1)
	}
	_, err = io.WriteString(conn, answer)
	return err
}

// connectTo connects to a server that answers the client's packets one by one.
func connectTo(t *testing.T, answers ...string) error {
	t.Helper()
	s := newSite(t)
	s.anyKey()
	address := s.tlsServer(t, func(conn net.Conn) {
		for _, a := range answers {
			if after(conn, a) != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	return s.connect(t, hubconn.MQTT, address, patience)
}

const accepted = "\x20\x02\x00\x00"

// What the MQTT client would accept as a success, or pay for with memory, ends the
// connection with a reason.
func TestConnect_hubOutOfOrder(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string][]string{
		"unknown return code":      {"\x20\x02\x00\x06"},
		"login of 256 MB":          {"\x20\xff\xff\xff\x7f"},
		"publication without end":  {accepted, "\x30\xff\xff\xff\xff\x7f"},
		"publication with QoS 2":   {accepted, "\x34\x08\x00\x04$iot\x00\x01"},
		"packet that clients send": {accepted, "\x82\x05\x00\x01\x00\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, connectTo(t, answers...), reason.HubProtocol, "")
		})
	}
}

// A subscription that the hub refuses is not one, and a malformed SUBACK ends the
// connection and not the process.
func TestConnect_refusedSubscription(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		suback string
		want   reason.Code
	}{
		"refused":          {"\x90\x03XX\x80", reason.HubSubscription},
		"two return codes": {"\x90\x04XX\x00\x00", reason.HubProtocol},
		"no return code":   {"\x90\x02XX", reason.HubProtocol},
		"endless length":   {"\x90\xff\xff\xff\xff\x01XX", reason.HubProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, connectTo(t, accepted, c.suback), c.want, "")
		})
	}
}
