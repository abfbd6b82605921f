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
		if err := hubconn.GuardError(good, chunk); err != nil {
			t.Errorf("in chunks of %d: %v", chunk, err)
		}
		if err := hubconn.GuardError(refused, chunk); err == nil {
			t.Errorf("in chunks of %d a refusal is not detected", chunk)
		}
	}
}

// The largest PUBLISH passes, and one more byte does not.
func TestGuard_largest(t *testing.T) {
	const mib = "\x32\x80\x80\x40" // PUBLISH, QoS 1, 1 MiB
	if err := hubconn.GuardError([]byte(mib+strings.Repeat("x", 1<<20)+"\xd0\x00"), 1<<12); err != nil {
		t.Error(err)
	}
	if err := hubconn.GuardError([]byte("\x32\x81\x80\x40"), 1); err == nil {
		t.Error("one more byte passes")
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
		whole := hubconn.GuardError(stream, max(len(stream), 1))
		cut := hubconn.GuardError(stream, max(chunk, 1))
		if (whole == nil) != (cut == nil) {
			t.Errorf("whole %v, cut %v", whole, cut)
		}
	})
}
