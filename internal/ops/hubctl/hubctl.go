// Package hubctl is the command tunnelctl hub: an operator's verbs for the registry,
// deployments, twins, direct methods and queries of an IoT Hub. All of them go through
// hubclient, so they work with a real hub and with the emulator.
//
// Code belongs here if it reads arguments, or writes for a person or a script. The
// requests to the hub belong to hubclient.
//
// The rules are:
//   - The owner's connection string comes from the environment or a file, never from
//     an argument: every user of the machine sees arguments, and shells keep them.
//   - No key is written, except in a connection string that the user asks for.
package hubctl

import (
	"context"
	"flag"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
)

// Command is the group of all verbs.
func Command() *cli.Command {
	return &cli.Command{
		Name: "hub", Brief: "manage devices, modules, twins, methods and deployments of an IoT Hub or the emulator",
		Notes: hubaccess.Help + "\n",
		Commands: []*cli.Command{
			{Name: "device", Brief: "devices in the registry", Commands: deviceVerbs()},
			{Name: "module", Brief: "modules in the registry", Commands: moduleVerbs()},
			{Name: "deployment", Brief: "automatic deployments", Commands: deploymentVerbs()},
			{Name: "twin", Brief: "twins of devices and modules", Commands: twinVerbs()},
			{Name: "method", Brief: "direct methods of devices and modules", Commands: []*cli.Command{methodCall()}},
			queryVerb(),
		},
	}
}

// action does what a verb is for. The job has as many arguments as the verb declares.
type action func(context.Context) error

// verb completes a command with the flags that all verbs have. define adds its own flags
// and returns what to do once they are parsed.
func verb(c cli.Command, define func(j *job, flags *flag.FlagSet) action) *cli.Command {
	c.Define = func(flags *flag.FlagSet) cli.Action {
		j := &job{}
		act := define(j, flags)
		j.access.Flags(flags)
		flags.BoolVar(&j.json, "json", false, "write JSON, for programs")
		return func(ctx context.Context, call *cli.Call) error {
			j.Call = call
			defer j.close()
			return act(ctx)
		}
	}
	return &c
}
