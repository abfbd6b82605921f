package manifestctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/ops/manifest"
)

// edgeAgent is the module whose twin says what a device runs.
const edgeAgent = "$edgeAgent"

// toDevice brings a manifest to one device.
func (s *session) toDevice(ctx context.Context, client *hubclient.Client, m *manifest.Manifest, t *target) (outcome, error) {
	done := outcome{Device: t.device, Action: actionApplied, watch: watchDevice(t.device)}
	device, err := client.Registration(ctx, hubclient.Identity{Device: t.device})
	if err != nil {
		return outcome{}, err
	}
	if !device.IsEdge() {
		return outcome{}, fmt.Errorf("%s is no IoT Edge device, and takes no deployments; such a device is made by tunnelctl hub device add ID --edge, or in the portal", t.device)
	}
	want, err := sections(m)
	if err != nil {
		return outcome{}, err
	}
	if done.Changes, err = s.deviceChanges(ctx, client, t.device, want); err != nil {
		return outcome{}, err
	}
	switch {
	case len(done.Changes) == 0:
		done.Action = actionUnchanged
	case !t.dryRun:
		err = client.ApplyContent(ctx, t.device, m.Content())
	}
	return done, err
}

func watchDevice(device string) string {
	return fmt.Sprintf(`The edge agent reports lastDesiredVersion and lastDesiredStatus once it has it:
  tunnelctl hub twin get '%s/%s'
`, device, edgeAgent)
}

// sections returns the desired properties of a full manifest, by module.
func sections(m *manifest.Manifest) (map[string]any, error) {
	var content struct {
		Modules map[string]map[string]any `json:"modulesContent"`
	}
	if err := json.Unmarshal(m.Content(), &content); err != nil {
		return nil, err
	}
	want := make(map[string]any, len(content.Modules))
	for module, section := range content.Modules {
		if desired, says := section["properties.desired"]; says { // else what it has stays
			want[module] = desired
		}
	}
	return want, nil
}

// deviceChanges returns what would become of the modules of a device, and of their
// desired properties.
func (s *session) deviceChanges(ctx context.Context, client *hubclient.Client, device string, want map[string]any) ([]change, error) {
	changes := []change{}
	for _, module := range slices.Sorted(maps.Keys(want)) {
		have, err := s.desired(ctx, client, hubclient.Identity{Device: device, Module: module})
		if err != nil {
			return nil, err
		}
		changes = append(changes, differences(module, have, want[module])...)
	}
	return changes, nil
}

// desired returns what a module has; nothing if there is no such module. It tells of
// automatic deployments that will have their way again.
func (s *session) desired(ctx context.Context, client *hubclient.Client, id hubclient.Identity) (any, error) {
	twin, err := client.Twin(ctx, id)
	if e, ok := errors.AsType[*hubclient.Error](err); ok && e.Status == http.StatusNotFound {
		return nil, nil //nolint:nilnil // nothing is what there is
	}
	if err != nil {
		return nil, err
	}
	var section map[string]any
	if err := json.Unmarshal(twin.Properties.Desired, &section); err != nil {
		return nil, fmt.Errorf("twin of %s: %w", id, err)
	}
	maps.DeleteFunc(section, func(name string, _ any) bool { return strings.HasPrefix(name, "$") })
	if id.Module == edgeAgent {
		s.warnOfDeployments(id.Device, twin.Document)
	}
	return section, nil
}

func (s *session) warnOfDeployments(device string, twin json.RawMessage) {
	var document struct {
		Configurations map[string]any `json:"configurations"`
	}
	if json.Unmarshal(twin, &document) != nil || len(document.Configurations) == 0 {
		return
	}
	_, _ = fmt.Fprintf(s.Err, "warning: %s is targeted by automatic deployments (%s), which IoT Hub does not mix with this: it takes back what they say, within minutes\n",
		device, strings.Join(slices.Sorted(maps.Keys(document.Configurations)), ", "))
}

// differences returns the places where want is not have, without values.
func differences(place string, have, want any) []change {
	old, isObject := have.(map[string]any)
	next, alsoObject := want.(map[string]any)
	switch {
	case isObject && alsoObject:
	case reflect.DeepEqual(have, want):
		return nil
	case have == nil:
		return []change{{place, "added"}}
	case want == nil:
		return []change{{place, "removed"}}
	default:
		return []change{{place, "changed"}}
	}
	all := maps.Clone(old)
	maps.Copy(all, next)
	var list []change
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, differences(place+"/"+name, old[name], next[name])...)
	}
	return list
}
