package desired

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
)

// MainStream is the name of the stream that a viewer gets who names none.
const MainStream = "main"

// Camera is one entry of the desired property cameras, with its defaults.
type Camera struct {
	Name             string
	Host             string
	Port             int
	LocalPort        int
	MaxTunnels       int
	Enabled          bool
	MaxBitsPerSecond int64
	ExpectedOffline  bool
	Streams          map[string]Stream // by name; nil if there are none
}

// Stream is a stream of a camera. Only the gateway uses it. All but Path is a hint; zero
// or empty means unknown.
type Stream struct {
	Path          string // of the RTSP URL, with the query: begins with a slash
	Codec         string
	Width         int // pixels
	Height        int // pixels
	BitsPerSecond int
}

// The patterns of the twin's schema.
var (
	hostPattern  = regexp.MustCompile(`^([A-Za-z0-9._-]{1,253}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{0,40}(%[A-Za-z0-9._-]{1,32})?)$`)
	pathPattern  = regexp.MustCompile(`^/(([!$&-.0-;=?-\[\]_a-z~]|%[0-9A-Fa-f]{2})([!$&-;=?-\[\]_a-z~]|%[0-9A-Fa-f]{2})*)?$`)
	codecPattern = regexp.MustCompile(`^[A-Za-z0-9.+-]{1,32}$`)
)

const maxPath = 512 // bytes

const (
	hostText  = "must be a host name or an IP address of at most 253 characters, without scheme, port, path and login"
	pathText  = "must be the path of an RTSP URL with its query, from / on, of at most 512 characters, without scheme, host and login"
	codecText = "must be the name of a codec, such as H264"
	loginText = "must not contain a login, because many people can read a twin: the gateway's file has the credentials"
	nameText  = "a name has 1 to 64 letters, digits, '_' or '-'"
)

// ReadCamera reads one entry of the tree that Decode returns. It returns all its faults.
func ReadCamera(name string, value any) (Camera, []Fault) {
	r := reader{path: section + "/" + Printable(name)}
	if !IsName(name) {
		return Camera{}, []Fault{{r.path, reason.ConfigFormat, nameText}}
	}
	c := Camera{Name: name, Port: 554, MaxTunnels: 4, Enabled: true}
	object, ok := r.object("", value)
	if !ok {
		return Camera{}, r.faults
	}
	if object["host"] == nil {
		r.add("/host", nil, reason.ConfigMissing, "is missing: "+hostText)
	}
	r.text(object, "/host", &c.Host, hostPattern, hostText)
	port, localPort, maxTunnels := int64(c.Port), int64(0), int64(c.MaxTunnels)
	r.integer(object, "/port", &port, 1, 65535)
	r.integer(object, "/localPort", &localPort, 1, 65535)
	r.integer(object, "/maxTunnels", &maxTunnels, 1, 10000)
	r.integer(object, "/maxBitsPerSecond", &c.MaxBitsPerSecond, 0, 100_000_000_000)
	r.boolean(object, "/enabled", &c.Enabled)
	r.boolean(object, "/expectedOffline", &c.ExpectedOffline)
	c.Streams = r.streams(object["streams"])
	c.Port, c.LocalPort, c.MaxTunnels = int(port), int(localPort), int(maxTunnels)
	if c.LocalPort == 0 {
		c.LocalPort = c.Port
	}
	return c, r.faults
}

// CheckPath returns why a text is not the path of a stream, or "".
func CheckPath(path string) (text string) {
	switch {
	case len(path) > maxPath || !pathPattern.MatchString(path):
		return pathText
	case loginPattern.MatchString(path):
		return loginText
	default:
		return ""
	}
}

// loginPattern finds user:password@ in a segment, and a parameter that is a password. An
// empty password is no secret.
var loginPattern = regexp.MustCompile(`(?i)/[^/?]*:[^/?]*@|(^|[^a-z])(password|passwd|pwd|pass)=[^&_;?/]`)

// reader reads the properties of one camera.
type reader struct {
	path   string // of the camera
	faults []Fault
}

// add records a fault of a value. An Unusable has its own code and text.
func (r *reader) add(path string, value any, code reason.Code, text string) {
	r.faults = append(r.faults, unusable(r.path+path, value, code, text))
}

func (r *reader) object(path string, value any) (map[string]any, bool) {
	object, ok := value.(map[string]any)
	if !ok {
		r.add(path, value, reason.ConfigType, "must be an object")
	}
	return object, ok
}

// streams reads the camera's streams; value is nil if there are none.
func (r *reader) streams(value any) map[string]Stream {
	if value == nil {
		return nil
	}
	object, ok := r.object("/streams", value)
	if !ok || len(object) == 0 {
		return nil
	}
	if len(object) > MaxStreams {
		r.add("/streams", nil, reason.ConfigSize, fmt.Sprintf("must have at most %d entries", MaxStreams))
		return nil
	}
	streams := make(map[string]Stream, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !IsName(name) {
			r.add("/streams/"+Printable(name), nil, reason.ConfigFormat, nameText)
			continue
		}
		streams[name] = r.stream("/streams/"+name, object[name])
	}
	return streams
}

func (r *reader) stream(path string, value any) (s Stream) {
	object, ok := r.object(path, value)
	if !ok {
		return Stream{}
	}
	if object["path"] == nil {
		r.add(path+"/path", nil, reason.ConfigMissing, "is missing: "+pathText)
	}
	r.text(object, path+"/path", &s.Path, nil, pathText)
	if text := CheckPath(s.Path); s.Path != "" && text != "" {
		r.add(path+"/path", nil, reason.ConfigFormat, text)
	}
	r.text(object, path+"/codec", &s.Codec, codecPattern, codecText)
	var width, height, rate int64
	r.integer(object, path+"/width", &width, 1, 65535)
	r.integer(object, path+"/height", &height, 1, 65535)
	r.integer(object, path+"/bitsPerSecond", &rate, 1, 1_000_000_000)
	s.Width, s.Height, s.BitsPerSecond = int(width), int(height), int(rate)
	return s
}

// text, integer and boolean read the member of object that path ends with. Without one, at
// stays unchanged.
func (r *reader) text(object map[string]any, path string, at *string, pattern *regexp.Regexp, allowed string) {
	value, there := member(object, path)
	if !there {
		return
	}
	text, ok := value.(string)
	switch {
	case !ok:
		r.add(path, value, reason.ConfigType, allowed)
	case text == "" || pattern != nil && !pattern.MatchString(text):
		r.add(path, nil, reason.ConfigFormat, allowed)
	default:
		*at = text
	}
}

func (r *reader) integer(object map[string]any, path string, at *int64, least, most int64) {
	value, there := member(object, path)
	if !there {
		return
	}
	allowed := fmt.Sprintf("must be an integer from %d to %d", least, most)
	if text, ok := value.(string); ok {
		value = Spelled(text)
	}
	n, ok := value.(int64)
	switch {
	case !ok:
		r.add(path, value, reason.ConfigType, allowed)
	case n < least || n > most:
		r.add(path, nil, reason.ConfigRange, allowed)
	default:
		*at = n
	}
}

func (r *reader) boolean(object map[string]any, path string, at *bool) {
	value, there := member(object, path)
	if !there {
		return
	}
	if text, ok := value.(string); ok {
		value = Spelled(text)
	}
	b, ok := value.(bool)
	if !ok {
		r.add(path, value, reason.ConfigType, "must be true or false")
		return
	}
	*at = b
}

func member(object map[string]any, path string) (value any, there bool) {
	value, there = object[path[strings.LastIndexByte(path, '/')+1:]]
	return value, there
}

// integerPattern is how a number may be written as a string; an int64 holds it.
var integerPattern = regexp.MustCompile(`^-?[0-9]{1,15}$`)

// Spelled returns the int64 or the bool that a string spells, and the string itself if it
// spells none.
func Spelled(text string) any {
	switch text {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if !integerPattern.MatchString(text) {
		return text
	}
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
