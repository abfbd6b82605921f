package hubconn_test

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/testkit/nettest"
)

// Packets are recognized wherever the stream is cut, and their payloads are ignored.
func TestGuard_anyChunks(t *testing.T) {
	payload := strings.Repeat("\x90\x03\x00\x01\x80", 20_000)
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.TopicName, publish.Payload = "$iothub/methods/POST/x/?$rid=1", []byte(payload)
	var stream bytes.Buffer
	stream.WriteString("\x20\x02\x00\x00" + "\x90\x03\x00\x01\x01") // CONNACK, SUBACK with QoS 1
	if err := publish.Write(&stream); err != nil {
		t.Fatal(err)
	}
	stream.WriteString("\xd0\x00" + "\x40\x02\x00\x80") // PINGRESP, PUBACK
	good := stream.Bytes()
	refused := append(bytes.Clone(good), "\x90\x03\x00\x02\x80"...)
	for _, chunk := range []int{1, 2, 3, 5, 7, 1000, len(refused)} {
		if kept, err := hubconn.GuardStream(good, chunk); err != nil || !bytes.Equal(kept, good) {
			t.Errorf("in chunks of %d: %d of %d bytes, %v", chunk, len(kept), len(good), err)
		}
		if _, err := hubconn.GuardStream(refused, chunk); err == nil {
			t.Errorf("in chunks of %d a refusal is not detected", chunk)
		}
	}
}

// The largest PUBLISH passes unchanged. Of a larger one the client gets a PUBLISH that it
// can keep: the beginning, or for a twin what LargeTwin makes of it. In between it gets
// answers to pings.
func TestGuard_large(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		topic string
		id    uint16
		size  int // of the payload
		want  string
	}{
		"largest":              {"$iothub/methods/POST/m/?$rid=1", 7, mib - 34, strings.Repeat("x", mib-34)},
		"method":               {"$iothub/methods/POST/m/?$rid=1", 7, mib - 33, strings.Repeat("x", mib-34)},
		"much larger method":   {"$iothub/methods/POST/m/?$rid=1", 0, 5 * mib, strings.Repeat("x", mib-32)},
		"largest twin":         {"$iothub/twin/res/200/?$rid=1", 0, mib - 30, strings.Repeat("x", mib-30)},
		"twin":                 {"$iothub/twin/res/200/?$rid=1", 0, mib - 29, "1048547"},
		"much larger twin":     {"$iothub/twin/res/200/?$rid=1", 7, 5 * mib, "5242880"},
		"refusal, much larger": {"$iothub/twin/res/500/?$rid=1", 0, 5 * mib, strings.Repeat("x", mib-30)},
	} {
		var stream bytes.Buffer
		if err := publication(c.topic, strings.Repeat("x", c.size), c.id).Write(&stream); err != nil {
			t.Fatal(err)
		}
		stream.WriteString("\xd0\x00\x40\x02\x00\x80") // PINGRESP, PUBACK
		for _, chunk := range []int{1, 5, 4 << 10, stream.Len()} {
			kept, err := hubconn.GuardStream(stream.Bytes(), chunk)
			if err != nil {
				t.Errorf("%s in chunks of %d: %v", name, chunk, err)
				continue
			}
			published, pings, others := read(t, kept)
			if len(published) != 1 || published[0].TopicName != c.topic || published[0].MessageID != c.id || string(published[0].Payload) != c.want {
				t.Errorf("%s in chunks of %d: %d packets, %.50v", name, chunk, len(published), published)
			}
			if atLeast := max(c.size-mib, 0) / (65 << 10); others != 1 || chunk < stream.Len() && pings < 1+atLeast {
				t.Errorf("%s in chunks of %d: %d answers to pings, %d other packets", name, chunk, pings, others)
			}
		}
	}
}

// read parses what the client gets.
func read(t *testing.T, stream []byte) (published []*packets.PublishPacket, pings, others int) {
	t.Helper()
	for r := bytes.NewReader(stream); r.Len() > 0; {
		p, err := packets.ReadPacket(r)
		if err != nil {
			t.Fatal(err)
		}
		switch p := p.(type) {
		case *packets.PublishPacket:
			published = append(published, p)
		case *packets.PingrespPacket:
			pings++
		default:
			others++
		}
	}
	return published, pings, others
}

// A large PUBLISH without a topic, or whose topic is longer than the packet may be, ends the
// connection.
func TestGuard_largeWithoutTopic(t *testing.T) {
	for _, stream := range []string{"\x30\x81\x80\x40\x00\x00x"} {
		if _, err := hubconn.GuardStream([]byte(stream), 2); err == nil {
			t.Errorf("%q passes", stream)
		}
	}
}

// The guard tells a connection that the MQTT client gave up from one that the hub ended.
func TestGuard_lost(t *testing.T) {
	address := nettest.Listen(t, func(net.Conn) {})
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
		if err := hubconn.LostError(conn); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("by the %s: %v", name, err)
		}
	}
}

func FuzzGuard(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\x90\x03\x00\x01\x01"), 2)
	f.Add([]byte("\x90\x04\x00\x01\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, chunk int) {
		whole, wholeErr := hubconn.GuardStream(stream, max(len(stream), 1))
		cut, cutErr := hubconn.GuardStream(stream, max(chunk, 1))
		if (wholeErr == nil) != (cutErr == nil) || wholeErr == nil && !bytes.Equal(whole, cut) {
			t.Errorf("whole %q %v, cut %q %v", whole, wholeErr, cut, cutErr)
		}
	})
}
