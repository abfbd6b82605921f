package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// The topics of IoT Hub (Microsoft, "Communicate with an IoT hub using the MQTT
// protocol"). Those that end in '/' are prefixes.
const (
	filterMethods = "$iothub/methods/POST/#"
	filterTwin    = "$iothub/twin/res/#"
	filterDesired = "$iothub/twin/PATCH/properties/desired/#"

	// These follow the path of the identity.
	filterDevicebound = "messages/devicebound/#"
	filterInputs      = "inputs/#"
	filterAll         = "#"

	topicMethod  = "$iothub/methods/POST/"
	topicTwin    = "$iothub/twin/res/"
	topicDesired = "$iothub/twin/PATCH/properties/desired/"

	topicMethodAnswer  = "$iothub/methods/res/"
	topicTwinGet       = "$iothub/twin/GET/"
	topicReportedPatch = "$iothub/twin/PATCH/properties/reported/"
)

// maySubscribe reports whether IoT Hub allows id to subscribe to filter. The hub never
// sends anything on the topics below the path of the identity.
func maySubscribe(id store.ID, filter string) bool {
	switch filter {
	case filterMethods, filterTwin, filterDesired:
		return true
	}
	own, found := strings.CutPrefix(filter, id.Path()+"/")
	if id.Module == "" {
		return found && own == filterDevicebound
	}
	return found && (own == filterInputs || own == filterAll)
}

// receive handles one publish of a client. A topic that IoT Hub does not document cuts the
// connection, as in IoT Hub.
func (b *Broker) receive(s *session, pk packets.Packet) {
	topic, payload := pk.TopicName, pk.Payload
	b.store.SetActive(s.id)
	path, query, _ := strings.Cut(topic, "?")
	switch {
	case path == topicTwinGet:
		b.answerTwinGet(s, requestID(query))
	case path == topicReportedPatch:
		b.answerReportedPatch(s, requestID(query), payload)
	case strings.HasPrefix(path, topicMethodAnswer):
		b.receiveMethodAnswer(s, path[len(topicMethodAnswer):], requestID(query), payload)
	case strings.HasPrefix(topic, telemetryTopic(s.id)):
		b.storeTelemetry(s.id, pk)
	default:
		s.log.Warn().Str(fieldTopic, truncate(topic)).Msg("publish to an unknown topic, connection cut")
		s.kill()
	}
}

// requestID returns $rid unchanged. It is opaque to the hub.
func requestID(query string) string {
	// Without the copy, a queued answer would keep the packet of its request in memory.
	return strings.Clone(parseProperties(query)["$rid"])
}
