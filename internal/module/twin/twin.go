// Package twin parses the module twin's desired properties into types, applies the valid
// ones, and reports faults in the others.
//
// The rules are:
//   - modules/rtsptunnel/twin.schema.json defines what is allowed. Code checks only what
//     a schema cannot express, such as two cameras with one local port;
//   - cameras are a map by name, never an array, so that layered deployments merge them
//     leaf by leaf; null means absent;
//   - an invalid value affects only its own camera or section: the last good one stays in
//     force, and everything else is applied;
//   - faults never allow more: tunnels.enabled=false takes effect even if its section has
//     faults, and remote endpoints with a fault and no last good section allow no host;
//   - desired properties that are too large are rejected as one, but for tunnels.enabled:
//     every value except true and null switches tunnels off;
//   - numbers and booleans may be strings, and unknown keys are ignored; both are
//     reported;
//   - a fault has a path, a code and a text that says what is allowed, never the value.
//     Unknown keys are reported by name, without their values.
//
// The package is pure: it does not know the transport, nor when or how often a twin
// changes. Package report writes the reported properties. A line belongs here when it
// reads the desired properties, or says what they may be.
package twin

import (
	"encoding/json"
	"errors"
	"fmt"

	"rtsptunnel/internal/contract/desired"
)

// maxDocument is the largest twin that is parsed, in bytes. It leaves room for two
// sections of 32 KiB, as the hub counts them, and the metadata of each of their values.
const maxDocument = 4 << 20

// Twin is a parsed module twin.
type Twin struct {
	Version  int64           // desired.$version
	Reported json.RawMessage // the hub's reported section, with its $-keys; nil if there is none

	desired  map[string]any // without nulls and $-keys
	tooLarge bool           // desired exceeds the hub's limit and has only the sections' names
	off      bool           // it is too large, and switches tunnels off or cannot be read
}

// Parse reads a twin as the hub sends it: {"desired": {...}, "reported": {...}}. On an
// error, the caller must not use any of it.
func Parse(doc []byte) (Twin, error) {
	top, err := members(doc)
	if err != nil {
		return Twin{}, fmt.Errorf("parse twin: %w", err)
	}
	t, err := parseDesired(top["desired"])
	if err != nil {
		return Twin{}, fmt.Errorf("parse twin: desired: %w", err)
	}
	if t.Version < 0 {
		return Twin{}, errors.New("parse twin: no desired properties with a $version")
	}
	t.Reported = top["reported"]
	return t, nil
}

// parseDesired reads a desired section. The version is negative if the section has none.
func parseDesired(section json.RawMessage) (Twin, error) {
	values, err := members(section)
	if err != nil {
		return Twin{}, err
	}
	t := Twin{Version: -1}
	if v, ok := values["$version"]; ok && json.Unmarshal(v, &t.Version) != nil {
		return Twin{}, errors.New("$version is not an integer")
	}
	tree, left := desired.Decode(section, desired.MaxSize)
	t.desired, _ = tree.(map[string]any)
	if _, marked := values[tooLargeKey]; left < 0 || marked {
		t.tooLarge, t.off = true, switchesOff(section)
		t.desired = nonNullNames(values)
		t.Version = max(t.Version, 0) // a Digest may have found none
	}
	return t, nil
}

// nonNullNames returns a map of the names whose values are not null.
func nonNullNames(values map[string]json.RawMessage) map[string]any {
	names := make(map[string]any)
	for name, value := range values {
		if string(value) != "null" {
			names[name] = nil
		}
	}
	return names
}

// members returns the members of a JSON object. Their names are case-sensitive, unlike
// those of a decoded struct. The error completes a sentence about the object.
func members(object []byte) (map[string]json.RawMessage, error) {
	if len(object) == 0 {
		return nil, errors.New("is missing")
	}
	if len(object) > maxDocument {
		return nil, fmt.Errorf("has more than %d bytes", maxDocument)
	}
	var m map[string]json.RawMessage
	err := json.Unmarshal(object, &m)
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, fmt.Errorf("is not JSON, at byte %d: %w", bad.Offset, err)
	}
	if err != nil || m == nil {
		return nil, errors.New("is not an object")
	}
	return m, nil
}
