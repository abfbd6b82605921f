package telemetry

import (
	"net/url"
	"strings"
)

// ParseProperties reads the property bag at the end of a telemetry topic:
// "name=value&name=value", percent-encoded, where a '+' is a '+' (Microsoft,
// "Communicate with an IoT hub using the MQTT protocol", section "Sending
// device-to-cloud messages"). Microsoft's SDKs end it with a '/', which belongs
// to no property.
//
// A name without '=' has the empty value; the first of several equal names
// counts; what is not percent-encoding stands as it is. It never returns nil,
// and nothing it returns refers to bag's memory.
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
	return strings.Clone(s) // else a short name would hold a long topic
}
