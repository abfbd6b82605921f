package manifestctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"rtsptunnel/internal/ops/manifest"
)

// contradictions returns the flags that differ from what the file says about its
// deployment. az iot edge deployment create takes the flags without a word, so that the
// file no longer describes what runs (Azure/azure-iot-cli-extension,
// azext_iot/operations/hub.py, iot_edge_deployment_create).
func (t *target) contradictions(m *manifest.Manifest) []string {
	header := m.Header()
	var list []string
	if header.ID != "" && header.ID != t.deployment {
		list = append(list, fmt.Sprintf("--deployment %s contradicts %s, whose id is %.130q; correct one of the two", t.deployment, m.File(), header.ID))
	}
	if header.Priority != nil && *header.Priority != t.priority {
		list = append(list, fmt.Sprintf("--priority %d contradicts %s, whose priority is %d; leave out the flag, or correct the file", t.priority, m.File(), *header.Priority))
	}
	if header.TargetCondition != "" && strings.TrimSpace(header.TargetCondition) != strings.TrimSpace(t.condition) {
		list = append(list, fmt.Sprintf("--target-condition contradicts the targetCondition in %s; leave out the flag, or correct the file", m.File()))
	}
	return list
}

// comparison compares a deployment with those that a hub has.
type comparison struct {
	fleet   *fleet
	want    deployed
	tunnels []string // further rtsptunnel modules, as in manifest.Options
}

// conflicts returns what the hub accepts, but is probably a mistake: a condition that no
// device meets, a priority that another deployment of the same devices has, and local
// ports that another deployment of the same devices gives to another camera.
func (c *comparison) conflicts(ctx context.Context) ([]string, error) {
	if c.fleet.condition == "" {
		return nil, nil // the operator wrote that it targets no device
	}
	if len(c.fleet.devices) == 0 {
		return []string{"no IoT Edge device meets the target condition; correct it, tag the devices first, or use '' for a deployment that is not needed yet"}, nil
	}
	others, err := otherDeployments(ctx, c.fleet.client, c.want.ID)
	if err != nil {
		return nil, err
	}
	equal := slices.DeleteFunc(slices.Clone(others), func(other deployed) bool { return other.Priority != c.want.Priority })
	if !c.want.manifest.HasCameras() {
		return c.equalPriorities(ctx, equal)
	}
	if err := c.fleet.exclude(ctx, others); err != nil {
		return nil, err
	}
	list, err := c.equalPriorities(ctx, equal)
	if err != nil {
		return nil, err
	}
	ports, err := c.sharedPorts(ctx, others)
	return append(list, ports...), err
}

// equalPriorities returns those of the deployments, which all have the same priority, that
// target the same devices. IoT Hub applies the one that was created last (MicrosoftDocs/azure-docs,
// articles/iot-edge/module-deployment-monitoring.md, priority).
func (c *comparison) equalPriorities(ctx context.Context, equal []deployed) ([]string, error) {
	var list []string
	for _, other := range equal {
		devices, err := c.fleet.thatMeet(ctx, other.TargetCondition)
		if err != nil {
			return nil, compareError(other, err)
		}
		if len(devices) > 0 {
			list = append(list, fmt.Sprintf("deployment %s has priority %d, too, on %s; IoT Hub lets the newer one win: choose another priority", other.ID, other.Priority, deviceNames(devices)))
		}
	}
	return list, nil
}

func compareError(other deployed, err error) error {
	return fmt.Errorf("find the devices of deployment %s: %w", other.ID, err)
}

// stack is a set of deployments, and the devices that exactly they target.
type stack struct {
	deployments []deployed
	devices     []string
}

// stacks groups the fleet's devices by the deployments that target them, so that each
// combination is merged once.
func (c *comparison) stacks(ctx context.Context, others []deployed) ([]*stack, error) {
	targeting := make(map[string][]deployed, len(c.fleet.devices))
	for _, other := range others {
		devices, err := c.fleet.thatMeet(ctx, other.TargetCondition)
		if err != nil {
			return nil, compareError(other, err)
		}
		for _, device := range devices {
			targeting[device] = append(targeting[device], other)
		}
	}
	byIDs := map[string]*stack{}
	var all []*stack
	for _, device := range c.fleet.devices {
		var ids strings.Builder
		for _, d := range targeting[device] {
			ids.WriteString(d.ID + "\x00")
		}
		s := byIDs[ids.String()]
		if s == nil {
			s = &stack{deployments: append(targeting[device], c.want)}
			byIDs[ids.String()] = s
			all = append(all, s)
		}
		s.devices = append(s.devices, device)
	}
	return all, nil
}

// portConflict is a text around the names of the devices that have it.
type portConflict struct{ before, after string }

// sharedPorts returns the local ports that the deployment and another one give to two
// cameras of the same device.
func (c *comparison) sharedPorts(ctx context.Context, others []deployed) ([]string, error) {
	stacks, err := c.stacks(ctx, others)
	if err != nil {
		return nil, err
	}
	devices := map[portConflict][]string{}
	var order []portConflict
	for _, s := range stacks {
		for _, p := range c.portConflicts(s.deployments) {
			if devices[p] == nil {
				order = append(order, p)
			}
			devices[p] = append(devices[p], s.devices...)
		}
	}
	texts := make([]string, len(order))
	for i, p := range order {
		texts[i] = p.before + deviceNames(devices[p]) + p.after
	}
	return texts, nil
}

// portConflicts returns the local ports that two cameras have if these deployments target
// a device.
func (c *comparison) portConflicts(targeting []deployed) []portConflict {
	order := inForce(targeting)
	if !slices.ContainsFunc(order, func(d deployed) bool { return d.ID == c.want.ID }) {
		return nil // another full deployment wins, so that this one changes nothing
	}
	layers := make([]manifest.Deployment, len(order))
	for i, d := range order {
		layers[i] = manifest.Deployment{Manifest: d.manifest}
	}
	merged, problems := manifest.Merge(layers[0], layers[1:]...)
	if merged == nil {
		return []portConflict{{"the deployments of ", " cannot be merged, so their cameras were not compared: " + problems.Errors()[0].String()}}
	}
	var list []portConflict
	for _, p := range merged.SharedPorts(c.tunnels) {
		ours, theirs := p.First, p.Second
		if order[ours.From].ID != c.want.ID {
			ours, theirs = theirs, ours
		}
		if order[ours.From].ID != c.want.ID || ours.From == theirs.From {
			continue // two other deployments, or one file, which validate judges
		}
		list = append(list, portConflict{
			fmt.Sprintf("camera %s of %s has local port %d, as has camera %s of deployment %s, on ", ours.Camera, p.Module, p.Port, theirs.Camera, order[theirs.From].ID),
			"; the module rejects one of the two: choose another localPort",
		})
	}
	return list
}

// inForce returns the deployments that IoT Hub applies to a device that all of them
// target: the full one with the highest priority, and the layers above it in the order in
// which they apply. An empty deployment stands for the full one if there is none.
func inForce(targeting []deployed) []deployed {
	order := slices.SortedStableFunc(slices.Values(targeting), func(a, b deployed) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.age(), b.age()))
	})
	base := emptyBase()
	layers := order
	for i, d := range slices.Backward(order) {
		if !d.manifest.Layered() {
			base = d
			layers = slices.DeleteFunc(slices.Clone(order[i+1:]), func(l deployed) bool { return l.Priority == d.Priority })
			break
		}
	}
	return append([]deployed{base}, layers...)
}

// age sorts deployments by the time of their creation. One that does not exist yet is the
// newest.
func (d deployed) age() string { return cmp.Or(d.Created, "~") }

func emptyBase() deployed {
	m, _ := manifest.Parse("", []byte(`{"modulesContent": {"$edgeAgent": {"properties.desired": {}}}}`))
	return deployed{manifest: m}
}

// confirm writes the conflicts to standard error: as warnings if the operator wants to go
// on, else as errors, and then it fails.
func (j *job) confirm(conflicts []string, force bool) error {
	kind := "conflict"
	if force {
		kind = "warning"
	}
	for _, text := range conflicts {
		_, _ = io.WriteString(j.Err, kind+": "+text+"\n")
	}
	if force || len(conflicts) == 0 {
		return nil
	}
	return errors.New("nothing was written; resolve the conflicts, or go on with --force")
}
