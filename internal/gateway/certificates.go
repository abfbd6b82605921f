package gateway

import (
	"context"
	"crypto/tls"
	"net/url"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/certs"
	"rtsptunnel/internal/contract/reason"
)

// certificate is a listener's certificate: *certs.Pair or *certs.ACME.
type certificate interface {
	Config(protocols ...string) *tls.Config
	Run(ctx context.Context, log zerolog.Logger)
	State() certs.State
}

// tlsFiles say where a certificate comes from. Listeners with the same one share it.
type tlsFiles struct {
	cert, key string // paths of files
	acme      bool
}

// tls returns the configuration of a listener with a certificate, which is renewed while the
// gateway runs; nil without one.
func (g *gateway) tls(ctx context.Context, from tlsFiles, protocols ...string) (*tls.Config, error) {
	if from == (tlsFiles{}) {
		return nil, nil //nolint:nilnil // nil is a listener without TLS
	}
	if c := g.certificates[from]; c != nil {
		return c.Config(protocols...), nil
	}
	made, err := g.certificate(from)
	if err != nil {
		return nil, err
	}
	g.certificates[from] = made
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); made.Run(ctx, g.log) }()
	g.onEnd(func() { stop(); <-done })
	return made.Config(protocols...), nil
}

func (g *gateway) certificate(from tlsFiles) (certificate, error) {
	if !from.acme {
		return certs.Load(from.cert, from.key)
	}
	u, err := url.Parse(g.started.PublicURL)
	if err != nil {
		return nil, err
	}
	return certs.NewACME(certs.ACMEOptions{
		Host: u.Hostname(), Folder: filepath.Join(g.started.Data, "acme"), Directory: g.started.Listen.ACME.Directory,
	})
}

// noteCertificates tells in /readyz of certificates that are not in force, or that expire
// soon.
func (g *gateway) noteCertificates() {
	text := ""
	for from, c := range g.certificates {
		state := c.State()
		switch {
		case state.Fault != nil:
			text = "the newest certificate is not in force: " + oneLine(state.Fault)
		case time.Until(state.NotAfter) < soonExpired && !from.acme:
			text = from.cert + " is valid until " + state.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
		}
	}
	g.status.note(partTLS, reason.ConfigFormat, text)
}

// certificateExpiry returns the time of the certificate that expires first; zero without any.
func (g *gateway) certificateExpiry() (first time.Time) {
	for _, c := range g.certificates {
		if until := c.State().NotAfter; !until.IsZero() && (first.IsZero() || until.Before(first)) {
			first = until
		}
	}
	return first
}
