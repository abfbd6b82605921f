package gateway

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"

	"rtsptunnel/internal/contract/desired"
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/hub/hubclient"
)

// hubs are the clients of the configured hubs. Its methods are safe for concurrent use.
type hubs struct {
	mu      sync.Mutex
	clients map[string]hubOf
}

// hubOf is a client with what it was made of.
type hubOf struct {
	client     *hubclient.Client
	connection config.Secret
	ca         string
}

func newHubs() *hubs { return &hubs{clients: map[string]hubOf{}} }

// client returns a hub's client, or nil.
func (h *hubs) client(name string) *hubclient.Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clients[name].client
}

// prepare returns the clients of a configuration: those of unchanged hubs, and new ones.
func (h *hubs) prepare(c *config.Config) (map[string]hubOf, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := map[string]hubOf{}
	for name, wanted := range c.Hubs {
		made := hubOf{connection: wanted.ConnectionString, ca: string(wanted.CA)}
		if have := h.clients[name]; have.client != nil && have.connection == made.connection && have.ca == made.ca {
			next[name] = have
			continue
		}
		var err error
		if made.client, err = newClient(wanted); err != nil {
			return nil, fmt.Errorf("hubs.%s: %w", name, err)
		}
		next[name] = made
	}
	return next, nil
}

// use puts clients in force, and closes those that are no longer used once release is
// called: until then the fleet may use them.
func (h *hubs) use(next map[string]hubOf) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var unused []*hubclient.Client
	for name, old := range h.clients {
		if next[name].client != old.client {
			unused = append(unused, old.client)
		}
	}
	h.clients = next
	return func() {
		for _, client := range unused {
			client.Close()
		}
	}
}

func (h *hubs) close() { h.use(nil)() }

var errNoCertificate = errors.New("caFile holds no certificate in PEM")

// rootsAnd returns the system's roots and the certificates in PEM; nil for those of the
// system alone.
func rootsAnd(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil //nolint:nilnil // nil is the system's pool
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool() // the machine trusts no authority
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errNoCertificate
	}
	return roots, nil
}

// applyFleet gives cameras and hubs of a configuration to the fleet. After an error nothing
// has changed.
func (g *gateway) applyFleet(c *config.Config) error {
	clients, err := g.hubs.prepare(c)
	if err != nil {
		return err
	}
	release := g.hubs.use(clients)
	connected := make(map[string]*hubclient.Client, len(clients))
	for name, hub := range clients {
		connected[name] = hub.client
	}
	g.fleet.Set(fleetConfig(c, connected))
	release()
	return nil
}

// fleetConfig returns cameras, credentials and hubs of a configuration as the fleet has them.
func fleetConfig(c *config.Config, clients map[string]*hubclient.Client) fleet.Config {
	f := fleet.Config{Hubs: map[string]fleet.Hub{}, Cameras: map[string]fleet.Settings{}, Credentials: map[string]fleet.Login{}}
	for name, client := range clients {
		f.Hubs[name] = fleet.Hub{Client: client, Discover: c.Hubs[name].Discover}
	}
	for name, camera := range c.Cameras {
		f.Cameras[name] = settings(camera)
	}
	for name, login := range c.Credentials {
		f.Credentials[name] = fleet.Login{
			Credentials: fleet.Credentials{Username: login.Username, Password: string(login.Password)}, Cameras: login.Cameras,
		}
	}
	return f
}

// settings returns a camera of the file as the fleet has it.
func settings(c config.Camera) fleet.Settings {
	s := fleet.Settings{
		URL: c.URL, Hub: c.Hub, Module: c.Module, LocalPort: c.LocalPort, Credentials: c.Credentials, Title: c.Title, Alias: c.Video, KeepOpen: c.KeepOpen,
	}
	if len(c.Streams) > 0 || c.Path != "" {
		s.Streams = map[string]fleet.StreamInfo{}
	}
	for name, info := range c.Streams {
		s.Streams[name] = fleet.StreamInfo(info)
	}
	if c.Path != "" {
		s.Streams[desired.MainStream] = fleet.StreamInfo{Path: c.Path}
	}
	return s
}

// noteHubs tells in /readyz of hubs whose cameras cannot be read, and of modules whose twins
// have faults. Known cameras stay.
func (g *gateway) noteHubs() {
	text, code, faulty := "", reason.Code(""), ""
	for _, hub := range g.fleet.Hubs() {
		if f := hub.Failure; f != nil {
			text, code = "the cameras of hubs."+hub.Name+" cannot be read: "+f.Reason.Text(), f.Reason
		}
		if hub.Faulty > 0 {
			faulty = "hubs." + hub.Name + " has " + faultyModules(hub)
		}
	}
	g.status.note(partHubs, code, text)
	g.status.note(partTwins, reason.ConfigFormat, faulty)
}

// noteProblems tells in /readyz, and once in the log, of cameras that are not there as the
// file or a hub has them.
func (g *gateway) noteProblems() {
	const most = 20 // lines
	problems := g.fleet.Problems()
	text := ""
	if len(problems) > 0 {
		text = fmt.Sprintf("problems: %d; the first: %s %s", len(problems), problems[0].Camera, problems[0].Text)
	}
	if !slices.Equal(problems, g.problems) {
		for _, p := range problems[:min(len(problems), most)] {
			if !slices.Contains(g.problems, p) {
				g.log.Warn().Str("camera", p.Camera).Str("problem", p.Text).Msg("camera is not as configured")
			}
		}
		g.problems = problems
	}
	g.status.note(partCameras, reason.ConfigFormat, text)
}
