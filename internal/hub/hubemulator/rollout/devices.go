package rollout

import (
	"errors"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// This file brings devices up to date.

// deviceChanged is the store's observer.
func (r *Rollout) deviceChanged(device string) {
	r.mu.Lock()
	changed := len(r.configurations) > 0 && r.bring(device)
	r.mu.Unlock()
	if changed {
		r.Store.Deliver()
	}
}

// refresh takes up the configurations of the store and brings all devices up to date.
// The caller holds the lock.
func (r *Rollout) refresh() error {
	stored := r.Store.Configurations()
	configurations := make([]configuration, 0, len(stored))
	var unknown error
	for _, c := range stored {
		understood, err := understand(c)
		if err != nil {
			unknown = errors.Join(unknown, err)
			continue
		}
		configurations = append(configurations, understood)
	}
	had := len(r.configurations)
	r.configurations = configurations
	if had+len(configurations) == 0 {
		return unknown
	}
	for _, device := range r.Store.Devices() {
		if device.IoTEdge {
			r.bring(device.ID.Device)
		}
	}
	return unknown
}

// bring makes of one device what the configurations say, and returns whether anything
// has changed. The caller holds the lock, and delivers.
func (r *Rollout) bring(device string) bool {
	twin, err := r.Store.Twin(store.ID{Device: device})
	if err != nil || !twin.Identity.IoTEdge {
		return false // gone meanwhile
	}
	plan := deployment.Merge(r.targeting(twin))
	deployed, err := r.deploy(device, planned(plan))
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

// targeting returns the deployments whose target conditions a device meets.
func (r *Rollout) targeting(twin store.Twin) []deployment.Deployment {
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

// planned turns a plan into what the store is asked for.
func planned(p deployment.Plan) store.Deployment {
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
