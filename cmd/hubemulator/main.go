// Command hubemulator runs a stand-in for IoT Hub, edge hub and the workload API, and
// is an operator's tool for it and for real hubs. See hubemulator --help.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"rtsptunnel/internal/hub/hubemulator"
	"rtsptunnel/internal/ops/hubctl"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)) //nolint:forbidigo // package config is the edge module's
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	switch {
	case len(args) > 0 && args[0] == "serve":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		return hubemulator.Main(ctx, args, stdout, stderr)
	case len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help"):
		if _, err := io.WriteString(stdout, usage()); err != nil {
			_, _ = fmt.Fprintf(stderr, "hubemulator: write to standard output: %v\n", err)
			return 1
		}
		return 0
	}
	// The verbs have nothing to put in order at their end: Ctrl-C, or a reader that
	// goes away, ends them as it does any program.
	return hubctl.Main(context.Background(), args, stdin, stdout, stderr, getenv)
}

func usage() string {
	return `Usage: hubemulator COMMAND [flags]

  serve --state DIR   run a hub on this machine

For that hub, or a real IoT Hub:

` + hubctl.Usage() + `
hubemulator COMMAND --help says more.
`
}
