// Package rtsptunnel embeds the schema of the module's twin. Editors and deployment
// tools read the file; the module validates its desired properties against it.
//
// A line belongs here when it describes the module to IoT Edge's or an operator's
// tools. Code does not.
package rtsptunnel

import _ "embed"

// TwinSchema is the JSON Schema (2020-12) of the desired properties. In addition to the
// standard's keywords it uses patternErrorMessage, which editors support: the message for
// a string that does not match its pattern.
//
//go:embed twin.schema.json
var TwinSchema string
