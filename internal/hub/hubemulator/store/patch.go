package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"rtsptunnel/internal/base/jsonvalue"
)

// ErrPatch says that a patch is not a JSON object.
var ErrPatch = errors.New("patch is not a JSON object")

// Patch is a change of a twin section: a JSON merge patch (RFC 7396) of an
// object. Members are replaced or added, objects are merged, null deletes.
type Patch map[string]any

// ParsePatch reads a patch. Members that the hub alone writes ($version,
// $metadata) are left out, so that a section read from a twin may be sent
// back. It returns ErrPatch, wrapped, for anything but one JSON object.
func ParsePatch(body []byte) (Patch, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	// Numbers stay as they were written: float64 would change large ones.
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

// mergeInto applies patch to target. Values are copied, so target never
// shares memory with patch.
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
