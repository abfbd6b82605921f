// Package gatewayctl has the commands of tunnelgateway. The program in cmd and the demo,
// which runs the gateway as a process of its own, share them.
//
// Code belongs here if it declares a command, or prints a result. How the gateway works is
// the business of package gateway.
package gatewayctl

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"rtsptunnel/internal/base/cli"
)

// Main runs the command that args name, which are without the program's name, and returns
// the exit code. SIGTERM or SIGINT ends a command in order, and a second one at once.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, args, os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// Run is Main with other surroundings. It ends when ctx is done.
func Run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return program(environ).Run(ctx, withDefault(args), cli.IO{In: stdin, Out: stdout, Err: stderr, Lookup: lookup(environ)})
}

// withDefault returns args with the command run if they name none.
func withDefault(args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !slices.Contains([]string{"-h", "-help", "--help", "--version"}, args[0]) {
		return append([]string{"run"}, args...)
	}
	return args
}

func lookup(environ []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, line := range environ {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

func program(environ []string) cli.Program {
	return cli.Program{
		Name: "tunnelgateway", Brief: "serve the cameras behind edge modules to RTSP players",
		Detail: `It finds cameras in IoT Hub, opens a tunnel to a camera for its first viewer, pulls the
camera once for all viewers, and serves RTSP. docs/GATEWAY.md describes the configuration.
`,
		Commands: []*cli.Command{
			runCommand(environ), validateCommand(environ), checkCommand(environ), openCommand(environ), tokenCommand(),
			healthcheckCommand(environ), schemaCommand(),
		},
		CheckArguments: checkArguments,
	}
}
