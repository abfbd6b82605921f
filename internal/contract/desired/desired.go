// Package desired reads what both ends of a tunnel read in a module's desired properties:
// JSON values, and the cameras. The module configures itself by them; the gateway learns
// which cameras a module has, and by which local ports and paths.
//
// The rules are those of docs/TWIN.md:
//   - null means absent, and names that begin with $ belong to the hub;
//   - numbers and booleans may be written as strings;
//   - desired properties that are larger than the hub allows are rejected as one;
//   - a camera is read atomically, and a fault never repeats the value.
//
// Code belongs here if both ends need it. The module judges a twin by its schema first,
// which also knows the other sections; a test in package twin compares the two. The package
// is pure.
package desired

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// The limits of the desired property cameras.
const (
	MaxCameras = 512 // in force; the first by name are
	MaxStreams = 8   // of one camera
)

// section is the name of the property.
const section = "cameras"

// Fault says why a value was rejected and what is allowed.
type Fault struct {
	Path string // below the desired properties: cameras/front/port
	Code reason.Code
	Text string
}

// String returns path and text.
func (f Fault) String() string { return f.Path + ": " + f.Text }

// Cameras reads the cameras in desired properties, which may have the hub's members that
// begin with $. It returns the cameras that are in force in a module without an earlier
// configuration, sorted by name, and by name the first fault of each of the others: such a
// camera keeps its last valid configuration. An error means the same for all cameras.
func Cameras(properties []byte) (inForce []Camera, rejected map[string]Fault, err error) {
	if !json.Valid(properties) {
		return nil, nil, errors.New("the desired properties are not JSON")
	}
	tree, left := Decode(properties, MaxSize)
	object, ok := tree.(map[string]any)
	switch {
	case left < 0:
		return nil, nil, errors.New("the desired properties are larger than the hub allows")
	case !ok:
		return nil, nil, errors.New("the desired properties are not an object")
	case object[section] == nil:
		return nil, nil, nil
	}
	entries, ok := object[section].(map[string]any)
	if !ok {
		return nil, nil, errors.New(unusable(section, object[section], reason.ConfigType, "must be an object").String())
	}
	owner := make(map[int]string)
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		c, faults := ReadCamera(name, entries[name])
		if len(faults) == 0 {
			faults = conflict(c, len(inForce), owner)
		}
		if len(faults) > 0 {
			if rejected == nil {
				rejected = make(map[string]Fault)
			}
			rejected[name] = faults[0]
			continue
		}
		owner[c.LocalPort] = name
		inForce = append(inForce, c)
	}
	return inForce, rejected, nil
}

// conflict returns why a camera cannot be in force together with the count of those before
// it.
func conflict(c Camera, count int, owner map[int]string) []Fault {
	path := section + "/" + c.Name
	if count == MaxCameras {
		return []Fault{{path, reason.ConfigSize, fmt.Sprintf("is beyond the limit of %d cameras", MaxCameras)}}
	}
	if other, taken := owner[c.LocalPort]; taken {
		return []Fault{{path + "/localPort", reason.ConfigDuplicate, fmt.Sprintf("%d is already the local port of camera %s", c.LocalPort, other)}}
	}
	return nil
}

// IsName reports whether a text may be the name of a camera or a stream: 1 to 64 letters,
// digits, '_' or '-'.
func IsName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	return strings.IndexFunc(name, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_' && c != '-'
	}) < 0
}

const maxName = 64 // bytes

// Printable shortens an invalid or unknown name for a path, and escapes what is not
// printable ASCII.
func Printable(name string) string {
	quoted := strconv.QuoteToASCII(name)
	if text := quoted[1 : len(quoted)-1]; len(text) <= maxName {
		return text
	}
	return quoted[1:1+maxName] + "..."
}

// unusable returns the fault of a value of the wrong type. An Unusable has its own.
func unusable(path string, value any, code reason.Code, text string) Fault {
	if bad, ok := value.(Unusable); ok {
		return Fault{path, bad.Code, bad.Text}
	}
	return Fault{path, code, text}
}
