package hubconn_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/module/hubconn"
)

// lazyHub accepts a login and all subscriptions, answers the twin, and never acknowledges
// an answer to a direct method. It passes these answers on.
func lazyHub(conn net.Conn, answers chan<- *packets.PublishPacket) {
	for {
		p, err := packets.ReadPacket(conn)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			_ = packets.NewControlPacket(packets.Connack).Write(conn)
		case *packets.SubscribePacket:
			_, _ = conn.Write([]byte{0x90, 3, byte(p.MessageID >> 8), byte(p.MessageID), 1})
		case *packets.PublishPacket:
			if strings.HasPrefix(p.TopicName, "$iothub/methods/res/") {
				answers <- p
				continue
			}
			ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			ack.MessageID = p.MessageID
			_ = ack.Write(conn)
			_, rid, _ := strings.Cut(p.TopicName, "/?")
			_ = publication("$iothub/twin/res/200/?"+rid, "{}", 0).Write(conn)
		}
	}
}

func publication(topic, payload string, id uint16) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.MessageID = topic, []byte(payload), id
	if id != 0 {
		p.Qos = 1
	}
	return p
}

// A hub that acknowledges no answer gets every answer. The client keeps 256 of them and no
// payload of a call. This test is not parallel: it measures the heap.
func TestMethods_unacknowledged(t *testing.T) {
	const calls, kept, size = 600, 256, 128 << 10
	s := newSite(t)
	s.anyKey()
	answers, conns := make(chan *packets.PublishPacket, calls), make(chan net.Conn, 1)
	address := s.tlsServer(t, func(conn net.Conn) {
		conns <- conn
		lazyHub(conn, answers)
	})
	d := s.dialer(t)
	payload := strings.Repeat("x", size)
	before := heap()
	err := use(t, d, d.Route(hubconn.MQTT, address), patience, func(*hubconn.Conn) error {
		conn := <-conns
		byQoS := map[byte]int{}
		for n := range calls {
			if err := publication(fmt.Sprintf("$iothub/methods/POST/m/?$rid=%d", n), payload, uint16(n+1)).Write(conn); err != nil {
				return err
			}
			byQoS[(<-answers).Qos]++
		}
		if byQoS[1] != kept || byQoS[0] != calls-kept {
			t.Errorf("answers by QoS: %v", byQoS)
		}
		if grown := (heap() - before) >> 20; grown > 15 { // the payloads have 75 MiB
			t.Errorf("%d MiB are kept for %d calls of %d bytes", grown, calls, size)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// heap is the number of bytes that are reachable.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
