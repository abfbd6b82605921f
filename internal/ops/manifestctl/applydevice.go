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

// edgeAgent is the module whose twin lists the modules of a device.
const edgeAgent = "$edgeAgent"

// toDevice applies a manifest to one device.
func (j *job) toDevice(ctx context.Context, client *hubclient.Client, m *manifest.Manifest, t *target) (outcome, error) {
	done := outcome{Device: t.device, Action: actionApplied, watch: watchDevice(t.device)}
	device, err := client.Registration(ctx, hubclient.Identity{Device: t.device})
	if err != nil {
		return outcome{}, err
	}
	if !device.IsEdge() {
		return outcome{}, fmt.Errorf("%s is no IoT Edge device, and accepts no deployments; tunnelctl hub device add ID --edge makes one, as does the portal", t.device)
	}
	want, err := sections(m)
	if err != nil {
		return outcome{}, err
	}
	if done.Changes, err = j.deviceChanges(ctx, client, t.device, want); err != nil {
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
		if desired, ok := section["properties.desired"]; ok { // otherwise the twin stays as it is
			want[module] = desired
		}
	}
	return want, nil
}

// deviceChanges returns the changes to the modules of a device and their desired
// properties.
func (j *job) deviceChanges(ctx context.Context, client *hubclient.Client, device string, want map[string]any) ([]change, error) {
	changes := []change{}
	for _, module := range slices.Sorted(maps.Keys(want)) {
		have, err := j.desired(ctx, client, hubclient.Identity{Device: device, Module: module})
		if err != nil {
			return nil, err
		}
		changes = append(changes, differences(module, have, want[module])...)
	}
	return changes, nil
}

// desired returns the desired properties of a module, or nil if there is no such module. It
// warns of automatic deployments, which will override a change.
func (j *job) desired(ctx context.Context, client *hubclient.Client, id hubclient.Identity) (any, error) {
	twin, err := client.Twin(ctx, id)
	if e, ok := errors.AsType[*hubclient.Error](err); ok && e.Status == http.StatusNotFound {
		return nil, nil //nolint:nilnil // there is no such module
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
		j.warnOfDeployments(id.Device, twin.Document)
	}
	return section, nil
}

func (j *job) warnOfDeployments(device string, twin json.RawMessage) {
	var document struct {
		Configurations map[string]any `json:"configurations"`
	}
	if json.Unmarshal(twin, &document) != nil || len(document.Configurations) == 0 {
		return
	}
	_, _ = fmt.Fprintf(j.Err, "warning: %s is targeted by automatic deployments (%s): IoT Hub applies them again within minutes, and this change is lost\n",
		device, strings.Join(slices.Sorted(maps.Keys(document.Configurations)), ", "))
}

// differences returns the places where want differs from have, without values.
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
