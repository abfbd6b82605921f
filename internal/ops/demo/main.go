package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/gateway"
)

const usage = `Usage: tunnelctl demo [--port N] [--once [--json]] [--module PROGRAM]
                      [--verbose]

Starts a hub emulator, two cameras, a gateway and the edge module on this machine's
loopback and shows how to watch the cameras through tunnels. Ctrl-C ends it all.

  --port N    port of the first camera for players; the second has the next one.
              0 takes free ports. (default 8554)
  --once      watch 100 frames of each camera, print how it went, and end; exit
              code 1 if a camera could not be watched
  --json      with --once: print one JSON object and nothing else on standard output
  --module P  run this program as the edge module, with the module's environment alone, in
              the place of the one that is in here: another build, or what runs an image
  --verbose   also write the log lines of all parts to standard error
`

// Exit codes of Main.
const (
	exitOK    = 0
	exitFault = 1
	exitUsage = 2
)

// Main is the command with its arguments; it runs until ctx is done, until nobody
// reads what it writes or, with --once, until the cameras have been watched, and
// returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, usage)
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "tunnelctl demo: %v\n\n%s", err, usage)
		return exitUsage
	}
	if err := o.run(ctx, stdout, stderr); err != nil {
		_, _ = fmt.Fprintf(stderr, "tunnelctl demo: %v\n", err)
		return exitFault
	}
	return exitOK
}

type options struct {
	port                int
	once, json, verbose bool
	module              string // a program; empty for this very binary
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&o.port, "port", 8554, "")
	flags.BoolVar(&o.once, "once", false, "")
	flags.BoolVar(&o.json, "json", false, "")
	flags.BoolVar(&o.verbose, "verbose", false, "")
	flags.StringVar(&o.module, "module", "", "")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.json && !o.once:
		return options{}, errors.New("--json goes with --once")
	case o.port < 0 || o.port > 65534:
		return options{}, fmt.Errorf("--port %d is out of range", o.port)
	}
	return o, nil
}

func (o options) run(ctx context.Context, stdout, stderr io.Writer) error {
	stderr = zerolog.SyncWriter(stderr) // steps and log lines may both go there
	human := stdout
	if o.json {
		human = stderr
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	out, events, logs := newPrinter(human, end), newTape(), o.logs(stderr)
	d := &demo{
		port: o.port, program: o.module, out: out, sites: sites(), logs: logs, log: zerolog.New(logs).With().Timestamp().Logger(),
		observe: func(e gateway.Event) { events.record(e); out.event(e) },
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
	out.plain(d.invitation())
	<-ctx.Done()
	out.line("ending")
	d.close()
	out.line("ended")
	return nil
}

func (d *demo) finish(ctx context.Context, o options, stdout io.Writer, events *tape) error {
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

// logs is where the parts' own log lines go.
func (o options) logs(stderr io.Writer) io.Writer {
	if o.verbose {
		return stderr
	}
	return io.Discard
}
