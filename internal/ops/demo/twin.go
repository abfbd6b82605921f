package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"rtsptunnel/internal/hub/hubclient"
)

const (
	readyTime = 30 * time.Second // for the module to connect; it takes well under one
	pollTime  = 50 * time.Millisecond
)

// content is the deployment: a whole one, but for what an edge agent would want to
// start containers.
func (d *demo) content() (json.RawMessage, error) {
	desired, err := d.desired()
	if err != nil {
		return nil, err
	}
	module := map[string]any{
		"type": "docker", "status": "running", "restartPolicy": "always",
		"settings": map[string]any{"image": moduleID + ":demo"},
	}
	section := func(desired any) map[string]any { return map[string]any{"properties.desired": desired} }
	return json.Marshal(map[string]any{"modulesContent": map[string]any{
		"$edgeAgent": section(map[string]any{"schemaVersion": "1.1", "modules": map[string]any{moduleID: module}}),
		"$edgeHub":   section(map[string]any{"schemaVersion": "1.2", "routes": map[string]any{}}),
		moduleID:     section(desired),
	}})
}

// desired are the module's desired properties.
func (d *demo) desired() (map[string]any, error) {
	cameras := map[string]any{}
	for _, s := range d.sites {
		host, port, err := net.SplitHostPort(s.camera.Addr())
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		cameras[s.name] = map[string]any{"host": host, "port": number, "localPort": s.localPort, "maxTunnels": 64}
	}
	return map[string]any{"cameras": cameras}, nil
}

// awaitModule waits until the module acknowledges its cameras, which it does when
// it answers direct methods.
func (d *demo) awaitModule(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	tick := time.NewTicker(pollTime)
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
				readyTime, d.module.tail())
		case <-tick.C:
		}
	}
}

// acknowledged tells whether the reported properties accept the desired version.
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
