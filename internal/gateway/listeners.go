package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/gateway/listen"
)

// listenPrivate serves /metrics, /livez, /readyz and, if the file asks for it, the profiles.
func (g *gateway) listenPrivate(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("/", health.Handler(g.status))
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes}))
	if g.started.Listen.Private.Pprof {
		for path, handle := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/profile": pprof.Profile, "/debug/pprof/trace": pprof.Trace, "/debug/pprof/symbol": pprof.Symbol,
		} {
			mux.Handle("GET "+path, unhurried(handle))
		}
	}
	server := health.New(ctx, health.Config{
		Address: g.started.Listen.Private.Address, Handler: mux, Log: g.log, Reason: "HEALTH_LISTEN",
		Advice: "set listen.private.address to another one",
	})
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); server.Run(ctx) }()
	g.onEnd(func() { stop(); <-done })
	return nil
}

const (
	maxScrapes  = 4
	profileTime = 2 * time.Minute
)

// unhurried lets a handler write for longer than the private listener allows otherwise.
func unhurried(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(profileTime)) // without it, the answer is cut
		handle(w, r)
	})
}

// listenPublic serves tunnels, the outputs over HTTP, the API and the page.
func (g *gateway) listenPublic(ctx context.Context) error {
	return g.servePublic(ctx, g.publicHandler)
}

// servePublic opens the public listeners.
func (g *gateway) servePublic(ctx context.Context, handler func(listen.Proxies) http.Handler) error {
	for _, p := range g.started.Listen.Public {
		proxies, err := listen.ParseProxies(p.TrustedProxies)
		if err != nil {
			return err
		}
		config, err := g.tls(ctx, tlsFiles{p.Cert, p.Key, p.UseACME}, "h2", "http/1.1")
		if err != nil {
			return err
		}
		ln, err := listen.Listen(ctx, listen.Options{Address: p.Address, TLS: config, Proxies: proxies, Log: g.log})
		if err != nil {
			return fmt.Errorf("listen.public: %w", listenAdvice(err))
		}
		server := httpd.ServeConns(ln, handler(proxies), g.log, connectionsOf(g.started, descriptors()).web) //nolint:contextcheck // it outlives ctx; Close ends it
		g.onEnd(func() { _ = server.Close() })
		g.log.Info().Str("listener", "public").Str("address", ln.Addr().String()).Bool("tls", config != nil).Msg("listening")
	}
	return nil
}

// listenAdvice adds to an error of listening what to do about it.
func listenAdvice(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: a port below 1024 needs the capability CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: another listener has it; ss -ltnp shows its program", err)
	}
	return err
}

// listenRTSP serves players, with and without TLS.
func (g *gateway) listenRTSP(ctx context.Context) error {
	l := g.started.Listen
	config, err := g.tls(ctx, tlsFiles{l.RTSPS.Cert, l.RTSPS.Key, l.RTSPS.UseACME})
	if err != nil {
		return err
	}
	for name, o := range map[string]struct {
		address string
		config  *tls.Config
	}{"rtsp": {l.RTSP.Address, nil}, "rtsps": {l.RTSPS.Address, config}} {
		if o.address == "" {
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.address)
		if err != nil {
			return fmt.Errorf("listen.%s: %w", name, listenAdvice(err))
		}
		g.log.Info().Str("listener", name).Str("address", ln.Addr().String()).Bool("tls", o.config != nil).Msg("listening")
		if o.config != nil {
			ln = tls.NewListener(ln, o.config)
		}
		g.running.Go(func() {
			if err := g.rtsp.Serve(ln); err != nil {
				g.log.Error().Err(err).Str("listener", name).Msg("listener failed: restart the gateway")
				g.status.lack(partListeners, "HEALTH_LISTEN", "the listener "+name+" failed: restart the gateway")
			}
		})
	}
	return nil
}
