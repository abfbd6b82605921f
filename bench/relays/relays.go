// Package relays starts what is measured: the shipped module, connected to a hub
// emulator, and what it is compared with, each as a process of its own between two
// ends in this one, and reads what that process costs from the kernel.
//
// A line belongs here when it starts or asks one relay. The package does not know
// what is measured with it.
package relays

import (
	"context"
	"crypto/tls"
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

// The names of the relays that are no baseline of ours.
const (
	Module  = "module"
	HAProxy = "haproxy"
)

// Relay is something that can be measured.
type Relay struct {
	Name        string
	Text        string // what it is, for people
	Descriptors int    // of files, for one tunnel
	cloud       ends.Kind
	start       func(context.Context, *Lab, *ends.Ends) (*Instance, error)
}

// All are the relays, in the order in which tables have them.
var All = []Relay{
	{Module, "this project's module, as shipped: WebSocket over TLS", 2, ends.WebSocket, startModule},
	{baseline.Raw, "copies TCP to TCP by splice", 6, ends.TCP, startBaseline(baseline.Raw)}, // two pipes
	{baseline.TLSRaw, "copies TCP to TLS with buffers of 32 KiB", 2, ends.TLS, startBaseline(baseline.TLSRaw)},
	{baseline.Gorilla, "WebSocket over TLS by gorilla/websocket with buffers of 32 KiB", 2, ends.WebSocket, startBaseline(baseline.Gorilla)},
	{HAProxy, "haproxy, TCP to TLS", 2, ends.TLS, startHAProxy},
}

// ErrNotInstalled is a relay whose program is not on this machine.
var ErrNotInstalled = errors.New("not installed")

// ErrLinux is every other system: what is measured is read where Linux has it.
var ErrLinux = errors.New("relays can be measured on Linux alone")

// Lab is what the relays share: certificates, and for the module a hub.
type Lab struct {
	binary string // the module's
	self   string // this program, which is the baselines, too
	dir    string
	ca     *localca.CA
	caFile string
	cert   tls.Certificate
	hub    *hub
}

// NewLab prepares for measuring; moduleBinary is the path of the shipped module. The
// caller closes it.
func NewLab(moduleBinary string) (lab *Lab, err error) {
	lab = &Lab{binary: moduleBinary}
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
	lab.cert, err = lab.ca.Issue("127.0.0.1")
	return lab, err
}

// Close ends the hub and removes the files. No instance may be running.
func (l *Lab) Close() {
	if l.hub != nil {
		l.hub.close()
	}
	_ = os.RemoveAll(l.dir)
}

// Start starts a fresh process of r with fresh ends. The caller closes it.
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
	ask     func(context.Context) error // for one tunnel
	refused func(context.Context) error // asks for one that cannot be had; nil if that means nothing here
}

const openWithin = 30 * time.Second

// Open asks for a tunnel and waits for one whose first byte has come: its own, unless
// several are asked for at a time.
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

// Refused tells how long it takes to be told that there is no tunnel, which is the
// way to the relay and back; false where nobody is asked.
func (i *Instance) Refused(ctx context.Context) (took time.Duration, asked bool, err error) {
	if i.refused == nil {
		return 0, false, nil
	}
	begin := time.Now()
	err = i.refused(ctx)
	return time.Since(begin), true, err
}

// explain adds what the process has said last.
func (i *Instance) explain(err error) error {
	if said := i.process.tail(); said != "" {
		return fmt.Errorf("%w; the relay's last lines:\n%s", err, said)
	}
	return err
}

// CPU is the processor time that the relay's process has used.
func (i *Instance) CPU() (time.Duration, error) { return cpuTime(i.process.id()) }

// Memory is what the relay's process holds, in bytes: all of it, and with what is
// shared with other processes counted in part.
func (i *Instance) Memory() (rss, pss int64, err error) { return memory(i.process.id()) }

// Close ends the process and both ends of all tunnels. They are cut: nothing of a
// measurement is worth waiting for.
func (i *Instance) Close() {
	i.process.kill()
	i.ends.Close()
}

// startBaseline starts this program again, as the baseline of that name.
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

// BaselineCommand is the word that turns this program into a baseline.
const BaselineCommand = "baseline"
