package twin

import (
	"fmt"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
)

// cameras applies the cameras by name, each local port once: the later of two names
// with one local port is the fault.
func (a *applying) cameras(value any) {
	entries, ok := value.(map[string]any)
	if !ok {
		good, text := a.lastGood()
		a.next.Cameras = good.Cameras
		a.faulty(theSchema().check(camerasSection, value, camerasSection), text)
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
			faults = a.room(c, owner)
		}
		if len(faults) > 0 {
			good, had := last[name]
			if !had || len(a.room(good, owner)) > 0 {
				a.faulty(faults, "there is no such camera")
				continue
			}
			a.faulty(faults, "the camera stays as it was")
			c = good
		}
		owner[c.LocalPort] = c.Name
		a.next.Cameras = append(a.next.Cameras, c)
	}
}

// camera reads one entry. All its faults are returned at once, so that an operator
// mends them in one go.
func (a *applying) camera(name string, value any) (camera.Camera, []Fault) {
	path := camerasSection + "/" + printable(name)
	if faults := theSchema().check("name", name, path); len(faults) > 0 {
		return camera.Camera{Name: name}, faults
	}
	values, faults := a.object("camera", path, camerasSection+"/*", value)
	if len(faults) > 0 {
		return camera.Camera{Name: name}, faults
	}
	c := camera.Camera{Name: name}
	set(cameraFields(&c), theSchema().defaults["camera"])
	set(cameraFields(&c), values)
	if c.LocalPort == 0 {
		c.LocalPort = c.Port
	}
	return c, nil
}

// room is why a camera cannot be in force beside those before it.
func (a *applying) room(c camera.Camera, owner map[int]string) []Fault {
	path := camerasSection + "/" + c.Name
	if len(a.next.Cameras) == maxCameras {
		return []Fault{{Path: path, Code: reason.ConfigSize, Text: fmt.Sprintf("there may be %d cameras; those before it by name are", maxCameras)}}
	}
	if other, taken := owner[c.LocalPort]; taken {
		return []Fault{{Path: path + "/localPort", Code: reason.ConfigDuplicate, Text: fmt.Sprintf("%d is camera %s's already", c.LocalPort, other)}}
	}
	return nil
}
