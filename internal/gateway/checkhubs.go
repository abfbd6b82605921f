package gateway

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/diagnose"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/hubfailure"
	"rtsptunnel/internal/gateway/name"
	"rtsptunnel/internal/hub/hubclient"
)

// hubs logs in to each hub, and then looks for the cameras of those that accept it.
func (k *checker) hubs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout*time.Duration(1+len(k.config.Hubs)))
	defer cancel()
	clients := map[string]*hubclient.Client{}
	for _, name := range slices.Sorted(maps.Keys(k.config.Hubs)) {
		k.look("hubs."+name, func() (State, string) {
			client, err := newClient(k.config.Hubs[name])
			if err != nil {
				return Failed, err.Error()
			}
			if f := login(ctx, client); f != nil {
				client.Close()
				return hubFailed(f)
			}
			clients[name] = client
			return OK, client.Host() + " accepts the login"
		})
	}
	k.cameras(ctx, clients)
	for _, client := range clients {
		client.Close()
	}
}

func newClient(h config.Hub) (*hubclient.Client, error) {
	roots, err := rootsAnd(h.CA)
	if err != nil {
		return nil, err
	}
	return hubclient.New(string(h.ConnectionString), hubclient.Options{Roots: roots})
}

// login queries a hub: one item shows that the login may do it.
func login(ctx context.Context, client *hubclient.Client) *failure.Failure {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	for _, err := range client.Query(ctx, "SELECT deviceId FROM devices") {
		return hubfailure.Of(err)
	}
	return nil
}

func hubFailed(f *failure.Failure) (State, string) {
	return Failed, f.Error() + ": " + diagnose.Advice(f)
}

// cameras reads the cameras of these hubs, and compares the file with them.
func (k *checker) cameras(ctx context.Context, clients map[string]*hubclient.Client) {
	f := fleet.New(fleet.Options{Log: zerolog.Nop()})
	f.Set(fleetConfig(k.config, clients))
	var err error
	k.look("cameras", func() (State, string) {
		if err = f.Refresh(ctx); err != nil {
			return hubFailed(failure.Of(err))
		}
		return OK, strconv.Itoa(len(f.Cameras())) + " found, with those of the file"
	})
	for _, hub := range f.Hubs() {
		k.discovered(hub)
	}
	if err != nil || len(clients) < len(k.config.Hubs) {
		return // what is missing may be in a hub that has not answered
	}
	for _, p := range first(f.Problems()) {
		k.add("cameras", Warning, p.Camera+" "+p.Text)
	}
	k.globs(f.Cameras())
}

// discovered tells what discovery has found in a hub.
func (k *checker) discovered(hub fleet.HubState) {
	switch what := "hubs." + hub.Name + ".discover"; {
	case hub.Failure != nil:
	case hub.Modules == 0:
		k.add(what, Warning, "no module announces the model id: check that the module runs, and has been connected once")
	default:
		k.add(what, OK, fmt.Sprintf("cameras: %d, modules: %d", hub.Cameras, hub.Modules))
		if hub.Faulty > 0 {
			k.add(what, Warning, faultyModules(hub))
		}
	}
}

// faultyModules says which module's cameras have faults.
func faultyModules(hub fleet.HubState) string {
	return fmt.Sprintf("modules whose twins have cameras with faults: %d; the first: %s", hub.Faulty, cmp.Or(hub.Fault, "a twin that cannot be read"))
}

// globs warns of logins and tokens for cameras that are not there.
func (k *checker) globs(cameras []fleet.Camera) {
	matches := func(glob string) bool {
		return slices.ContainsFunc(cameras, func(c fleet.Camera) bool { return name.Match(glob, c.Name) })
	}
	warn := func(what string, globs []string) {
		for _, glob := range globs {
			if !matches(glob) {
				k.add(what, Warning, "no camera has a name like "+glob)
			}
		}
	}
	for _, login := range slices.Sorted(maps.Keys(k.config.Credentials)) {
		warn("credentials."+login, k.config.Credentials[login].Cameras)
	}
	for i, t := range k.config.Access.Tokens {
		warn("access.tokens["+strconv.Itoa(i)+"]", t.Cameras)
	}
}

// first returns the problems that are worth a line each.
func first(problems []fleet.Problem) []fleet.Problem {
	const most = 20
	return problems[:min(len(problems), most)]
}

func (k *checker) add(what string, state State, text string) {
	k.findings = append(k.findings, Finding{What: what, State: state, Text: text})
}
