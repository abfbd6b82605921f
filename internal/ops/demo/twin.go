package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rtsptunnel/internal/hub/hubclient"
)

const (
	readyTimeout = 30 * time.Second // for the module to connect, which takes less than a second
	pollInterval = 50 * time.Millisecond
)

// content returns a whole deployment, without the settings that an edge agent needs to
// start containers.
func (d *demo) content() (json.RawMessage, error) {
	module := map[string]any{
		"type": "docker", "status": "running", "restartPolicy": "always",
		"settings": map[string]any{"image": moduleID + ":demo"},
	}
	section := func(desired any) map[string]any { return map[string]any{"properties.desired": desired} }
	return json.Marshal(map[string]any{"modulesContent": map[string]any{
		"$edgeAgent": section(map[string]any{"schemaVersion": "1.1", "modules": map[string]any{moduleID: module}}),
		"$edgeHub":   section(map[string]any{"schemaVersion": "1.2", "routes": map[string]any{}}),
		moduleID:     section(d.desired()),
	}})
}

// desired returns the module's desired properties.
func (d *demo) desired() map[string]any {
	cameras := map[string]any{}
	for _, c := range d.cameras {
		cameras[c.name] = map[string]any{
			"host": c.host, "port": c.port, "localPort": c.localPort, "maxTunnels": 64,
			"streams": map[string]any{"main": map[string]any{"path": c.path}},
		}
	}
	return map[string]any{"cameras": cameras}
}

// awaitModule waits until the module acknowledges its cameras. From then on it answers
// direct methods.
func (d *demo) awaitModule(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		t, err := d.client.Twin(ctx, d.identity())
		if err == nil {
			if description, ok := acknowledged(t); ok {
				return "module connected; it reports: " + description, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("the module did not acknowledge its cameras within %s; its last log lines:\n%s",
				readyTimeout, d.module.tail())
		case <-tick.C:
		}
	}
}

// acknowledged reports whether the module has accepted the desired version.
func acknowledged(t hubclient.Twin) (description string, ok bool) {
	var desired struct {
		Version int64 `json:"$version"`
	}
	var reported struct {
		Cameras struct {
			Code        int    `json:"ac"`
			Version     int64  `json:"av"`
			Description string `json:"ad"`
		} `json:"cameras"`
	}
	if json.Unmarshal(t.Properties.Desired, &desired) != nil || json.Unmarshal(t.Properties.Reported, &reported) != nil {
		return "", false
	}
	return reported.Cameras.Description, reported.Cameras.Code == 200 && reported.Cameras.Version == desired.Version
}
