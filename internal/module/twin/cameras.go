package twin

import (
	"fmt"
	"maps"
	"slices"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
)

// cameras applies the cameras in the order of their names. Of two cameras with the same
// local port, the second has the fault.
func (a *applier) cameras(value any) {
	entries, ok := value.(map[string]any)
	if !ok {
		good, text := a.lastGood()
		a.next.Cameras = good.Cameras
		a.reject(theSchema().check(camerasSection, value, camerasSection), text)
		return
	}
	last := make(map[string]camera.Camera)
	if a.last != nil {
		for _, c := range a.last.Cameras {
			last[c.Name] = c
		}
	}
	owner := make(map[int]string)
	for _, name := range sortedNames(entries) {
		c, faults := a.camera(name, entries[name])
		if len(faults) == 0 {
			faults = a.conflict(c, owner)
		}
		if len(faults) > 0 {
			good, had := last[name]
			if !had || len(a.conflict(good, owner)) > 0 {
				a.reject(faults, "there is no such camera")
				continue
			}
			a.reject(faults, "the camera's previous configuration stays in force")
			c = good
		}
		owner[c.LocalPort] = c.Name
		a.next.Cameras = append(a.next.Cameras, c)
	}
}

// camera reads one entry. It returns all faults of the entry, so that an operator can
// fix them together. Package desired judges what the schema cannot express.
func (a *applier) camera(name string, value any) (camera.Camera, []Fault) {
	path := camerasSection + "/" + desired.Printable(name)
	if faults := theSchema().check("name", name, path); len(faults) > 0 {
		return camera.Camera{Name: name}, faults
	}
	values, faults := a.object("camera", path, camerasSection+"/*", value)
	if values == nil {
		return camera.Camera{Name: name}, faults
	}
	read, more := desired.ReadCamera(name, values)
	for _, f := range more {
		if !slices.ContainsFunc(faults, func(known Fault) bool { return known.Path == f.Path }) {
			faults = append(faults, Fault{Path: f.Path, Code: f.Code, Text: f.Text})
		}
	}
	sortFaults(faults)
	return camera.Camera{
		Name: name, Host: read.Host, Port: read.Port, LocalPort: read.LocalPort, Enabled: read.Enabled, MaxTunnels: read.MaxTunnels,
		MaxBitsPerSecond: read.MaxBitsPerSecond, ExpectedOffline: read.ExpectedOffline, Streams: slices.Sorted(maps.Keys(read.Streams)),
	}, faults
}

// conflict returns why a camera cannot be in force together with those before it. owner
// is the name of the camera that has a local port.
func (a *applier) conflict(c camera.Camera, owner map[int]string) []Fault {
	path := camerasSection + "/" + c.Name
	if len(a.next.Cameras) == desired.MaxCameras {
		return []Fault{{Path: path, Code: reason.ConfigSize, Text: fmt.Sprintf("is beyond the limit of %d cameras, counted by name; remove cameras", desired.MaxCameras)}}
	}
	if other, taken := owner[c.LocalPort]; taken {
		return []Fault{{Path: path + "/localPort", Code: reason.ConfigDuplicate, Text: fmt.Sprintf("%d is already the local port of camera %s", c.LocalPort, other)}}
	}
	return nil
}
