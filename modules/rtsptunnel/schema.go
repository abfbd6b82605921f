// Package rtsptunnel holds what others than the module read of it, and the module
// too: the schema of its twin, for editors, for tools that build deployments, and for
// the module itself, which judges its desired properties by this very file.
//
// A line belongs here when it describes the module to IoT Edge's or an operator's
// tools. Code does not.
package rtsptunnel

import _ "embed"

// TwinSchema is the JSON Schema (2020-12) of the desired properties. Beside the
// standard's keywords it has patternErrorMessage, which editors know: what is wrong
// with a string that does not match, for people.
//
//go:embed twin.schema.json
var TwinSchema string
