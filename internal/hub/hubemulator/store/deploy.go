package store

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"rtsptunnel/internal/base/jsonvalue"
)

// The modules that IoT Hub makes with every IoT Edge device.
const (
	EdgeAgent = "$edgeAgent"
	EdgeHub   = "$edgeHub"
)

// managedByEdge marks the modules that IoT Edge has made and may delete
// (Azure/iotedge, ModuleIdentityLifecycleManager).
const managedByEdge = "IotEdge"

// ErrNotEdge says that a device is not an IoT Edge device.
var ErrNotEdge = errors.New("not an IoT Edge device")

// Deployment is what is to be true of the modules of one device.
type Deployment struct {
	// Desired say what is to become of all desired properties that a module has, by
	// module; other modules keep theirs. They are called with the lock held, change
	// nothing of what they are given, and return JSON values as encoding/json
	// decodes them with UseNumber.
	Desired map[string]func(have map[string]any) map[string]any
	// Modules are those that the device runs, or nil if that stays as it is.
	// Those that are missing are made, as are those in Desired. Those that were
	// made so and are not named any more are deleted.
	Modules []string
	// Statuses are what the twins of the modules say of configurations, by module
	// and by configuration; modules that are not in it say nothing. If nil, all
	// stays as it is.
	Statuses map[string]map[string]string
}

// Deployed says what came of a Deployment.
type Deployed struct {
	Changed bool
	// Gone are the modules that were deleted. To cut their connections is the
	// caller's business.
	Gone []ID
}

// Deploy makes d true of a device, all of it or nothing. The observer of desired
// properties hears of it with Deliver, which the caller calls then. Errors,
// wrapped: ErrDeviceNotFound, ErrNotEdge, ErrInvalidID, ErrTooManyModules,
// ErrLimit.
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
			return Deployed{}, err // cannot be: the name is checked, and there are no settings to be wrong
		}
	}
	for _, module := range slices.Sorted(maps.Keys(patches)) {
		if err := s.change(s.entries[ID{device, module}], TwinUpdate{Desired: patches[module]}); err != nil {
			return Deployed{}, err // cannot be: patches has tried it
		}
	}
	if d.Statuses != nil {
		s.setStatuses(device, d.Statuses)
	}
	return Deployed{Changed: s.revision != before, Gone: gone}, nil
}

// Deliver waits until everything is kept that was deployed before, and tells the
// observer of desired properties.
func (s *Store) Deliver() {
	s.notify(s.Revision())
}

// modules returns all that must be there, sorted.
func (d Deployment) modules() []string {
	names := append([]string{EdgeAgent, EdgeHub}, d.Modules...)
	names = slices.AppendSeq(names, maps.Keys(d.Desired))
	slices.Sort(names)
	return slices.Compact(names)
}

// unmanaged returns the modules that IoT Edge has made and that are not wanted.
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

// missing returns the modules to be made, or why they cannot be.
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

// patches returns what must change of desired properties, by module. Each is
// tried, so that none fails later.
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

// difference returns the merge patch that makes want of have. What is null in want
// is what is not there.
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

// setStatuses writes what the twins of a device's modules say of configurations.
func (s *Store) setStatuses(device string, statuses map[string]map[string]string) {
	for module, e := range s.modules[device] {
		if !maps.Equal(e.configurations, statuses[module]) {
			e.configurations = maps.Clone(statuses[module])
			e.version++
			s.changed(e)
		}
	}
}
