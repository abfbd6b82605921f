//go:build unix && !linux

package demo

import "syscall"

// ownGroup keeps a terminal's Ctrl-C from the module, which the demo stops in order.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func pinThread() {}
