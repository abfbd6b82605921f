package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"rtsptunnel/internal/base/certs"
	"rtsptunnel/internal/gateway/config"
	"rtsptunnel/internal/gateway/datafolder"
)

// Finding is one thing that Check has looked at.
type Finding struct {
	What  string `json:"what"`
	State State  `json:"state"`
	Text  string `json:"text"` // the result, or what to do
	MS    int64  `json:"ms"`   // how long it took
}

// State is the result of a Finding.
type State string

// The results.
const (
	OK      State = "ok"
	Warning State = "warning" // the gateway runs, but probably not as intended
	Failed  State = "failed"  // the gateway does not start, or cannot do its work
)

const (
	checkTimeout = 20 * time.Second // of one look at a hub or a name
	soonExpired  = 14 * 24 * time.Hour
)

// Check looks at what a configuration needs from its surroundings: the data folder, free
// ports, certificates, the public URL's name, the hubs and their cameras. It changes nothing
// but to create the data folder.
func Check(ctx context.Context, c *config.Config) []Finding {
	k := &checker{config: c}
	k.look("data folder", func() (State, string) { return k.dataFolder() })
	k.look("open files", func() (State, string) {
		n := descriptors()
		most := connectionsOf(c, n)
		text := fmt.Sprintf("%d are allowed, so %d players and %d WebSockets can be connected", n, most.players, most.sockets)
		if wanted := descriptorsFor(c); n < wanted {
			return Warning, text + fmt.Sprintf(": raise ulimit -n to %d", wanted)
		}
		return OK, text
	})
	for i, p := range c.Listen.Public {
		k.port(ctx, fmt.Sprintf("listen.public[%d]", i), p.Address)
	}
	k.port(ctx, "listen.rtsp", c.Listen.RTSP.Address)
	k.port(ctx, "listen.rtsps", c.Listen.RTSPS.Address)
	k.port(ctx, "listen.private", c.Listen.Private.Address)
	for i, p := range c.Listen.Public {
		what := fmt.Sprintf("listen.public[%d].cert", i)
		k.certificate(what, p.Cert, p.Key)
		if p.UseACME {
			k.look(what, func() (State, string) {
				return OK, "is obtained by ACME, whose server connects to port 443 of " + k.publicHost() + ": it must reach this listener"
			})
		}
	}
	if !slices.ContainsFunc(c.Listen.Public, func(p config.Public) bool { return p.Cert == c.Listen.RTSPS.Cert }) {
		k.certificate("listen.rtsps.cert", c.Listen.RTSPS.Cert, c.Listen.RTSPS.Key)
	}
	if c.PublicURL != "" {
		k.look("publicURL", func() (State, string) { return k.resolve(ctx) })
	}
	k.hubs(ctx)
	return k.findings
}

// checker collects findings.
type checker struct {
	config   *config.Config
	running  bool // another gateway has the data folder, and so probably the ports
	findings []Finding
}

func (k *checker) look(what string, look func() (State, string)) {
	begun := time.Now()
	state, text := look()
	k.findings = append(k.findings, Finding{what, state, text, time.Since(begun).Milliseconds()})
}

func (k *checker) dataFolder() (State, string) {
	folder, err := datafolder.Open(k.config.Data)
	switch {
	case errors.Is(err, datafolder.ErrInUse):
		k.running = true
		return OK, "a gateway runs with it, so ports are not looked at"
	case err != nil:
		return Failed, strings.TrimPrefix(err.Error(), "data folder: ")
	}
	_ = folder.Close()
	return OK, k.config.Data
}

// port tells whether an address can be listened on. An empty one is not used.
func (k *checker) port(ctx context.Context, what, address string) {
	if address == "" || k.running {
		return
	}
	k.look(what, func() (State, string) {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return Failed, listenAdvice(err).Error()
		}
		_ = ln.Close()
		return OK, address + " is free"
	})
}

func (k *checker) certificate(what, cert, key string) {
	if cert == "" {
		return
	}
	k.look(what, func() (State, string) {
		pair, err := certs.Load(cert, key)
		if err != nil {
			return Failed, err.Error()
		}
		state := pair.State()
		until := "valid until " + state.NotAfter.UTC().Format(time.RFC3339)
		host := k.publicHost()
		switch left := time.Until(state.NotAfter); {
		case left < 0:
			return Failed, "expired on " + state.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
		case time.Now().Before(state.NotBefore):
			return Failed, "not valid before " + state.NotBefore.UTC().Format(time.RFC3339) + ": check the clock"
		case host != "" && !covers(state.Names, host):
			return Failed, "is for " + strings.Join(state.Names, ", ") + ", not for " + host + " of publicURL: modules would refuse it"
		case left < soonExpired:
			return Warning, until + ": renew it"
		}
		return OK, until
	})
}

// covers tells whether a certificate with these names is valid for a host (RFC 6125, 6.4).
func covers(names []string, host string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		rest, isWildcard := strings.CutPrefix(name, "*.")
		_, parent, _ := strings.Cut(host, ".")
		return strings.EqualFold(name, host) || isWildcard && strings.EqualFold(rest, parent)
	})
}

func (k *checker) publicHost() string {
	u, err := url.Parse(k.config.PublicURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// resolve looks the public URL's name up, as modules do from their sites.
func (k *checker) resolve(ctx context.Context) (State, string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	host := k.publicHost()
	if _, err := netip.ParseAddr(host); err == nil {
		return OK, host + " is an address; sites must be able to reach it"
	}
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return Failed, host + " does not resolve here: " + err.Error()
	}
	return OK, host + " is " + strings.Join(addresses, ", ") + "; sites must be able to reach it"
}
