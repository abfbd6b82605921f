package broker

import (
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// The topics of IoT Hub (Microsoft, "Communicate with an IoT hub using the
// MQTT protocol"). Those that end in '/' are followed by more.
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

// mayBeSubscribed reports whether IoT Hub takes filter from id. Nothing ever
// comes on the identity's own ones.
func mayBeSubscribed(id store.ID, filter string) bool {
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

// receive handles one publish of a client. A topic IoT Hub does not document
// costs the client its connection, as it does there.
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
		b.takeMethodAnswer(s, path[len(topicMethodAnswer):], requestID(query), payload)
	case strings.HasPrefix(topic, telemetryTopic(s.id)):
		b.keepTelemetry(s.id, pk)
	default:
		s.log.Warn().Str(fieldTopic, shown(topic)).Msg("publish to an unknown topic, connection cut")
		s.kill()
	}
}

// requestID returns $rid as it stands: it is the sender's, and opaque.
func requestID(query string) string {
	// Else an answer that waits would hold the whole packet of its request.
	return strings.Clone(parseProperties(query)["$rid"])
}
