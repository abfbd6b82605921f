// Command tunnelctl is the operator's tool: the demo, deployment manifests, and the
// devices, twins, methods and deployments of a hub. See tunnelctl --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/ops/demo"
	"rtsptunnel/internal/ops/hubctl"
	"rtsptunnel/internal/ops/manifestctl"
)

func main() {
	if demo.IsPart(os.Args) { // the demo starts this binary again as the edge module and as the gateway
		os.Exit(demo.Part(os.Args))
	}
	ctx := context.Background()
	// The verbs of a hub have nothing to clean up: a signal ends them, as any program.
	if len(os.Args) > 1 && os.Args[1] != "hub" {
		ctx = endInOrder(ctx)
	}
	std := cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Lookup: os.LookupEnv} //nolint:forbidigo // package config is the edge module's; templates have variables of any name
	os.Exit(program().Run(ctx, os.Args[1:], std))
}

// endInOrder makes a signal end ctx, so that a command can clean up; a second Ctrl-C ends
// the program at once. A reader that goes away (| head) becomes a write error.
func endInOrder(ctx context.Context) context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, cli.EndSignals()...)
	context.AfterFunc(ctx, stop)
	return ctx
}

func program() cli.Program {
	return cli.Program{
		Name: "tunnelctl", Brief: "the operator's tool for tunnels, deployment manifests and hubs",
		Commands:       []*cli.Command{demo.Command(), manifestctl.Command(), hubctl.Command()},
		CheckArguments: hubaccess.CheckArguments, Advise: hubaccess.Advice,
	}
}
