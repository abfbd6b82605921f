package report

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Diff is the merge patch that makes the hub's reported section what is wanted: with
// a null for what the hub has and nobody wants any more. It is nil if the hub has it
// all. hub is the section as it came with the twin; the hub's own $-keys in it do not
// count. One that cannot be read has nothing in it.
func Diff(hub json.RawMessage, want map[string]any) map[string]any {
	var has map[string]any
	_ = json.Unmarshal(hub, &has)
	patch := difference(has, want)
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// difference goes no deeper than want does.
func difference(has, want map[string]any) map[string]any {
	patch := make(map[string]any)
	for name := range has {
		if _, ok := want[name]; !ok && !strings.HasPrefix(name, "$") {
			patch[name] = nil
		}
	}
	for name, wanted := range want {
		object, isObject := wanted.(map[string]any)
		old, had := has[name].(map[string]any)
		switch {
		case isObject && had:
			if below := difference(old, object); len(below) > 0 {
				patch[name] = below
			}
		case isObject && len(object) == 0 && has[name] == nil:
			// A hub may take an empty object for nothing, and would be told for ever.
		case !reflect.DeepEqual(has[name], wanted):
			patch[name] = wanted
		}
	}
	return patch
}
