package twin

import (
	"encoding/json"
	"regexp"
	"strings"
)

var (
	cameraName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	// hostName admits names and addresses and nothing that could be read as more
	// than a host: no port, path, userinfo or blank.
	hostName = regexp.MustCompile(`^[A-Za-z0-9._:%-]{1,253}$`)
)

// parseCamera reads one entry of cameras. All its faults are returned at once, so
// that an operator mends them in one go.
func parseCamera(e member) (Camera, []Fault) {
	path := "cameras/" + e.name
	if !cameraName.MatchString(e.name) {
		return Camera{}, []Fault{{"cameras", "a name has 1 to 64 letters, digits, '_' or '-'"}}
	}
	fields, err := members(e.value)
	if err != nil {
		return Camera{}, []Fault{{path, "must be an object with host, port and localPort"}}
	}
	c := Camera{Name: e.name, Port: DefaultPort}
	var faults []Fault
	note := func(name, text string) { faults = append(faults, Fault{path + "/" + name, text}) }
	for _, f := range fields {
		switch f.name {
		case "host":
			if json.Unmarshal(f.value, &c.Host) != nil || !hostName.MatchString(c.Host) {
				note("host", "must be a host name or an address")
			}
		case "port":
			if !port(f.value, &c.Port) {
				note("port", "must be an integer from 1 to 65535")
			}
		case "localPort":
			if !port(f.value, &c.LocalPort) {
				note("localPort", "must be an integer from 1 to 65535")
			}
		}
	}
	if c.Host == "" && len(faults) == 0 {
		note("host", "is missing")
	}
	if c.LocalPort == 0 {
		c.LocalPort = c.Port
	}
	return c, faults
}

func port(raw json.RawMessage, into *int) bool {
	var n int
	if json.Unmarshal(raw, &n) != nil || strings.TrimSpace(string(raw)) == "null" || n < 1 || n > 65535 {
		return false
	}
	*into = n
	return true
}
