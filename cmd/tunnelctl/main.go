// Command tunnelctl is the operator's tool: the demo, and deployment manifests. See
// tunnelctl --help.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"rtsptunnel/internal/ops/demo"
	"rtsptunnel/internal/ops/manifestctl"
)

const usage = `Usage: tunnelctl COMMAND [flags]

  demo       the whole product on this machine: watch two cameras through tunnels
  manifest   make deployment manifests from templates, judge, merge and apply them

tunnelctl COMMAND --help says more.
`

func main() {
	if demo.IsModule(os.Args) { // the demo starts this binary again as the edge module
		os.Exit(demo.Module())
	}
	// A reader that goes away (| head) or a closed terminal must not keep the commands
	// from ending in order; a second Ctrl-C ends at once.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "demo" {
		return demo.Main(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == "manifest" {
		return manifestctl.Main(ctx, args[1:], stdout, stderr, os.LookupEnv) //nolint:forbidigo // package config is the edge module's; templates have variables of any name
	}
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
		_, _ = io.WriteString(stdout, usage)
		return 0
	}
	_, _ = fmt.Fprint(stderr, usage)
	return 2
}
