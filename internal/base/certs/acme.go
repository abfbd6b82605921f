package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// The times between two attempts to obtain the certificate. They double from the first one to
// the last one; Let's Encrypt allows five failures an hour.
const (
	firstRetry = 2 * time.Minute
	lastRetry  = time.Hour
	// askEvery is the time between two questions for the renewed certificate. autocert renews
	// it in time, some weeks before its end.
	askEvery = time.Hour
)

// ACMEOptions are the options of NewACME. Host and Folder are required.
type ACMEOptions struct {
	Host   string // DNS name
	Folder string // for the account's key and the certificate; created with mode 0700

	Directory string            // URL of the ACME server's directory; empty: Let's Encrypt
	Transport http.RoundTripper // to the ACME server; nil: http.DefaultTransport
}

// ACME is a certificate for one name, from an ACME server (RFC 8555). The server proves that
// the name is ours by a TLS handshake on port 443 of the name (RFC 8737), so a listener with
// Config must be reachable there. Using it accepts the server's terms of service. It is safe
// for concurrent use.
//
// Run alone asks the server for certificates. A client's handshake never does, since any
// client could exhaust the server's limits for the name.
type ACME struct {
	host      string
	manager   *autocert.Manager
	transport http.RoundTripper

	current atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	fault error // of the last attempt
}

var errNoCertificate = errors.New("there is no certificate yet: the log has the reason")

// NewACME returns an ACME without a certificate. The caller opens its listeners and calls Run.
func NewACME(o ACMEOptions) (*ACME, error) {
	if _, err := netip.ParseAddr(o.Host); err == nil || !strings.Contains(o.Host, ".") {
		return nil, fmt.Errorf("%q is no DNS name that an ACME server issues certificates for: give the listener certificate files", o.Host)
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	return &ACME{
		host: o.Host,
		manager: &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			Cache:      autocert.DirCache(o.Folder),
			HostPolicy: autocert.HostWhitelist(o.Host),
			Client:     &acme.Client{DirectoryURL: o.Directory},
		},
		transport: o.Transport,
	}, nil
}

// Config returns the configuration of a TLS server, as Pair.Config does. One with protocols
// also answers the ACME server.
func (a *ACME) Config(protocols ...string) *tls.Config {
	if len(protocols) > 0 {
		protocols = append(slices.Clone(protocols), acme.ALPNProto)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, GetCertificate: a.certificate}
}

func (a *ACME) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if slices.Equal(hello.SupportedProtos, []string{acme.ALPNProto}) && strings.EqualFold(hello.ServerName, a.host) {
		return a.manager.GetCertificate(hello)
	}
	if pair := a.current.Load(); pair != nil {
		return pair, nil
	}
	return nil, errNoCertificate
}

// Run obtains the certificate, keeps it renewed, and logs both and each other fault once,
// until ctx is done. Then it cancels running requests to the ACME server, also those of
// autocert's goroutines, which end with them.
func (a *ACME) Run(ctx context.Context, log zerolog.Logger) {
	a.manager.Client.HTTPClient = &http.Client{Transport: until(ctx, a.transport)}
	log = log.With().Str("name", a.host).Logger()
	retry, logged := firstRetry, ""
	for ctx.Err() == nil {
		wait := askEvery
		changed, err := a.obtain()
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait, retry = retry, min(2*retry, lastRetry)
			if err.Error() != logged {
				logged = err.Error()
				log.Error().Err(err).Dur("retryInMs", wait).Msg("no certificate from the ACME server: port 443 of the name must reach this gateway")
			}
		default:
			retry, logged = firstRetry, ""
		}
		if changed {
			log.Info().Time("notAfter", a.State().NotAfter).Msg("certificate obtained")
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// obtain puts autocert's certificate in force: one from the folder, a renewed one, or a new
// one from the server.
func (a *ACME) obtain() (changed bool, err error) {
	// autocert chooses the kind of the key by what the client supports. All clients get ECDSA.
	hello := &tls.ClientHelloInfo{ServerName: a.host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	pair, err := a.manager.GetCertificate(hello)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = err
	if err != nil {
		return false, err
	}
	before := a.current.Swap(pair)
	return before == nil || !slices.Equal(before.Leaf.Raw, pair.Leaf.Raw), nil
}

// State returns the state after the last attempt. Without a certificate it has a fault and no
// names.
func (a *ACME) State() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	pair := a.current.Load()
	if pair == nil {
		if a.fault == nil {
			return State{Fault: errNoCertificate}
		}
		return State{Fault: a.fault}
	}
	return stateOf(pair, a.fault)
}

// until returns a transport whose requests end with ctx: autocert's own contexts last for
// minutes.
func until(ctx context.Context, next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		both, cancel := context.WithCancel(r.Context())
		stop := context.AfterFunc(ctx, cancel)
		release := func() { stop(); cancel() }
		response, err := next.RoundTrip(r.WithContext(both)) //nolint:contextcheck // the request's context, which ends with ctx, too
		if err != nil {
			release()
			return nil, err
		}
		response.Body = &releasing{response.Body, release}
		return response, nil
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// releasing is a body that releases its request's context when it is closed.
type releasing struct {
	io.ReadCloser
	release func()
}

func (b *releasing) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
