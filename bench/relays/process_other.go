//go:build !linux

package relays

import (
	"syscall"
	"time"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func cpuTime(int) (time.Duration, error) { return 0, ErrLinux }

func memory(int) (rss, pss int64, err error) { return 0, 0, ErrLinux }

// Descriptors returns ErrLinux.
func Descriptors() (int, error) { return 0, ErrLinux }
