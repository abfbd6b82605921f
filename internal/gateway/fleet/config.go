package fleet

import (
	"maps"
	"slices"
	"strings"

	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/hub/hubclient"
)

// Config is what the file says about cameras. A Fleet does not change it, and callers do not
// either. Package config has judged it: what it refuses has no effect here.
type Config struct {
	Hubs        map[string]Hub      // by name
	Cameras     map[string]Settings // by the camera's name: cameras, and settings of discovered ones
	Credentials map[string]Login    // by name
}

// Hub is an IoT Hub.
type Hub struct {
	Client   *hubclient.Client // the caller closes it, after a Set without it
	Discover bool              // the modules' twins have cameras
}

// Settings are the file's entry of a camera. It is a direct source if URL is set. Otherwise
// it is a camera behind a module: a discovered one of that name, or any with Hub, Module and
// LocalPort.
type Settings struct {
	URL         string                // rtsp:// without a login
	Hub         string                // key of Config.Hubs; of a discovered camera, empty means any
	Module      string                // of a camera that is not discovered
	LocalPort   int                   // 0: the discovered one
	Streams     map[string]StreamInfo // they replace discovered ones of the same name
	Credentials string                // key of Config.Credentials; empty: by glob
	Title       string
	Alias       string
	KeepOpen    bool
}

// Login is a camera's login and the cameras that it is for.
type Login struct {
	Credentials
	Cameras []string // globs
}

// rule is a glob with its login.
type rule struct {
	glob, login string
}

// rules returns all globs, the one with the most characters beside * first, so that a more
// precise glob wins. Equal ones are in the order of their logins' names.
func (c Config) rules() []rule {
	var rules []rule
	for _, login := range slices.Sorted(maps.Keys(c.Credentials)) {
		for _, glob := range c.Credentials[login].Cameras {
			rules = append(rules, rule{glob, login})
		}
	}
	literal := func(glob string) int { return len(glob) - strings.Count(glob, "*") }
	slices.SortStableFunc(rules, func(a, b rule) int { return literal(b.glob) - literal(a.glob) })
	return rules
}

// credentials returns the login of a camera; settings may be zero.
func (c Config) credentials(rules []rule, camera string, settings Settings) Credentials {
	if settings.Credentials != "" {
		return c.Credentials[settings.Credentials].Credentials
	}
	for _, r := range rules {
		if name.Match(r.glob, camera) {
			return c.Credentials[r.login].Credentials
		}
	}
	return Credentials{}
}
