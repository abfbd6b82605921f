// Package twin is the module twin's desired properties as types: it parses them,
// decides what of them comes into force, and says what is wrong with the rest.
//
// The rules are:
//   - what is allowed stands in modules/rtsptunnel/twin.schema.json and nowhere else,
//     but for what a schema cannot say (two cameras with one local port);
//   - cameras are a map by name, never an array, so that layered deployments merge
//     them leaf by leaf; null is as good as absent;
//   - a camera, and each other section, is taken whole or not at all: with a fault
//     the last good one stays in force, and everything else is applied;
//   - what may not be opened stays closed: tunnels.enabled=false counts whatever else
//     is wrong with its section, and remote endpoints with a fault and without a last
//     good section are none;
//   - numbers and booleans may be strings, and unknown keys do no harm: both are told;
//   - a fault tells a path, a code and what is allowed, never the value. Of unknown
//     keys the names are told, never the values.
//
// The package is pure: it does not know the transport, nor when or how often a twin
// changes; package report writes the reported properties. A line belongs here when it
// reads the desired properties, or says what they may be.
package twin

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxDocument is the size of a whole twin in bytes that is read at all: two sections
// of 32 KiB as the hub counts, with the metadata of each of their values.
const maxDocument = 4 << 20

// Twin is one reading of a module's whole twin.
type Twin struct {
	Version  int64           // desired.$version
	Reported json.RawMessage // the reported section as the hub has it, with its $-keys; nil if there is none

	desired  map[string]any // without nulls and $-keys
	tooLarge bool           // then of desired only the names count
}

// Parse reads the document that the hub gives for a twin: {"desired": {...},
// "reported": {...}}. An error means that nothing in it can be believed.
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

// parseDesired reads a desired section. The version is negative if there is none.
func parseDesired(section json.RawMessage) (Twin, error) {
	values, err := members(section)
	if err != nil {
		return Twin{}, err
	}
	t := Twin{Version: -1}
	if v, ok := values["$version"]; ok && json.Unmarshal(v, &t.Version) != nil {
		return Twin{}, errors.New("$version is not an integer")
	}
	tree, left := decode(section, maxDesired)
	t.desired, _ = tree.(map[string]any)
	if left < 0 {
		t.tooLarge = true
		t.desired = present(values)
	}
	return t, nil
}

// present are the names of what is not null.
func present(values map[string]json.RawMessage) map[string]any {
	names := make(map[string]any)
	for name, value := range values {
		if string(value) != "null" {
			names[name] = nil
		}
	}
	return names
}

// members are a JSON object's members. Their names count as they are written, unlike
// those of a struct.
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
