package broker

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// errUserName reports a user name of a CONNECT that does not have IoT Hub's form.
var errUserName = errors.New("malformed user name")

// userName is the user name of a CONNECT:
//
//	{hub}/{device}[/{module}]/[?]api-version=..[&model-id=..][&..]
//
// Sources: Microsoft, "Communicate with an IoT hub using the MQTT protocol", section
// "Using the MQTT protocol directly"; Azure/iotedge, MqttUsernameParser, for the form
// without '?'.
type userName struct {
	host     string
	identity string // "device" or "device/module", still escaped
	modelID  string // unescaped
}

// parseUserName parses a user name. It does not use net/url for the properties, which
// rejects the ';' of model ids. Unknown properties are ignored. api-version is required;
// its value is not checked.
func parseUserName(text string) (userName, error) {
	path, query, ok := strings.Cut(text, "/?")
	if !ok {
		path, query = cutLast(text, '/')
	}
	host, identity, _ := strings.Cut(path, "/")
	if host == "" || !isIdentity(identity) {
		return userName{}, fmt.Errorf("%w: want hub/device/properties or hub/device/module/properties", errUserName)
	}
	properties := parseProperties(query)
	if properties["api-version"] == "" {
		return userName{}, fmt.Errorf("%w: api-version is missing", errUserName)
	}
	return userName{host: host, identity: identity, modelID: unescape(properties["model-id"])}, nil
}

// matches reports whether clientID is the identity of the user name. The comparison is
// case-sensitive. Some SDKs escape the ids in the user name, others do not.
func (u userName) matches(clientID string) bool {
	return clientID == u.identity || clientID == unescape(u.identity)
}

func isIdentity(s string) bool {
	device, module, isModule := strings.Cut(s, "/")
	if device == "" || isModule && module == "" {
		return false
	}
	return !strings.Contains(module, "/")
}

// parseProperties parses "a=b&c=d". Values stay escaped. The first of several equal names
// wins.
func parseProperties(query string) map[string]string {
	properties := make(map[string]string)
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, double := properties[name]; !double {
			properties[name] = value
		}
	}
	return properties
}

// unescape decodes percent-encoding, and returns invalid encodings unchanged. A '+' stays
// a '+'.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func cutLast(s string, sep byte) (before, after string) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}
