package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"rtsptunnel/internal/base/jsonvalue"
)

// ErrPatch reports a patch that is not a JSON object.
var ErrPatch = errors.New("patch is not a JSON object")

// Patch is a change of a twin section: a JSON merge patch (RFC 7396) of an object. It
// replaces or adds members and merges objects; null deletes a member.
type Patch map[string]any

// ParsePatch parses a patch. It drops the members that only the hub writes ($version,
// $metadata), so that a client can send a section back as it read it. It returns
// ErrPatch, wrapped, for anything except one JSON object.
func ParsePatch(body []byte) (Patch, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	// Numbers stay as the client wrote them: float64 would change large ones.
	decoder.UseNumber()
	var patch Patch
	if err := decoder.Decode(&patch); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPatch, err)
	}
	if patch == nil {
		return nil, fmt.Errorf("%w: it is null", ErrPatch)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", ErrPatch)
	}
	delete(patch, versionKey)
	delete(patch, metadataKey)
	return patch, nil
}

// mergeInto applies patch to target. It copies values, so target shares no memory with
// patch.
func mergeInto(target, patch map[string]any) {
	for name, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(target, name)
		case map[string]any:
			object, ok := target[name].(map[string]any)
			if !ok {
				object = make(map[string]any, len(value))
				target[name] = object
			}
			mergeInto(object, value)
		default:
			target[name] = jsonvalue.Clone(value)
		}
	}
}
