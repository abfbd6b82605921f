package demo

import (
	"runtime"
	"syscall"
)

// ownGroup keeps a terminal's Ctrl-C from the module, which is ended in its turn,
// and ends the module if this process is killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// pinThread: the kernel sends Pdeathsig when the thread ends that started the
// process, so that it must be this goroutine's for as long as that lives.
func pinThread() { runtime.LockOSThread() }
