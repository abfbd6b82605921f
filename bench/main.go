// Command bench measures the shipped module against other relays; make bench runs it. See
// package measure.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rtsptunnel/bench/measure"
	"rtsptunnel/internal/base/cli"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a reader of the output that ends must not kill this process before its cleanup
	ctx, stop := signal.NotifyContext(context.Background(), cli.EndSignals()...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(measure.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
