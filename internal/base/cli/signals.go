package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// EndSignals returns the signals that end a program in order. SIGHUP, of a closed terminal,
// is one of them unless it was ignored at the start, as by nohup: to wait for a signal ends
// its being ignored.
func EndSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}
