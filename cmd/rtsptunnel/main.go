// Command rtsptunnel is the edge module: it reads its cameras from the module twin, and
// opens tunnels to them from the inside when the direct method tunnelOpen asks for one.
// It takes its identity from the environment: the variables that IoT Edge injects, or a
// connection string. rtsptunnel --help lists all variables; docs/RUNNING.md explains
// them.
//
// The command line stays without a library, to keep the binary small.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"rtsptunnel/internal/base/buildinfo"
	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/module/config"
)

// The exit codes of the commands other than run.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, module.Main)) }

// run runs the command in args. start runs the module: it is the command without a name.
func run(args []string, stdout, stderr io.Writer, start func() int) int {
	if asksForHelp(args) {
		return printText(stdout, stderr, usage())
	}
	if len(args) > 0 && args[0] == "validate" {
		return validate(args[1:], os.Stdin, stdout, stderr)
	}
	command := strings.Join(args, " ")
	switch command {
	case "", "run":
		return start()
	case "healthcheck":
		return healthcheck(stdout, stderr)
	case "version", "--version":
		return printText(stdout, stderr, buildinfo.Read("rtsptunnel").String()+"\n")
	case "version --json":
		return printJSON(stdout, stderr, buildinfo.Read("rtsptunnel"))
	}
	_, _ = fmt.Fprintf(stderr, "rtsptunnel: unknown command %.100q; rtsptunnel --help lists the commands\n", command)
	return exitUsage
}

// asksForHelp tells whether args are help, or --help or -h alone or after a command.
func asksForHelp(args []string) bool {
	if len(args) == 1 && args[0] == "help" {
		return true
	}
	if len(args) == 2 && slices.Contains([]string{"run", "healthcheck", "validate", "version"}, args[0]) {
		args = args[1:]
	}
	return len(args) == 1 && (args[0] == "--help" || args[0] == "-h")
}

// healthcheck asks the module that runs with the same environment whether it is alive. If
// RTSPTUNNEL_METRICS_LISTEN is off, the result is healthy: an image's HEALTHCHECK must
// not fail because an operator has turned the endpoints off.
func healthcheck(stdout, stderr io.Writer) int {
	address, err := config.MetricsListen()
	if err == nil && address == "" {
		return printText(stdout, stderr, "not checked: RTSPTUNNEL_METRICS_LISTEN is off\n")
	}
	if err == nil {
		err = health.Ask(context.Background(), address)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: not healthy: %v\n", err)
		return exitFailed
	}
	return printText(stdout, stderr, "healthy\n")
}

// printJSON prints v in one line, and returns the exit code.
func printJSON(stdout, stderr io.Writer, v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: %v\n", err)
		return exitFailed
	}
	return printText(stdout, stderr, string(b)+"\n")
}

// printText prints text, and returns the exit code.
func printText(stdout, stderr io.Writer, text string) int {
	if _, err := io.WriteString(stdout, text); err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: write to standard output: %v\n", err)
		return exitFailed
	}
	return 0
}

// usage returns the help, with the variables of package config.
func usage() string {
	var variables strings.Builder
	for _, v := range config.Variables {
		text := v.Text
		if v.Default != "none" {
			text += " (default: " + v.Default + ")"
		}
		_, _ = fmt.Fprintf(&variables, "  %-33s  %s\n", v.Name, text)
	}
	return `Usage: rtsptunnel [COMMAND]

  run             run the edge module until SIGTERM; this is the default
  healthcheck     check whether the module that runs with the same environment is alive
  validate        check the twin, desired section or deployment's module section on standard input,
                  or the environment with --env; --explain prints all settings that would be in force,
                  --json prints JSON
  version         print version, commit and platform of this binary; --json prints JSON
  help            print this help

Exit codes:

  0   run: shut down by SIGTERM or SIGINT; healthcheck: alive, or RTSPTUNNEL_METRICS_LISTEN is off;
      validate: no faults
  1   healthcheck: not alive, or no response within 5 s; validate: faults, or an unreadable document
  2   run: no hub can be reached with this environment; or an unknown command or flag

Environment of the module (docs/RUNNING.md explains it):

` + variables.String()
}
