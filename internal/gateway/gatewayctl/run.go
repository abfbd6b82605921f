package gatewayctl

import (
	"context"
	"flag"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/config"
)

func runCommand(environ []string) *cli.Command {
	return &cli.Command{
		Name: "run", Brief: "run the gateway; the default without a command",
		Detail: `It runs until SIGTERM or SIGINT, and then drains for at most 20 s; a second signal ends it at
once. It reads the configuration file, and the files that it names, again when they change,
and on SIGHUP. The log goes to standard output.
`,
		Define: func(flags *flag.FlagSet) cli.Action {
			file := configFlag(flags)
			return func(ctx context.Context, call *cli.Call) error {
				signal.Ignore(syscall.SIGPIPE) // a log reader that is gone does not end the gateway
				fitMemory()
				reload, stop := hangups()
				defer stop()
				return gateway.Run(ctx, gateway.Options{
					Source: config.NewSource(config.Options{File: *file, Environ: environ}), Log: call.Out, Notice: call.Err, Reload: reload,
				})
			}
		},
	}
}

// hangups returns a channel with a value for SIGHUPs since the last value. The caller calls
// stop.
func hangups() (reload <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	values := make(chan struct{}, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range signals {
			select {
			case values <- struct{}{}:
			default: // the gateway reads the newest files anyhow
			}
		}
	}()
	return values, func() { signal.Stop(signals); close(signals); <-done }
}

// memoryShare of the container's memory is for Go's heap; the rest is for stacks and
// buffers of the kernel.
const memoryShare = 0.9

// fitMemory makes Go's collector respect the container's memory limit, unless GOMEMLIMIT is
// set. Outside of a container it does nothing.
func fitMemory() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if bytes, err := memlimit.FromCgroup(); err == nil && bytes > 0 && bytes < math.MaxInt64 {
		debug.SetMemoryLimit(int64(memoryShare * float64(bytes)))
	}
}
