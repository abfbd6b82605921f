// Package relays starts the relays that are measured: the shipped module, connected to a
// hub emulator, and those that it is compared with. Each is a process of its own between
// two ends in this process. The package reads from the kernel what that process uses. It
// does the same with servers of video, which are between a process of cameras and one of
// players.
//
// A line belongs here when it starts or queries one relay or server. The package does not
// know what is measured.
package relays

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"rtsptunnel/bench/baseline"
	"rtsptunnel/bench/ends"
	"rtsptunnel/internal/base/localca"
)

// The names of the relays that are not in package baseline.
const (
	Module  = "module"
	HAProxy = "haproxy"
)

// Relay is something that can be measured.
type Relay struct {
	Name        string
	Text        string // description for people
	Descriptors int    // open files for each tunnel
	Serves      bool   // it serves video to players, by Lab.Serve, and no tunnels
	cloud       ends.Kind
	start       func(context.Context, *Lab, *ends.Ends) (*Instance, error)
}

// All lists the relays and the servers in the order of the tables.
var All = []Relay{
	{Module, "this project's module, as shipped: WebSocket over TLS", 2, false, ends.WebSocket, startModule},
	{baseline.Raw, "copies TCP to TCP by splice", 6, false, ends.TCP, startBaseline(baseline.Raw)}, // two pipes
	{baseline.TLSRaw, "copies TCP to TLS with buffers of 32 KiB", 2, false, ends.TLS, startBaseline(baseline.TLSRaw)},
	{baseline.Gorilla, "WebSocket over TLS by gorilla/websocket with buffers of 32 KiB", 2, false, ends.WebSocket, startBaseline(baseline.Gorilla)},
	{HAProxy, "haproxy, TCP to TLS", 2, false, ends.TLS, startHAProxy},
	{Name: Gateway, Text: "this project's gateway, as shipped: RTSP to players", Serves: true},
	{Name: GORTSPLib, Text: "gortsplib's own fan-out: a client and a server stream", Serves: true},
}

// ErrNotInstalled says that the relay's program is not on this machine.
var ErrNotInstalled = errors.New("not installed")

// ErrLinux says that this system is not Linux, which alone provides the figures.
var ErrLinux = errors.New("relays can be measured on Linux only")

// Lab holds what the relays share: certificates, and a hub for the module.
type Lab struct {
	binary string // the module's
	self   string // this program, which runs the baselines, cameras and players, too

	gatewayBinary string
	private       string // of the newest gateway

	dir    string
	ca     *localca.CA
	caFile string
	cert   tls.Certificate
	hub    *hub
}

// NewLab creates the certificates. The arguments are the paths of the shipped module and
// gateway. The caller closes the result.
func NewLab(moduleBinary, gatewayBinary string) (lab *Lab, err error) {
	lab = &Lab{binary: moduleBinary, gatewayBinary: gatewayBinary}
	if lab.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if lab.dir, err = os.MkdirTemp("", "rtsptunnel-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			lab.Close()
		}
	}()
	if lab.ca, err = localca.New("rtsptunnel bench"); err != nil {
		return nil, err
	}
	lab.caFile = filepath.Join(lab.dir, "ca.pem")
	if err = os.WriteFile(lab.caFile, lab.ca.CertPEM(), 0o600); err != nil {
		return nil, err
	}
	if lab.cert, err = lab.ca.Issue("127.0.0.1"); err != nil {
		return nil, err
	}
	return lab, lab.writeCertificate()
}

// writeCertificate writes the cloud's certificate and key, for the gateway.
func (l *Lab) writeCertificate() error {
	key, err := x509.MarshalPKCS8PrivateKey(l.cert.PrivateKey)
	if err != nil {
		return err
	}
	var chain []byte
	for _, der := range l.cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(l.dir, "tls.crt"), chain, 0o600),
		os.WriteFile(filepath.Join(l.dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	)
}

// Close ends the hub and removes the files. The caller has closed all instances.
func (l *Lab) Close() {
	if l.hub != nil {
		l.hub.close()
	}
	_ = os.RemoveAll(l.dir)
}

// Start starts a new process of r with new ends. The caller closes the result.
func (l *Lab) Start(ctx context.Context, r Relay) (*Instance, error) {
	e, err := ends.Start(ctx, r.cloud, l.cert)
	if err != nil {
		return nil, err
	}
	i, err := r.start(ctx, l, e)
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("start %s: %w", r.Name, err)
	}
	i.ends = e
	return i, nil
}

// Instance is a running relay.
type Instance struct {
	process *process
	ends    *ends.Ends
	ask     func(context.Context) error // requests one tunnel
	refused func(context.Context) error // requests a tunnel that the relay refuses; nil if it refuses none
}

const openWithin = 30 * time.Second

// Open requests a tunnel and waits for one whose first byte has arrived. Concurrent calls
// may get each other's tunnel.
func (i *Instance) Open(ctx context.Context) (ends.Tunnel, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if err := i.ask(ctx); err != nil {
		return ends.Tunnel{}, i.explain(fmt.Errorf("ask for a tunnel: %w", err))
	}
	select {
	case t := <-i.ends.Ready():
		return t, nil
	case <-i.process.ended:
		return ends.Tunnel{}, i.explain(errors.New("the relay's process ended"))
	case <-ctx.Done():
		return ends.Tunnel{}, i.explain(fmt.Errorf("wait for a tunnel: %w", ctx.Err()))
	}
}

// Refused measures how long a refused request takes, which is the time to the relay and
// back. asked is false for a relay that refuses none.
func (i *Instance) Refused(ctx context.Context) (took time.Duration, asked bool, err error) {
	if i.refused == nil {
		return 0, false, nil
	}
	begin := time.Now()
	err = i.refused(ctx)
	return time.Since(begin), true, err
}

// explain adds the newest output of the process to err.
func (i *Instance) explain(err error) error {
	if tail := i.process.tail(); tail != "" {
		return fmt.Errorf("%w; the relay's last lines:\n%s", err, tail)
	}
	return err
}

// CPU returns the processor time that the relay's process has used.
func (i *Instance) CPU() (time.Duration, error) { return cpuTime(i.process.id()) }

// Memory returns the resident memory of the relay's process in bytes: rss counts shared
// pages in full, pss counts the process's share of them.
func (i *Instance) Memory() (rss, pss int64, err error) { return memory(i.process.id()) }

// Close kills the process and closes both ends of all tunnels, without waiting for
// bytes in flight.
func (i *Instance) Close() {
	i.process.kill()
	i.ends.Close()
}

// startBaseline returns a function that starts this program again, as the named baseline.
func startBaseline(name string) func(context.Context, *Lab, *ends.Ends) (*Instance, error) {
	return func(_ context.Context, l *Lab, e *ends.Ends) (*Instance, error) {
		cmd := exec.Command(l.self, BaselineCommand, name, e.CameraAddr(), e.CloudAddr(), l.caFile) //nolint:gosec,noctx // G204: this very binary; the instance ends it
		commands, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		p, err := start(cmd)
		if err != nil {
			return nil, err
		}
		return &Instance{process: p, ask: func(context.Context) error {
			_, err := commands.Write([]byte("open\n"))
			return err
		}}, nil
	}
}

// BaselineCommand is the first argument that makes this program a baseline.
const BaselineCommand = "baseline"
