package demo

import (
	"context"
	"errors"
	"flag"
	"io"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/gateway/opener"
)

// Command is tunnelctl demo. It runs until ctx is done, until its output has no reader
// any more or, with --once, until it has watched the cameras.
func Command() *cli.Command {
	return &cli.Command{
		Name: "demo", Brief: "run the whole product on this machine: watch two cameras through tunnels",
		Detail: `It starts a hub emulator, two cameras, a gateway and the edge module on this machine's
loopback, and shows how to watch the cameras through tunnels. Ctrl-C ends all of it.
`,
		Define: define,
	}
}

type options struct {
	port                int
	once, json, verbose bool
	module              string // a program; empty for this binary
}

func define(flags *flag.FlagSet) cli.Action {
	var o options
	flags.IntVar(&o.port, "port", 8554, "port `N` of the first camera for players; the second has the next one. 0 takes free ports (8554)")
	flags.BoolVar(&o.once, "once", false, "watch 100 frames of each camera, print the results, and end; the exit code is 1 if a camera could not be watched")
	flags.BoolVar(&o.json, "json", false, "with --once: print one JSON object and nothing else on standard output")
	flags.BoolVar(&o.verbose, "verbose", false, "also write the log lines of all parts to standard error")
	flags.StringVar(&o.module, "module", "", "run `PROGRAM` as the edge module, with only the module's environment, instead of the module in this binary: another build, or a program that runs an image")
	return func(ctx context.Context, call *cli.Call) error {
		if err := o.check(); err != nil {
			return err
		}
		return o.run(ctx, call.Out, call.Err)
	}
}

func (o options) check() error {
	switch {
	case o.json && !o.once:
		return cli.Usagef("--json goes with --once")
	case o.port < 0 || o.port > 65534:
		return cli.Usagef("--port %d is out of range", o.port)
	}
	return nil
}

func (o options) run(ctx context.Context, stdout, stderr io.Writer) error {
	stderr = zerolog.SyncWriter(stderr) // steps and log lines may both go there
	steps := stdout
	if o.json {
		steps = stderr
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	out, events, logs := newPrinter(steps, end), newEventLog(), o.logs(stderr)
	d := &demo{
		port: o.port, program: o.module, out: out, cameras: newCameras(), logs: logs, log: zerolog.New(logs).With().Timestamp().Logger(),
		observe: func(e opener.Event) { events.record(e); out.event(e) },
	}
	defer d.close()
	if err := d.start(ctx); err != nil {
		if errors.Is(err, errInterrupted) {
			out.line("interrupted: ending what had started")
			return nil
		}
		return err
	}
	d.publish(ctx)
	if o.once {
		return d.finish(ctx, o, stdout, events)
	}
	out.plain(d.instructions())
	<-ctx.Done()
	out.line("ending")
	d.close()
	out.line("ended")
	return nil
}

func (d *demo) finish(ctx context.Context, o options, stdout io.Writer, events *eventLog) error {
	watched := d.once(ctx, events)
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
