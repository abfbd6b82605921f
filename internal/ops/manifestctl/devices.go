package manifestctl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/ops/manifest"
)

// everyDevice is the target condition of all devices. An empty one targets none
// ("Understand IoT Edge automatic deployments", target condition).
const everyDevice = "*"

// fleet has the IoT Edge devices that meet a target condition, as the hub knows them now.
type fleet struct {
	client    *hubclient.Client
	condition string
	devices   []string            // sorted
	meeting   map[string][]string // which of them meet another condition, too
}

func newFleet(ctx context.Context, client *hubclient.Client, condition string) (*fleet, error) {
	f := &fleet{client: client, condition: strings.TrimSpace(condition), meeting: map[string][]string{}}
	var err error
	f.devices, err = edgeDevices(ctx, client, f.condition)
	return f, err
}

// These limits are for one query about many conditions.
const (
	maxConditions = 8
	maxQuery      = 2000 // bytes
)

// exclude finds the deployments that share no device with the fleet. It asks the hub about
// several conditions at once, since a hub allows few queries a minute, and most deployments
// of a large fleet are for other sites (MicrosoftDocs/azure-docs,
// articles/iot-hub/iot-hub-devguide-quotas-throttling.md, queries).
func (f *fleet) exclude(ctx context.Context, others []deployed) error {
	if len(f.devices) == 0 {
		return nil
	}
	var group []string
	length := 0
	for _, other := range others {
		condition := strings.TrimSpace(other.TargetCondition)
		if condition == "" || condition == everyDevice || condition == f.condition || slices.Contains(group, condition) {
			continue
		}
		if len(group) == maxConditions || length+len(condition) > maxQuery {
			if err := f.excludeAll(ctx, group); err != nil {
				return err
			}
			group, length = nil, 0
		}
		group = append(group, condition)
		length += len(condition)
	}
	return f.excludeAll(ctx, group)
}

// excludeAll records that none of the devices meets one of the conditions, if it is so.
func (f *fleet) excludeAll(ctx context.Context, conditions []string) error {
	if len(conditions) < 2 {
		return nil // thatMeet asks the same
	}
	devices, err := edgeDevices(ctx, f.client, f.condition, "("+strings.Join(conditions, ") OR (")+")")
	if err != nil || len(devices) > 0 {
		return err
	}
	for _, condition := range conditions {
		f.meeting[condition] = nil
	}
	return nil
}

// thatMeet returns the devices that meet another condition, too, sorted. It asks the hub
// once for each condition.
func (f *fleet) thatMeet(ctx context.Context, condition string) ([]string, error) {
	condition = strings.TrimSpace(condition)
	switch {
	case len(f.devices) == 0 || condition == "":
		return nil, nil
	case condition == everyDevice || condition == f.condition:
		return f.devices, nil
	}
	if known, ok := f.meeting[condition]; ok {
		return known, nil
	}
	devices, err := edgeDevices(ctx, f.client, f.condition, condition)
	if err == nil {
		f.meeting[condition] = devices
	}
	return devices, err
}

// edgeDevices returns the IoT Edge devices that meet all conditions, sorted.
func edgeDevices(ctx context.Context, client *hubclient.Client, conditions ...string) ([]string, error) {
	var query strings.Builder
	query.WriteString("SELECT deviceId FROM devices WHERE capabilities.iotEdge = true")
	for _, condition := range conditions {
		switch condition {
		case "":
			return nil, nil
		case everyDevice:
		default:
			query.WriteString(" AND (" + condition + ")")
		}
	}
	var devices []string
	for item, err := range client.Query(ctx, query.String()) {
		if err != nil {
			return nil, err
		}
		var row struct {
			DeviceID string `json:"deviceId"`
		}
		if err := json.Unmarshal(item, &row); err != nil {
			return nil, fmt.Errorf("query: a row without a device: %w", err)
		}
		devices = append(devices, row.DeviceID)
	}
	slices.Sort(devices)
	return devices, nil
}

// deployed is a deployment for IoT Edge devices that the hub has.
type deployed struct {
	hubclient.Configuration

	manifest *manifest.Manifest
}

// otherDeployments returns the hub's deployments apart from one, by priority. It ignores
// configurations of other kinds, which have no modules of IoT Edge.
func otherDeployments(ctx context.Context, client *hubclient.Client, id string) ([]deployed, error) {
	list, err := client.Configurations(ctx)
	if err != nil {
		return nil, err
	}
	var others []deployed
	for _, c := range list {
		if m := edgeContent(c); m != nil && c.ID != id {
			others = append(others, deployed{c, m})
		}
	}
	slices.SortStableFunc(others, func(a, b deployed) int { return cmp.Compare(a.Priority, b.Priority) })
	return others, nil
}

// edgeContent returns the content of a deployment for IoT Edge devices, or nil for a
// configuration of another kind: of devices (deviceContent) or modules (moduleContent).
func edgeContent(c hubclient.Configuration) *manifest.Manifest {
	var content struct {
		Modules json.RawMessage `json:"modulesContent"`
	}
	if json.Unmarshal(c.Content, &content) != nil || content.Modules == nil {
		return nil
	}
	m, _ := manifest.Parse("deployment "+c.ID, c.Content)
	return m
}

// deviceNames returns the number of devices and the names of the first ones.
func deviceNames(devices []string) string {
	const most = 5
	text := fmt.Sprintf("%d device", len(devices))
	if len(devices) != 1 {
		text += "s"
	}
	switch {
	case len(devices) == 0:
		return text
	case len(devices) > most:
		return fmt.Sprintf("%s (%s and %d more)", text, strings.Join(devices[:most], ", "), len(devices)-most)
	}
	return fmt.Sprintf("%s (%s)", text, strings.Join(devices, ", "))
}
