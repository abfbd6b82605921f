package relays

import (
	"bytes"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

// process is the process of a relay, from start to kill.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended

	mu    sync.Mutex
	lines bytes.Buffer // its newest output, at most maxTail bytes
}

// start starts cmd, whose output it keeps unless cmd has one, in a goroutine that keeps its thread until the process ends, because
// Pdeathsig ends the process when the thread that started it ends. The caller kills it.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	if cmd.Stderr = p; cmd.Stdout == nil {
		cmd.Stdout = p
	}
	cmd.SysProcAttr = ownGroup()
	started := make(chan error, 1)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // no news: the process was killed, or its output says why it ended
		}
	}()
	if err := <-started; err != nil {
		<-p.ended
		return nil, err
	}
	return p, nil
}

func (p *process) id() int { return p.cmd.Process.Pid }

// kill ends the process and waits until it has ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

const maxTail = 2 << 10 // bytes of output that are kept for an error

// Write keeps the newest output of the process.
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
