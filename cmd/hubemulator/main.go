// Command hubemulator runs a stand-in for IoT Hub, edge hub and the workload
// API. See hubemulator --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rtsptunnel/internal/hubemulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := hubemulator.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
