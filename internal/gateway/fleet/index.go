package fleet

import (
	"maps"
	"slices"
	"strings"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/hub/hubclient"
)

// Problem is why a camera of the file or of a hub is not there as its author expects.
type Problem struct {
	Camera string // its name
	Text   string // for people
}

// maxProblems is how many problems an index has. Devices can cause any number.
const maxProblems = 1000

// index has all cameras at one time. It does not change.
type index struct {
	cameras  map[string]*Camera // by name
	aliases  map[string]*Camera
	guids    map[string]*Camera // by the UUID of the video
	sorted   []*Camera          // by name
	problems []Problem          // by camera
}

// indexer builds an index.
type indexer struct {
	config Config
	rules  []rule
	last   *index
	next   *index
}

// found is a discovered camera.
type found struct {
	hub      string
	identity hubclient.Identity
	module   *module
	camera   *desired.Camera
}

// build returns the index of a configuration and of the hubs' modules. last is the index
// before, of which it keeps what has not changed.
func build(config Config, hubs map[string]map[hubclient.Identity]*module, last *index) *index {
	b := indexer{config: config, rules: config.rules(), last: last, next: &index{cameras: make(map[string]*Camera), aliases: make(map[string]*Camera), guids: make(map[string]*Camera)}}
	discovered := make(map[string]found)
	for _, hub := range slices.Sorted(maps.Keys(hubs)) {
		b.hub(hub, hubs[hub], discovered)
	}
	for camera, f := range discovered {
		b.addDiscovered(camera, f)
	}
	for camera, settings := range config.Cameras {
		if _, there := b.next.cameras[camera]; !there {
			b.addConfigured(camera, settings)
		}
	}
	b.next.sorted = slices.SortedFunc(maps.Values(b.next.cameras), func(a, b *Camera) int { return strings.Compare(a.Name, b.Name) })
	b.names()
	slices.SortFunc(b.next.problems, func(a, b Problem) int { return strings.Compare(a.Camera+a.Text, b.Camera+b.Text) })
	return b.next
}

func (b *indexer) problem(camera, text string) {
	if len(b.next.problems) < maxProblems {
		b.next.problems = append(b.next.problems, Problem{camera, text})
	}
}

// hub names the cameras of a hub's modules, and adds them to discovered. A camera of a hub
// with an earlier name is not replaced, unless the file names this hub for it.
func (b *indexer) hub(hub string, modules map[hubclient.Identity]*module, discovered map[string]found) {
	owners := make(map[string]int) // identities with a camera of this name, by device/camera
	for id, m := range modules {
		for i := range m.cameras {
			owners[id.Device+"/"+m.cameras[i].Name]++
		}
	}
	for id, m := range modules {
		for i := range m.cameras {
			c := &m.cameras[i]
			full := id.Device + "/" + c.Name
			if owners[full] > 1 && id.Module != "" { // a device's own camera has no longer name
				full = id.Device + "/" + id.Module + "." + c.Name
			}
			b.discovered(full, found{hub, id, m, c}, discovered)
		}
	}
}

func (b *indexer) discovered(camera string, f found, discovered map[string]found) {
	if name.CheckCamera(camera) != nil {
		b.problem(camera, "has a name that URLs cannot have: rename the device")
		return
	}
	wanted := b.config.Cameras[camera].Hub
	other, taken := discovered[camera]
	switch {
	case !taken || wanted == f.hub:
		discovered[camera] = f
	case wanted != other.hub:
		b.problem(camera, "is in the hubs "+other.hub+" and "+f.hub+", and the first is used: set hub for it in the file")
	}
}

func (b *indexer) addDiscovered(camera string, f found) {
	settings := b.config.Cameras[camera]
	if settings.URL != "" {
		b.problem(camera, "is a direct source in the file and a camera of the hub "+f.hub+", and the file's is used")
		return
	}
	if settings.Hub != "" && settings.Hub != f.hub {
		if settings.LocalPort != 0 {
			b.problem(camera, "is in the hub "+f.hub+", too, and the file's is used")
			return
		}
		settings = Settings{}
	}
	c := b.camera(camera, settings)
	c.Hub, c.Identity, c.LocalPort, c.Disabled, c.Report = f.hub, f.identity, f.camera.LocalPort, !f.camera.Enabled, f.module.report(f.camera.Name)
	if settings.LocalPort != 0 {
		c.LocalPort = settings.LocalPort
	}
	c.Streams = streams(f.camera.Streams, settings.Streams)
	b.next.cameras[camera] = c
}

func (b *indexer) addConfigured(camera string, settings Settings) {
	c := b.camera(camera, settings)
	c.Streams = streams(nil, settings.Streams)
	if settings.URL != "" {
		path, ok := direct(settings.URL)
		if !ok {
			b.problem(camera, "has a url that is not an rtsp URL without a login")
			return
		}
		c.URL, c.Streams = settings.URL, streams(map[string]StreamInfo{desired.MainStream: {Path: path}}, settings.Streams)
		b.next.cameras[camera] = c
		return
	}
	if settings.LocalPort == 0 {
		b.problem(camera, "is in the file, but no hub has a camera with this name: check the name, or set localPort")
		return
	}
	device, _, _ := strings.Cut(camera, "/")
	c.Hub, c.Identity, c.LocalPort = settings.Hub, hubclient.Identity{Device: device, Module: settings.Module}, settings.LocalPort
	b.next.cameras[camera] = c
}

// camera returns a camera with what the file says about any.
func (b *indexer) camera(camera string, settings Settings) *Camera {
	return &Camera{
		Name: camera, Title: settings.Title, Alias: settings.Alias, KeepOpen: settings.KeepOpen,
		Credentials: b.config.credentials(b.rules, camera, settings),
	}
}

// streams returns the streams of a twin with those of the file in their place.
func streams(discovered, configured map[string]StreamInfo) map[string]StreamInfo {
	if len(configured) == 0 {
		return discovered
	}
	all := make(map[string]StreamInfo, len(discovered)+len(configured))
	maps.Copy(all, discovered)
	for stream, info := range configured {
		info.Path = absolute(info.Path)
		all[stream] = info
	}
	return all
}

// names gives the cameras their aliases and videos. Of two equal aliases the first camera by
// name has it. Derived names of videos never take an alias, and no camera has one that two
// would have: otherwise a new device could get the recordings of another.
func (b *indexer) names() {
	for _, c := range b.next.sorted {
		switch other := b.next.aliases[c.Alias]; {
		case c.Alias == "":
		case !name.IsLabel(c.Alias) || other != nil:
			b.problem(c.Name, "has a video name that is invalid, or that another camera has")
			c.Alias = ""
		default:
			b.next.aliases[c.Alias] = c
			c.Video = c.Alias
		}
	}
	derived := make(map[string]int)
	for _, c := range b.next.sorted {
		if c.Video == "" {
			derived[videoOf(c.Name)]++
		}
	}
	for _, c := range b.next.sorted {
		if c.Video == "" {
			c.Video = videoOf(c.Name)
			if derived[c.Video] > 1 || b.next.aliases[c.Video] != nil {
				b.problem(c.Name, "would have the same video name as another camera: set video for it in the file")
				c.Video = ""
				continue
			}
		}
		if last := b.last.cameras[c.Name]; last != nil && last.Video == c.Video {
			c.Video, c.GUID = last.Video, last.GUID
		} else {
			c.GUID = GUID(c.Video)
		}
		b.next.guids[c.GUID] = c
	}
}
