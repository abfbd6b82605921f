package broker

import (
	"bytes"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

// propertyRetain is the property IoT Hub gives to a message that was to be
// retained: it passes it on, and retains nothing (Microsoft, "Communicate with
// an IoT hub using the MQTT protocol", section "Sending device-to-cloud
// messages").
const propertyRetain = "mqtt-retain"

// keepTelemetry puts a message to the cloud where it can be looked at.
func (b *Broker) keepTelemetry(id store.ID, pk packets.Packet) {
	properties := telemetry.ParseProperties(pk.TopicName[len(telemetryTopic(id)):])
	if pk.FixedHeader.Retain {
		properties[propertyRetain] = "true"
	}
	b.telemetry.Add(telemetry.Message{
		Identity:   id.String(),
		Properties: properties,
		Body:       bytes.Clone(pk.Payload), // else it would hold the whole packet
		Enqueued:   time.Now(),
	})
}

// telemetryTopic is followed by the properties of a message.
func telemetryTopic(id store.ID) string {
	return id.Path() + "/messages/events/"
}
