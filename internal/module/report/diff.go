package report

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Diff returns the merge patch that turns the hub's reported section into want. A null in
// the patch deletes a property that want does not have. Diff returns nil if there is
// nothing to change. hub is the section as it came with the twin, whose $-keys are
// ignored; an unreadable section counts as empty. want is as encoding/json decodes it.
func Diff(hub json.RawMessage, want map[string]any) map[string]any {
	var has map[string]any
	_ = json.Unmarshal(hub, &has)
	patch := difference(has, want)
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// difference computes the patch of Diff. It descends only where want has objects.
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
			// A hub may drop an empty object. Every report would send it again.
		case !reflect.DeepEqual(has[name], wanted):
			patch[name] = wanted
		}
	}
	return patch
}
