package broker

import (
	"bytes"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/telemetry"
)

// propertyRetain is the property that IoT Hub adds to a message with the retain flag. It
// retains no messages (Microsoft, "Communicate with an IoT hub using the MQTT protocol",
// section "Sending device-to-cloud messages").
const propertyRetain = "mqtt-retain"

// storeTelemetry adds a device-to-cloud message to the telemetry log.
func (b *Broker) storeTelemetry(id store.ID, pk packets.Packet) {
	properties := telemetry.ParseProperties(pk.TopicName[len(telemetryTopic(id)):])
	if pk.FixedHeader.Retain {
		properties[propertyRetain] = "true"
	}
	b.telemetry.Add(telemetry.Message{
		Identity:   id.String(),
		Properties: properties,
		Body:       bytes.Clone(pk.Payload), // otherwise it would keep the whole packet in memory
		Enqueued:   time.Now(),
	})
}

// telemetryTopic returns the prefix of telemetry topics. The properties of a message follow
// it.
func telemetryTopic(id store.ID) string {
	return id.Path() + "/messages/events/"
}
