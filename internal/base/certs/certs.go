// Package certs provides certificates of TLS servers: from files, which it reads again when
// they change, or from an ACME server. A certificate that is not usable never replaces one
// that is: the last good one stays in force, and the fault is logged and reported.
//
// Code belongs here if it provides server certificates. Errors and log lines name the files
// and never show their content.
package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

const (
	// pollEvery is the time between two readings. Notifications of the file system would miss
	// network file systems and the links that Kubernetes replaces.
	pollEvery = 10 * time.Second
	// maxFile bounds a file, in bytes. Usual chains have some KB.
	maxFile = 1 << 20
)

// Pair is a certificate chain and its key, in PEM, from two files. It is safe for concurrent
// use.
type Pair struct {
	certFile, keyFile string

	current atomic.Pointer[tls.Certificate]

	mu    sync.Mutex
	fault error // of the last reading; nil if its pair is in force
}

// Load reads a pair. A pair that is expired or not yet valid is accepted, since the clock may
// be wrong; see State.
func Load(certFile, keyFile string) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile}
	pair, err := p.readFiles()
	if err != nil {
		return nil, err
	}
	p.current.Store(pair)
	return p, nil
}

// Reload reads the files. It returns whether another pair is in force now, or why the pair of
// the files cannot replace the one in force: it is not readable, its parts do not match, or it
// is expired and the one in force is not.
func (p *Pair) Reload() (changed bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed, p.fault = p.replace()
	return changed, p.fault
}

// replace puts the pair of the files in force. The caller holds mu.
func (p *Pair) replace() (changed bool, err error) {
	pair, err := p.readFiles()
	if err != nil {
		return false, err
	}
	current, now := p.current.Load(), time.Now()
	if now.After(pair.Leaf.NotAfter) && !now.After(current.Leaf.NotAfter) {
		return false, fmt.Errorf("certificate %s is expired since %s", p.certFile, pair.Leaf.NotAfter.Format(time.RFC3339))
	}
	if slices.EqualFunc(pair.Certificate, current.Certificate, bytes.Equal) {
		return false, nil
	}
	p.current.Store(pair)
	return true, nil
}

// Run reads the files every 10 s until ctx is done, and logs what becomes of a change. Files
// that are being replaced may not match for a moment, so a fault is logged when a second
// reading finds it, too.
func (p *Pair) Run(ctx context.Context, log zerolog.Logger) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	faults, logged := 0, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := p.Reload()
		if changed {
			state := p.State()
			log.Info().Str("file", p.certFile).Strs("names", state.Names).Time("notAfter", state.NotAfter).Msg("certificate replaced")
		}
		if err == nil {
			faults, logged = 0, ""
			continue
		}
		if faults++; faults > 1 && err.Error() != logged {
			logged = err.Error()
			log.Error().Err(err).Str("file", p.certFile).Msg("certificate files are not usable: the last good certificate stays in force")
		}
	}
}

// State is what a program shows about its certificate.
type State struct {
	Names               []string // DNS names and addresses of the certificate in force
	NotBefore, NotAfter time.Time
	Fault               error // why the files' pair is not in force; nil if it is
}

// State returns the state as the last reading found it.
func (p *Pair) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return stateOf(p.current.Load(), p.fault)
}

func stateOf(pair *tls.Certificate, fault error) State {
	names := slices.Clone(pair.Leaf.DNSNames)
	for _, ip := range pair.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return State{Names: names, NotBefore: pair.Leaf.NotBefore, NotAfter: pair.Leaf.NotAfter, Fault: fault}
}

// Config returns the configuration of a TLS server, version 1.2 or newer, with the pair in
// force at each handshake. protocols are the names for ALPN (RFC 7301), the preferred one
// first; none for protocols without a name, such as RTSPS.
func (p *Pair) Config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.current.Load(), nil },
	}
}

func (p *Pair) readFiles() (*tls.Certificate, error) {
	cert, err := readFile(p.certFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := readFile(p.keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate's key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", p.certFile, p.keyFile, err)
	}
	return &pair, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return b, nil
}
