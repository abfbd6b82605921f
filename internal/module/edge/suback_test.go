package edge_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"rtsptunnel/internal/module/edge"
)

// A subscription that the hub refuses is no subscription, and a SUBACK that is no
// SUBACK ends the connection and not the process.
func TestConnect_refusedSubscription(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ suback, want string }{
		"refused":          {"\x90\x03XX\x80", `"reason":"HUB_SUBSCRIPTION"`},
		"two return codes": {"\x90\x04XX\x00\x00", `"reason":"HUB_PROTOCOL"`},
		"no return code":   {"\x90\x02XX", `"reason":"HUB_PROTOCOL"`},
		"endless length":   {"\x90\xff\xff\xff\xff\x01XX", `"reason":"HUB_PROTOCOL"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			newFakeHub(t, s, "").subscriptions(c.suback)
			s.run(t)
			s.log.Await(t, c.want, 2) // and it tries again
			if strings.Contains(s.log.String(), "connected to the hub") {
				t.Errorf("taken for a connection:\n%s", s.log)
			}
		})
	}
}

// Packets are told apart wherever the stream is cut, and their payloads mean nothing.
func TestWatch_anyChunks(t *testing.T) {
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
		if err := edge.Watch(good, chunk); err != nil {
			t.Errorf("in chunks of %d: %v", chunk, err)
		}
		if err := edge.Watch(refused, chunk); err == nil {
			t.Errorf("in chunks of %d a refusal is not seen", chunk)
		}
	}
}

func FuzzWatch(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\x90\x03\x00\x01\x01"), 2)
	f.Add([]byte("\x90\x04\x00\x01\x00\x00"), 1)
	f.Fuzz(func(t *testing.T, stream []byte, chunk int) {
		whole := edge.Watch(stream, max(len(stream), 1))
		cut := edge.Watch(stream, max(chunk, 1))
		if (whole == nil) != (cut == nil) {
			t.Errorf("whole %v, cut %v", whole, cut)
		}
	})
}
