package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"rtsptunnel/internal/module"
)

// moduleCommand is the word that turns this binary into the edge module.
const moduleCommand = "rtsptunnel"

// IsModule tells whether args, the program's own name first, start the edge module.
// A binary that runs the demo asks this before anything else.
func IsModule(args []string) bool { return len(args) == 2 && args[1] == moduleCommand }

// Module is cmd/rtsptunnel: it returns the exit code.
func Module() int { return module.Main() }

// restartTime is what edge agent's first restart would roughly take, shortened for
// people who are watching.
const restartTime = time.Second

// startModule starts the edge module as edge agent would: a process with exactly
// the injected variables, and those that say where things are on this machine.
// Like edge agent it starts it again when it dies.
func (d *demo) startModule(ctx context.Context) (string, error) {
	generation, err := d.hub.AddModule(deviceID, moduleID) // is there already, and keeps its generation
	if err != nil {
		return "", err
	}
	command := []string{d.program}
	if d.program == "" {
		binary, err := os.Executable()
		if err != nil {
			return "", err
		}
		command = []string{binary, moduleCommand}
	}
	d.module = &process{out: d.out, logs: d.logs, command: command, env: []string{
		"IOTEDGE_WORKLOADURI=" + d.hub.WorkloadURI(),
		"IOTEDGE_AUTHSCHEME=sasToken",
		"IOTEDGE_MODULEGENERATIONID=" + generation,
		"IOTEDGE_IOTHUBHOSTNAME=" + hubName,
		"IOTEDGE_GATEWAYHOSTNAME=" + gatewayName,
		"IOTEDGE_DEVICEID=" + deviceID,
		"IOTEDGE_MODULEID=" + moduleID,
		"IOTEDGE_APIVERSION=2021-12-07",
		"RuntimeLogLevel=info",
		"RTSPTUNNEL_HUB_ADDRESS=" + d.hub.MQTTAddr(),
		"RTSPTUNNEL_CA_FILE=" + d.caFile,
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE=true", // the gateway is on this machine
		"RTSPTUNNEL_METRICS_LISTEN=off",         // a second demo on this machine would find the port taken
	}}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	first := make(chan error, 1)
	var supervising sync.WaitGroup
	supervising.Go(func() { d.module.supervise(life, first) })
	d.onClose(func() { end(); supervising.Wait() })
	if err := <-first; err != nil {
		return "", err
	}
	return fmt.Sprintf("process %d (kill -9 it, and it comes back); allowed, as in no real site, to open tunnels to this machine itself", d.module.pid()), nil
}

// process is the edge module's, started anew whenever it ends.
type process struct {
	out     *printer
	logs    io.Writer
	command []string // program and arguments
	env     []string

	mu    sync.Mutex
	cmd   *exec.Cmd
	lines bytes.Buffer // the newest of its log
}

// supervise runs the module until ctx is done; then it gets SIGTERM, and SIGKILL
// after endTime. first hears whether it could be started at all.
func (p *process) supervise(ctx context.Context, first chan<- error) {
	pinThread()
	for {
		cmd, err := p.start(ctx)
		if first != nil {
			first <- err
		}
		if err != nil && first != nil {
			return
		}
		if err == nil {
			if first == nil {
				p.out.step("edge module", fmt.Sprintf("started again, process %d", cmd.Process.Pid))
			}
			err = cmd.Wait()
		}
		first = nil
		if ctx.Err() != nil {
			return
		}
		how := "exit status 0"
		if err != nil {
			how = err.Error()
		}
		p.out.step("edge module", "ended by itself ("+how+")")
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartTime):
		}
	}
}

func (p *process) start(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...) //nolint:gosec // G204: this very binary, or whom the operator named
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = p, p
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	cmd.SysProcAttr = ownGroup()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = cmd
	return cmd, nil
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

const maxTail = 4 << 10 // bytes of the module's log that are kept for an error

// Write takes the module's log.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines.Write(b)
	if over := p.lines.Len() - maxTail; over > 0 {
		p.lines.Next(over)
	}
	return p.logs.Write(b)
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines.String()
}
