package hublink_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// fakeHub is a hub that sends what a test wants and a real one sends seldom. It accepts every
// login.
type fakeHub struct {
	answers chan methodAnswer

	mu       sync.Mutex
	twin     string
	slow     func(net.Conn) net.Conn // for twins; may be nil
	status   int                     // of the answers to reported properties
	reads    int
	reported []string    // all that was sent, accepted or not
	sent     []time.Time // when each arrived
	held     string      // the reported properties that were accepted last
	logins   int
	conn     net.Conn
}

// methodAnswer is one as it arrived.
type methodAnswer struct{ topic, payload string }

// newFakeHub replaces the site's hub; the site's module authenticates by a key.
func newFakeHub(t *testing.T, s *site, twin string) *fakeHub {
	t.Helper()
	cert, err := s.CA().Issue("edge.rtsptunnel.test")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	h := &fakeHub{twin: twin, held: noneReported, status: 204, answers: make(chan methodAnswer, 1024)}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { defer c.Close(); h.serve(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); h.cut(); all.Wait() })
	s.o.Address = ln.Addr().String()
	s.anyKey()
	return h
}

func (h *fakeHub) serve(c net.Conn) {
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		h.mu.Lock()
		switch p := p.(type) {
		case *packets.ConnectPacket:
			h.conn = c
			h.logins++
			_ = packets.NewControlPacket(packets.Connack).Write(c)
		case *packets.SubscribePacket:
			_, _ = c.Write([]byte{0x90, 3, byte(p.MessageID >> 8), byte(p.MessageID), 1}) // SUBACK, granted QoS 1
		case *packets.UnsubscribePacket:
			ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
			ack.MessageID = p.MessageID
			_ = ack.Write(c)
		case *packets.PublishPacket:
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			_ = ack.Write(c)
			h.published(c, p)
		case *packets.PingreqPacket:
			_ = packets.NewControlPacket(packets.Pingresp).Write(c)
		}
		h.mu.Unlock()
	}
}

// published is under h.mu.
func (h *fakeHub) published(c net.Conn, p *packets.PublishPacket) {
	topic, rid, _ := strings.Cut(p.TopicName, "/?")
	switch {
	case topic == "$iothub/twin/GET":
		h.reads++
		if h.slow != nil {
			c = h.slow(c)
		}
		publish(c, "$iothub/twin/res/200/?"+rid, strings.Replace(h.twin, noneReported, h.held, 1))
	case topic == "$iothub/twin/PATCH/properties/reported":
		h.reported, h.sent = append(h.reported, string(p.Payload)), append(h.sent, time.Now())
		if h.status == 204 {
			h.held = `"reported":` + string(p.Payload)
		}
		publish(c, fmt.Sprintf("$iothub/twin/res/%d/?%s&$version=2", h.status, rid), "")
	case strings.HasPrefix(topic, "$iothub/methods/res/"):
		h.answers <- methodAnswer{p.TopicName, string(p.Payload)}
	}
}

func publish(c net.Conn, topic, payload string) {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, []byte(payload)
	_ = p.Write(c)
}

// publish sends to the client that is connected.
func (h *fakeHub) publish(topic, payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	publish(h.conn, topic, payload)
}

// desire changes the twin and notifies the module.
func (h *fakeHub) desire(twin string) {
	h.mu.Lock()
	h.twin = twin
	h.mu.Unlock()
	h.publish("$iothub/twin/PATCH/properties/desired/?$version=1", "{}")
}

func (h *fakeHub) cut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
	}
}

// forget drops the reported properties.
func (h *fakeHub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = noneReported
}

// seen is how often the twin was read and what was reported.
func (h *fakeHub) seen() (reads int, reported []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reads, append([]string{}, h.reported...)
}

func (h *fakeHub) refuse(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

// noneReported are the reported properties before the first report.
const noneReported = `"reported":{"$version":1}`

func twinDoc(version int, members string) string {
	return fmt.Sprintf(`{"desired":{%s"$version":%d},%s}`, members, version, noneReported)
}
