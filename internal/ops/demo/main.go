package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/cli"
)

// Command is tunnelctl demo. It runs until ctx is done, until its output has no reader
// any more or, with --once, until it has watched the cameras.
func Command() *cli.Command {
	return &cli.Command{
		Name: "demo", Brief: "run the whole product on this machine: watch two cameras through tunnels",
		Detail: `It starts a hub emulator, two cameras, the gateway and the edge module on this machine's
loopback, and shows how to watch the cameras through tunnels. Ctrl-C ends all of it.

Cameras of yours join them by --camera, or by the variable ` + camerasVariable + `, which
has URLs with blanks between them. Other users of this machine can read the arguments of a
process, but not its environment: use the variable for URLs with a password.
`,
		Define: define,
	}
}

const maxPort = 65535

type options struct {
	port, pagePort      int
	once, json, verbose bool
	module              string // a program; empty for this binary
	cameras             cameraURLs
}

func define(flags *flag.FlagSet) cli.Action {
	var o options
	flags.IntVar(&o.port, "port", 8554, "RTSP port `N` for players; 0 takes a free one (8554)")
	flags.IntVar(&o.pagePort, "page-port", 8080, "HTTP port `N` of the web page, or the next free one; 0 takes any free one (8080)")
	flags.BoolVar(&o.once, "once", false, "watch 100 frames of each camera, print the results, and end; the exit code is 1 if a camera could not be watched")
	flags.BoolVar(&o.json, "json", false, "with --once: print one JSON object and nothing else on standard output")
	flags.BoolVar(&o.verbose, "verbose", false, "also write the log lines of all parts to standard error")
	flags.StringVar(&o.module, "module", "", "run `PROGRAM` as the edge module, with only the module's environment, instead of the module in this binary: another build, or a program that runs an image")
	flags.Func("camera", "also watch the camera at `URL`, rtsp://user:password@host:port/path, through a tunnel; may be repeated", o.cameras.add)
	return func(ctx context.Context, call *cli.Call) error {
		if err := o.check(); err != nil {
			return err
		}
		return o.run(ctx, call)
	}
}

func (o options) check() error {
	switch {
	case o.json && !o.once:
		return cli.Usagef("--json goes with --once")
	case o.port < 0 || o.port > maxPort:
		return cli.Usagef("--port %d is out of range", o.port)
	case o.pagePort < 0 || o.pagePort > maxPort:
		return cli.Usagef("--page-port %d is out of range", o.pagePort)
	}
	return nil
}

func (o options) run(ctx context.Context, call *cli.Call) error {
	own, err := ownCameras(o.cameras.withVariable(call.Getenv(camerasVariable)))
	if err != nil {
		return cli.Usagef("%v", err)
	}
	stderr := zerolog.SyncWriter(call.Err) // steps and log lines may both go there
	steps := call.Out
	if o.json {
		steps = stderr
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	out := newPrinter(steps, end)
	d := newDemo(append(newCameras(), own...), out, o.logs(stderr))
	d.port, d.pagePort, d.program, d.once = o.port, o.pagePort, o.module, o.once
	defer d.close()
	if err := d.start(ctx); err != nil {
		if errors.Is(err, errInterrupted) {
			out.line("interrupted: ending what had started")
			return nil
		}
		return err
	}
	if o.once {
		return d.finish(ctx, o, call.Out)
	}
	page, err := d.pageURL(ctx)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	out.plain(d.instructions(page))
	<-ctx.Done()
	out.line("ending")
	d.close()
	out.line("ended")
	return nil
}

func (d *demo) finish(ctx context.Context, o options, stdout io.Writer) error {
	watched := d.watchAll(ctx)
	d.close()
	if ctx.Err() != nil {
		return errInterrupted
	}
	write := writeTable
	if o.json {
		write = writeJSON
	}
	return errors.Join(write(stdout, watched), failure(watched))
}

// logs returns the destination of the parts' log lines.
func (o options) logs(stderr io.Writer) io.Writer {
	if o.verbose {
		return stderr
	}
	return io.Discard
}
