// Command hubemulator runs a local stand-in for IoT Hub, edge hub and the workload API,
// for tests and development. The command tunnelctl hub manages its devices, as those of a
// real hub. See hubemulator --help.
package main

import (
	"context"
	"os"
	"os/signal"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/hub/hubemulator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), cli.EndSignals()...)
	code := program().Run(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Lookup: os.LookupEnv}) //nolint:forbidigo // package config is the edge module's
	stop()
	os.Exit(code)
}

func program() cli.Program {
	commands := []*cli.Command{hubemulator.Command()}
	for _, name := range []string{"device", "module", "deployment", "twin", "method", "query"} {
		commands = append(commands, &cli.Command{Name: name, MovedTo: "tunnelctl hub " + name})
	}
	return cli.Program{
		Name: "hubemulator", Brief: "a local stand-in for IoT Hub, edge hub and the workload API",
		Detail:   "tunnelctl hub manages its devices, modules, twins, methods, queries and deployments.\n",
		Commands: commands, CheckArguments: hubaccess.CheckArguments,
	}
}
