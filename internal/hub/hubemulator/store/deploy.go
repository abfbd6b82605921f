package store

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"rtsptunnel/internal/base/jsonvalue"
)

// The modules that IoT Hub creates with every IoT Edge device.
const (
	EdgeAgent = "$edgeAgent"
	EdgeHub   = "$edgeHub"
)

// managedByEdge marks the modules that IoT Edge created and may delete (Azure/iotedge,
// ModuleIdentityLifecycleManager).
const managedByEdge = "IotEdge"

// ErrNotEdge reports a device that is not an IoT Edge device.
var ErrNotEdge = errors.New("not an IoT Edge device")

// Deployment is the wanted state of the modules of one device.
type Deployment struct {
	// Desired has a function for each module whose desired properties change. It gets
	// the properties that the module has and returns the new ones, as JSON values that
	// encoding/json decodes with UseNumber. The store holds its lock during the call.
	// The function must not change its argument.
	Desired map[string]func(have map[string]any) map[string]any
	// Modules are the modules that the device runs; nil means no change. Deploy creates
	// the missing ones, and also those in Desired. It deletes the modules that an earlier
	// Deploy created and that are not listed any more.
	Modules []string
	// Statuses are the statuses of configurations in the twins of the modules, by module
	// and by configuration. A module that is missing here gets no statuses. nil means no
	// change.
	Statuses map[string]map[string]string
}

// Deployed is the result of a Deployment.
type Deployed struct {
	Changed bool
	// Gone are the deleted modules. The caller must cut their connections.
	Gone []ID
}

// Deploy applies d to a device atomically: after an error nothing has changed. The caller
// must then call Deliver, which passes the changes to the observer of desired
// properties. Errors, wrapped: ErrDeviceNotFound, ErrNotEdge, ErrInvalidID,
// ErrTooManyModules, ErrLimit.
func (s *Store) Deploy(device string, d Deployment) (Deployed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(ID{Device: device})
	if err != nil {
		return Deployed{}, err
	}
	if !e.identity.IoTEdge {
		return Deployed{}, ErrNotEdge
	}
	wanted := d.modules()
	gone := s.unmanaged(device, d.Modules != nil, wanted)
	patches, err := s.patches(device, d.Desired)
	if err != nil {
		return Deployed{}, err
	}
	missing, err := s.missing(device, wanted, len(gone))
	if err != nil {
		return Deployed{}, err
	}
	before := s.revision
	for _, id := range gone {
		s.remove(id)
	}
	for _, id := range missing {
		if _, err := s.create(id, Settings{ManagedBy: managedByEdge}); err != nil {
			return Deployed{}, err // cannot happen: missing has checked the name, and the settings are empty
		}
	}
	for _, module := range slices.Sorted(maps.Keys(patches)) {
		if err := s.change(s.entries[ID{device, module}], TwinUpdate{Desired: patches[module]}); err != nil {
			return Deployed{}, err // cannot happen: patches has tried the change
		}
	}
	if d.Statuses != nil {
		s.setStatuses(device, d.Statuses)
	}
	return Deployed{Changed: s.revision != before, Gone: gone}, nil
}

// Deliver waits until all earlier deployments are kept (see Keep), and passes their
// changes to the observer of desired properties.
func (s *Store) Deliver() {
	s.notify(s.Revision())
}

// modules returns all modules that must exist, sorted.
func (d Deployment) modules() []string {
	names := append([]string{EdgeAgent, EdgeHub}, d.Modules...)
	names = slices.AppendSeq(names, maps.Keys(d.Desired))
	slices.Sort(names)
	return slices.Compact(names)
}

// unmanaged returns the modules that IoT Edge created and that are not wanted.
func (s *Store) unmanaged(device string, known bool, wanted []string) []ID {
	var gone []ID
	for module, e := range s.modules[device] {
		if known && e.identity.ManagedBy == managedByEdge && !slices.Contains(wanted, module) {
			gone = append(gone, e.identity.ID)
		}
	}
	slices.SortFunc(gone, compareIDs)
	return gone
}

// missing returns the modules to create, or the error that prevents it.
func (s *Store) missing(device string, wanted []string, gone int) ([]ID, error) {
	var missing []ID
	for _, module := range wanted {
		id := ID{device, module}
		if err := id.validate(); err != nil {
			return nil, err
		}
		if s.entries[id] == nil {
			missing = append(missing, id)
		}
	}
	if s.countModules(device)-gone+len(missing) > maxModules {
		return nil, ErrTooManyModules
	}
	return missing, nil
}

// patches returns the changes of desired properties, by module. It tries each one on a
// copy, so that none fails later.
func (s *Store) patches(device string, desired map[string]func(map[string]any) map[string]any) (map[string]Patch, error) {
	patches := make(map[string]Patch, len(desired))
	for module, want := range desired {
		have := map[string]any{}
		if e := s.entries[ID{device, module}]; e != nil {
			have = e.desired.properties
		}
		patch := difference(have, want(have))
		if len(patch) == 0 {
			continue
		}
		if err := mergeWithin(jsonvalue.CloneObject(have), patch, maxProperties); err != nil {
			return nil, fmt.Errorf("module %s: %w", module, err)
		}
		patches[module] = patch
	}
	return patches, nil
}

// difference returns the merge patch that turns have into want. A null in want means a
// missing member.
func difference(have, want map[string]any) Patch {
	patch := Patch{}
	for name := range have {
		if want[name] == nil {
			patch[name] = nil
		}
	}
	for name, value := range want {
		old, object := have[name].(map[string]any)
		next, alsoObject := value.(map[string]any)
		switch {
		case value == nil:
		case object && alsoObject:
			if inner := difference(old, next); len(inner) > 0 {
				patch[name] = map[string]any(inner)
			}
		case !reflect.DeepEqual(have[name], value):
			patch[name] = value
		}
	}
	return patch
}

// setStatuses sets the statuses of configurations in the twins of a device's modules.
func (s *Store) setStatuses(device string, statuses map[string]map[string]string) {
	for module, e := range s.modules[device] {
		if !maps.Equal(e.configurations, statuses[module]) {
			e.configurations = maps.Clone(statuses[module])
			e.version++
			s.changed(e)
		}
	}
}
