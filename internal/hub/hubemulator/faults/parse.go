package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Parse reads the document that the package documentation describes. It returns
// ErrRules, wrapped, with the members that are unknown or have the wrong type. It does
// not check the ranges of numbers: Put and PutFor do.
func Parse(document []byte) (Rules, error) {
	var groups map[string]json.RawMessage
	if err := json.Unmarshal(document, &groups); err != nil || groups == nil {
		return Rules{}, fmt.Errorf("%w: want a JSON object", ErrRules)
	}
	var r Rules
	targets := map[string]any{
		"logins":        &r.Logins,
		"subscriptions": &r.Subscriptions,
		"twin":          &r.Twin,
		"methods":       &r.Methods,
		"rest":          &r.REST,
		"workload":      &r.Workload,
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		target, known := targets[name]
		if !known {
			problems = append(problems, fmt.Errorf("%w: unknown member %.50q", ErrRules, name))
			continue
		}
		if err := decodeStrict(groups[name], target); err != nil {
			problems = append(problems, fmt.Errorf("%w: %s: %s", ErrRules, name, reason(err)))
		}
	}
	return r, errors.Join(problems...)
}

func decodeStrict(text []byte, target any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(target)
}

// reason describes a decoding error of a group in the terms of the document.
func reason(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return "want a JSON object"
		}
		return fmt.Sprintf("%s must not be a %s", e.Field, e.Value)
	}
	return strings.Replace(strings.TrimPrefix(err.Error(), "json: "), "field", "member", 1)
}
