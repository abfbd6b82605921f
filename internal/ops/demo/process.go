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

	"rtsptunnel/internal/gateway/gatewayctl"
	"rtsptunnel/internal/module"
)

// The arguments that turn this binary into another program.
const (
	moduleCommand  = "rtsptunnel"
	gatewayCommand = "tunnelgateway"
)

// IsPart reports whether args, with the program's name first, start a part of the demo: the
// edge module or the gateway. A binary that runs the demo must call it first.
func IsPart(args []string) bool {
	return len(args) == 2 && (args[1] == moduleCommand || args[1] == gatewayCommand)
}

// Part runs the part that args name, as cmd/rtsptunnel and cmd/tunnelgateway do, and returns
// the exit code.
func Part(args []string) int {
	if args[1] == gatewayCommand {
		return gatewayctl.Main([]string{"run"})
	}
	return module.Main()
}

// self is the command that runs a part in this binary.
func self(part string) ([]string, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return []string{binary, part}, nil
}

// restartDelay is shorter than the delay of edge agent, for people who wait for it.
const restartDelay = time.Second

// startModule starts the edge module as edge agent does: a process whose environment has
// the injected variables, and besides them only those for this machine. It starts the
// module again when it ends, as edge agent does.
func (d *demo) startModule(ctx context.Context) (string, error) {
	generation, err := d.hub.AddModule(deviceID, moduleID) // it exists already, and keeps its generation
	if err != nil {
		return "", err
	}
	command := []string{d.program}
	if d.program == "" {
		if command, err = self(moduleCommand); err != nil {
			return "", err
		}
	}
	d.module = &process{name: moduleStep, out: d.out, logs: d.logs, command: command, env: []string{
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
		"RTSPTUNNEL_CA_FILE=" + d.files.ca,
		"RTSPTUNNEL_ALLOW_LOOPBACK_REMOTE=true", // the gateway is on this machine
		"RTSPTUNNEL_METRICS_LISTEN=off",         // a second demo on this machine could not bind the port
	}}
	if err := d.run(ctx, d.module); err != nil {
		return "", err
	}
	return fmt.Sprintf("process %d (if it is killed, the demo restarts it); unlike at a real site, it may open tunnels to this machine", d.module.pid()), nil
}

// run starts a process and supervises it until the demo closes.
func (d *demo) run(ctx context.Context, p *process) error {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	first := make(chan error, 1)
	p.ended = make(chan struct{})
	var supervising sync.WaitGroup
	supervising.Go(func() { p.supervise(ctx, first) })
	d.onClose(func() { end(); supervising.Wait() })
	return <-first
}

// process runs a part of the demo, and runs it again whenever it ends.
type process struct {
	name    string // of its step
	out     *printer
	logs    io.Writer
	command []string // program and arguments
	env     []string

	ended      chan struct{} // closed at its first unexpected end
	unexpected sync.Once     // guards the close of ended

	mu    sync.Mutex
	cmd   *exec.Cmd
	lines bytes.Buffer // the end of its log
}

// supervise runs the process until ctx is done; then it gets SIGTERM, and SIGKILL
// after stopTimeout. first receives the result of the first start.
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
				p.out.step(p.name, fmt.Sprintf("started again, process %d", cmd.Process.Pid))
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
		p.out.step(p.name, "ended unexpectedly ("+how+")")
		p.unexpected.Do(func() { close(p.ended) })
		select {
		case <-ctx.Done():
			return
		case <-time.After(restartDelay):
		}
	}
}

func (p *process) start(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, p.command[0], p.command[1:]...) //nolint:gosec // G204: this binary, or the program that the operator named
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = p, p
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
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

const maxTail = 4 << 10 // bytes of the log, for an error

// Write receives the log.
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
