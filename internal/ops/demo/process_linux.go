package demo

import (
	"runtime"
	"syscall"
)

// ownGroup keeps a terminal's Ctrl-C from the module, which the demo stops in order. The
// kernel stops the module if this process is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// pinThread keeps the goroutine on its thread. The kernel sends Pdeathsig when the thread
// that started the process ends, so that the thread must live as long as the goroutine.
func pinThread() { runtime.LockOSThread() }
