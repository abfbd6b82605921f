package telemetry

import (
	"net/url"
	"strings"
)

// ParseProperties parses the property bag at the end of a telemetry topic:
// "name=value&name=value", percent-encoded, where a '+' stays a '+' (Microsoft,
// "Communicate with an IoT hub using the MQTT protocol", section "Sending
// device-to-cloud messages"). Microsoft's SDKs append a '/', which is ignored.
//
// A name without '=' has an empty value. The first of several equal names wins. Invalid
// percent-encoding is kept unchanged. The map is never nil, and shares no memory with
// bag.
func ParseProperties(bag string) map[string]string {
	properties := make(map[string]string)
	for pair := range strings.SplitSeq(strings.TrimSuffix(bag, "/"), "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name := unescape(rawName)
		if _, double := properties[name]; name == "" || double {
			continue
		}
		properties[name] = unescape(rawValue)
	}
	return properties
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		s = plain
	}
	return strings.Clone(s) // otherwise a short name would keep a long topic in memory
}
