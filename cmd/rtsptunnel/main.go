// Command rtsptunnel is the edge module: it reads its cameras from the module twin
// and opens tunnels to them from the inside, as the direct method tunnelOpen asks.
// Its identity is in the environment: what IoT Edge injects, or a connection string;
// rtsptunnel --help lists all variables, and docs/RUNNING.md explains them.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/module"
	"rtsptunnel/internal/module/config"
)

// Exit codes beside the module's own.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr, module.Main)) }

// run runs the command that args name; without one, that is the module, by start.
func run(args []string, stdout, stderr io.Writer, start func() int) int {
	if asksForHelp(args) {
		return say(stdout, stderr, usage())
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
		return say(stdout, stderr, module.ThisBuild().String()+"\n")
	case "version --json":
		return sayJSON(stdout, stderr, module.ThisBuild())
	}
	_, _ = fmt.Fprintf(stderr, "rtsptunnel: unknown command %.100q; rtsptunnel --help lists all\n", command)
	return exitUsage
}

// asksForHelp tells whether args are the command help, alone, or a known command, or
// none, with nothing but --help or -h.
func asksForHelp(args []string) bool {
	if len(args) == 1 && args[0] == "help" {
		return true
	}
	if len(args) == 2 && slices.Contains([]string{"run", "healthcheck", "validate", "version"}, args[0]) {
		args = args[1:]
	}
	return len(args) == 1 && (args[0] == "--help" || args[0] == "-h")
}

// healthcheck asks the module that runs with the same environment. One that was told
// to serve no health is taken for healthy: an image's HEALTHCHECK must not make a
// container unhealthy for what its operator wished.
func healthcheck(stdout, stderr io.Writer) int {
	address, err := config.MetricsListen()
	if err == nil && address == "" {
		return say(stdout, stderr, "not asked: RTSPTUNNEL_METRICS_LISTEN is off\n")
	}
	if err == nil {
		err = health.Ask(context.Background(), address)
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: not healthy: %v\n", err)
		return exitFailed
	}
	return say(stdout, stderr, "healthy\n")
}

func sayJSON(stdout, stderr io.Writer, v any) int {
	b, err := json.Marshal(v)
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: %v\n", err)
		return exitFailed
	}
	return say(stdout, stderr, string(b)+"\n")
}

func say(stdout, stderr io.Writer, text string) int {
	if _, err := io.WriteString(stdout, text); err != nil {
		_, _ = fmt.Fprintf(stderr, "rtsptunnel: write to standard output: %v\n", err)
		return exitFailed
	}
	return 0
}

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

  run             the edge module, until SIGTERM; so does no command at all
  healthcheck     ask the module that runs with the same environment whether it is alive
  validate        judge the twin, desired section or deployment's module section on standard input,
                  or with --env the environment; --explain tells all that would be in force,
                  --json is for programs
  version         what this binary was made of; --json for programs
  help            this

Exit codes:

  0   run: ended in order by SIGTERM or SIGINT; healthcheck: alive, or RTSPTUNNEL_METRICS_LISTEN is off;
      validate: no faults
  1   healthcheck: not alive, or no answer within 5 s; validate: faults, or nothing that can be read
  2   run: no hub can be reached with this environment; or a command or a flag that does not exist

Environment of the module (docs/RUNNING.md explains it):

` + variables.String()
}
