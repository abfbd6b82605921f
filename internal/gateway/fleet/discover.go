package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/hub/hubclient"
)

// queries find the modules, and the devices with cameras of their own, that announce the
// model ("Queries for IoT Hub device and module twins"). Selected columns instead of whole
// twins leave out the hub's metadata, which is larger than the rest.
var queries = []string{selected + "FROM devices.modules" + announced, selected + "FROM devices" + announced}

const (
	selected = "SELECT deviceId, moduleId, connectionState, lastActivityTime, properties.desired.cameras AS cameras, " +
		"properties.reported.cameraStatus AS cameraStatus, properties.reported.state AS condition "
	announced = " WHERE modelId = '" + tunnelopen.ModelID + "'"
)

const (
	pageTries = 30 // of one page, while the hub throttles queries
	keepReads = 2  // a module that is missing so often is gone: pages may miss one that changes
)

// reading is one read of a hub.
type reading struct {
	modules map[hubclient.Identity]*module
	cameras int
	faulty  int  // rows or modules with a fault
	cut     bool // the hub has more cameras than are kept
}

// read reads all modules of a hub. last has the modules before.
func (f *Fleet) read(ctx context.Context, client *hubclient.Client, last map[hubclient.Identity]*module) (reading, error) {
	r := reading{modules: make(map[hubclient.Identity]*module, len(last))}
	for _, query := range queries {
		if err := f.readQuery(ctx, client, query, last, &r); err != nil {
			return reading{}, err
		}
	}
	for id, m := range last {
		if r.modules[id] == nil && m.missing+1 < keepReads {
			kept := *m
			kept.missing++
			r.add(id, &kept, f.options.MaxCameras)
		}
	}
	return r, nil
}

func (f *Fleet) readQuery(ctx context.Context, client *hubclient.Client, query string, last map[hubclient.Identity]*module, r *reading) error {
	for token := ""; ; {
		items, next, err := f.page(ctx, client, query, token)
		if err != nil {
			return err
		}
		for _, item := range items {
			var row row
			if json.Unmarshal(item, &row) != nil || row.Device == "" {
				r.faulty++
				continue
			}
			id := row.identity()
			if !r.add(id, newModule(row, last[id], time.Now()), f.options.MaxCameras) {
				return nil
			}
		}
		if next == "" {
			return nil
		}
		token = next
	}
}

// page requests a page again while the hub throttles queries.
func (f *Fleet) page(ctx context.Context, client *hubclient.Client, query, token string) (items []json.RawMessage, next string, err error) {
	for range pageTries {
		items, next, err = client.QueryPage(ctx, query, token)
		if refused, ok := errors.AsType[*hubclient.Error](err); !ok || refused.Status != http.StatusTooManyRequests {
			return items, next, err
		}
		if !sleep(ctx, f.options.ThrottlePause) {
			return nil, "", err
		}
	}
	return nil, "", err
}

// add adds a module, and reports false if the limit of cameras is reached. Modules count,
// too, so that those without cameras are bounded.
func (r *reading) add(id hubclient.Identity, m *module, most int) bool {
	if r.modules[id] != nil {
		return true
	}
	if r.cameras+len(m.cameras) > most || len(r.modules) == most {
		r.cut = true
		return false
	}
	r.cameras += len(m.cameras)
	r.modules[id] = m
	if m.fault != "" {
		r.faulty++
	}
	return true
}
