package relays

import (
	"bytes"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

// process is a relay's, from start to kill.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has

	mu    sync.Mutex
	lines bytes.Buffer // the newest that it wrote
}

// start starts cmd in a goroutine that keeps its thread for as long as the process
// lives: the kernel ends the process when that thread ends.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	cmd.SysProcAttr = ownGroup()
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is known: it was killed, or its lines say why
		}
	}()
	if err := <-started; err != nil {
		<-p.ended
		return nil, err
	}
	return p, nil
}

func (p *process) id() int { return p.cmd.Process.Pid }

// kill ends the process and waits for that.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

const maxTail = 2 << 10 // bytes of output that are kept for an error

// Write takes what the process writes.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines.Write(b)
	if over := p.lines.Len() - maxTail; over > 0 {
		p.lines.Next(over)
	}
	return len(b), nil
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.TrimSpace(p.lines.String())
}
