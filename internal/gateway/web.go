package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"rtsptunnel/internal/gateway/api"
	"rtsptunnel/internal/gateway/browser"
	"rtsptunnel/internal/gateway/listen"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/gateway/page"
)

// browserPolicy returns the rules for browsers' requests.
func (g *gateway) browserPolicy() (*browser.Policy, error) {
	var trusted listen.Proxies
	for _, p := range g.started.Listen.Public {
		proxies, err := listen.ParseProxies(p.TrustedProxies)
		if err != nil {
			return nil, err
		}
		trusted = append(trusted, proxies...)
	}
	return browser.New(browser.Options{
		PublicURL: g.started.PublicURL,
		Proxied: func(r *http.Request) bool {
			peer, err := netip.ParseAddrPort(r.RemoteAddr)
			return err == nil && trusted.Trust(peer.Addr())
		},
	})
}

// buildWeb makes what browsers reach.
func (g *gateway) buildWeb() (err error) {
	g.operate = g.newAPI()
	if g.started.Page {
		g.page, err = page.New(page.Options{Prefix: prefixOf(g.started.PublicURL), Origins: g.pageOrigins})
	}
	return err
}

func (g *gateway) pageOrigins() []string { return *g.origins.Load() }

// prefixOf returns the path of the public URL, without a slash at its end.
func prefixOf(publicURL string) string {
	u, err := url.Parse(publicURL)
	if err != nil {
		return ""
	}
	return u.EscapedPath()
}

// publicHandler routes requests below the path of the public URL. A ServeMux would redirect
// paths such as /api//cameras before a token is asked for, and without a line in a log.
func (g *gateway) publicHandler(proxies listen.Proxies) http.Handler {
	prefix := ""
	if u, err := url.Parse(g.started.PublicURL); err == nil {
		prefix = u.Path
	}
	below := func(h http.Handler) http.Handler { return http.StripPrefix(prefix, h) }
	operate := below(g.browser.CORS(g.untilDrain(g.operate.Handler(proxies.Client))))
	outputs := below(g.browser.CORS(g.live.Handler(proxies.Client)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, found := strings.CutPrefix(r.URL.Path, prefix)
		switch {
		case strings.HasPrefix(r.URL.Path, prefix+opener.PathPrefix):
			g.opener.ServeHTTP(w, r)
		case found && live.Serves(path):
			outputs.ServeHTTP(w, r)
		case found && api.Serves(path):
			operate.ServeHTTP(w, r)
		case found && path == "" && g.page != nil: // the page's links need the slash
			http.Redirect(w, r, prefixOf(g.started.PublicURL)+"/", http.StatusPermanentRedirect)
		case found && page.Owns(path) && g.page != nil:
			below(g.page).ServeHTTP(w, r)
		default:
			http.NotFound(w, r)
		}
	})
}

// untilDrain ends the contexts of requests when the gateway begins to drain: server-sent
// events would last as long as the client.
func (g *gateway) untilDrain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		defer context.AfterFunc(g.ending, func() { cancel(context.Cause(g.ending)) })() //nolint:contextcheck // it ends the request's
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
