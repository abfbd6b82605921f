package rollout

import (
	"errors"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file applies the configurations to devices.

// deviceChanged is the store's observer of devices.
func (r *Rollout) deviceChanged(device string) {
	r.mu.Lock()
	changed := len(r.configurations) > 0 && r.updateDevice(device)
	r.mu.Unlock()
	if changed {
		r.Store.Deliver()
	}
}

// refresh reads the configurations from the store and updates all devices. It returns
// the errors of configurations that it cannot parse. The caller holds the lock.
func (r *Rollout) refresh() error {
	stored := r.Store.Configurations()
	configurations := make([]configuration, 0, len(stored))
	var invalid error
	for _, c := range stored {
		parsed, err := parseConfiguration(c)
		if err != nil {
			invalid = errors.Join(invalid, err)
			continue
		}
		configurations = append(configurations, parsed)
	}
	had := len(r.configurations)
	r.configurations = configurations
	if had+len(configurations) == 0 {
		return invalid
	}
	for _, device := range r.Store.Devices() {
		if device.IoTEdge {
			r.updateDevice(device.ID.Device)
		}
	}
	return invalid
}

// updateDevice applies the configurations to one device and reports whether anything has
// changed. The caller holds the lock, and calls Store.Deliver after releasing it.
func (r *Rollout) updateDevice(device string) bool {
	twin, err := r.Store.Twin(store.ID{Device: device})
	if err != nil || !twin.Identity.IoTEdge {
		return false // deleted or changed in the meantime
	}
	plan := deployment.Merge(r.deploymentsFor(twin))
	deployed, err := r.deploy(device, storeDeployment(plan))
	if err == nil {
		return deployed.Changed
	}
	r.Log.Warn().Err(err).Str("device", device).Msg("deployments cannot be applied")
	for _, statuses := range plan.Statuses {
		for id := range statuses {
			statuses[id] = deployment.Targeted
		}
	}
	deployed, err = r.deploy(device, store.Deployment{Statuses: plan.Statuses})
	return err == nil && deployed.Changed
}

func (r *Rollout) deploy(device string, d store.Deployment) (store.Deployed, error) {
	deployed, err := r.Store.Deploy(device, d)
	for _, id := range deployed.Gone {
		r.Drop(id)
	}
	return deployed, err
}

// deploymentsFor returns the deployments whose target conditions match a device.
func (r *Rollout) deploymentsFor(twin store.Twin) []deployment.Deployment {
	document := query.Document{
		"deviceId":   twin.Identity.ID.Device,
		"tags":       twin.Tags,
		"properties": map[string]any{"reported": twin.Reported.Properties},
	}
	var list []deployment.Deployment
	for _, c := range r.configurations {
		if c.target(document) {
			list = append(list, deployment.Deployment{ID: c.ID, Priority: c.Priority, Created: c.Created, Content: c.content})
		}
	}
	return list
}

// storeDeployment converts a plan to the store's request.
func storeDeployment(p deployment.Plan) store.Deployment {
	d := store.Deployment{Statuses: p.Statuses}
	if p.Desired == nil {
		return d
	}
	d.Desired = make(map[string]func(map[string]any) map[string]any, len(p.Desired))
	for module, want := range p.Desired {
		d.Desired[module] = func(map[string]any) map[string]any { return want }
	}
	d.Modules = nonNil(deployment.RunBy(p.Desired[store.EdgeAgent]))
	return d
}
