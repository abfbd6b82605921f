package measure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"rtsptunnel/bench/baseline"
	"rtsptunnel/bench/cameras"
	"rtsptunnel/bench/fanout"
	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/players"
	"rtsptunnel/bench/relays"
)

const help = `Usage: bench [flags]

Measures the cost of the module as a relay and of the gateway as an RTSP server, and
compares them with others in the same run, on this machine's loopback. Writes tables to standard output and progress to
standard error. Ctrl-C ends it and every process that it started.

  --module FILE   the module's binary (bin/rtsptunnel)
  --gateway FILE  the gateway's binary (bin/tunnelgateway)
  --rounds N      number of rounds; each measures each relay in each phase (3)
  --seconds S     length of each window of bulk, round trips and video (1.5)
  --phases LIST   only these, separated by commas: bulk rtt video open idle gateway, or
                  some tables of theirs, such as bulk-16 or gateway-readers
  --relays LIST   only these: module raw tlsraw gorilla haproxy gateway gortsplib
  --json FILE     write all samples, ratios and the bar
  --svg FILE      draw the ratios to tlsraw
  --smoke         test in seconds that everything runs; the figures are meaningless

Exit codes: 0 done; 1 something could not be measured; 2 wrong arguments. A missing
haproxy is left out and is no error.
`

// Exit codes of Main.
const (
	exitOK    = 0
	exitFault = 1
	exitUsage = 2
)

// Main runs the program until it is done or ctx is. args exclude the program's name. Main
// returns the exit code.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if IsChild(args) { // a run of Main has started this process
		return exitCode(child(ctx, args, stdin, stdout, stderr), stderr)
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = io.WriteString(stdout, help)
		return exitOK
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "bench: %v\n\n%s", err, help)
		return exitUsage
	}
	if runtime.GOOS != "linux" {
		return exitCode(relays.ErrLinux, stderr)
	}
	return exitCode(o.run(ctx, "make bench ARGS='"+strings.Join(args, " ")+"'", stdout, stderr), stderr)
}

// IsChild tells whether the arguments are those of a process that a run of Main starts.
func IsChild(args []string) bool {
	return len(args) > 0 && slices.Contains([]string{relays.BaselineCommand, cameras.Command, players.Command, fanout.Command}, args[0])
}

func child(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	switch args[0] {
	case cameras.Command:
		return cameras.Main(ctx, stdin, stdout)
	case players.Command:
		return players.Main(ctx, stdin, stdout)
	case fanout.Command:
		return fanout.Main(args[1:], stdin, stdout)
	}
	return baseline.Main(ctx, args[1:], stdin, stderr)
}

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "bench: %v\n", err)
	return exitFault
}

type options struct {
	module    string
	gateway   string
	rounds    int
	plan      plan
	phases    []phase
	relays    []relays.Relay
	json, svg string
}

const (
	mostRounds  = 100
	mostSeconds = 60
)

func parse(args []string) (options, error) {
	var o options
	var seconds float64
	var phases, chosen string
	var quick bool
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.module, "module", "bin/rtsptunnel", "")
	flags.StringVar(&o.gateway, "gateway", "bin/tunnelgateway", "")
	flags.IntVar(&o.rounds, "rounds", 3, "")
	flags.Float64Var(&seconds, "seconds", 1.5, "")
	flags.StringVar(&phases, "phases", "", "")
	flags.StringVar(&chosen, "relays", "", "")
	flags.StringVar(&o.json, "json", "", "")
	flags.StringVar(&o.svg, "svg", "", "")
	flags.BoolVar(&quick, "smoke", false, "")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	switch {
	case flags.NArg() > 0:
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1 || o.rounds > mostRounds:
		return options{}, fmt.Errorf("--rounds %d: want 1 to %d", o.rounds, mostRounds)
	case !(seconds >= 0.05 && seconds <= mostSeconds): // also refuses NaN
		return options{}, fmt.Errorf("--seconds %g: want 0.05 to %d", seconds, mostSeconds)
	}
	o.plan = full(time.Duration(seconds * float64(time.Second)))
	if quick {
		o.plan, o.rounds = smoke(), 1
	}
	var err, err2 error
	o.phases, err = choose("phase", phases, o.plan.phases(), func(p phase) string { return p.Name })
	o.relays, err2 = choose("relay", chosen, relays.All, func(r relays.Relay) string { return r.Name })
	return o, errors.Join(err, err2)
}

// run measures and writes the results. After an error it writes those that it has.
func (o options) run(ctx context.Context, command string, stdout, stderr io.Writer) error {
	if _, err := os.Stat(o.module); err != nil {
		return fmt.Errorf("the module's binary (make build makes it): %w", err)
	}
	lab, err := relays.NewLab(o.module, o.gateway)
	if err != nil {
		return err
	}
	defer lab.Close()
	r := &run{lab: lab, relays: o.relays, phases: o.phases, rounds: o.rounds, out: &progress{
		w: stderr, start: time.Now(), total: o.rounds * o.measurements(), rounds: o.rounds,
	}}
	r.describe(ctx, o.module, command)
	err = r.all(ctx)
	r.results.Seconds = time.Since(r.results.Begin).Seconds()
	return errors.Join(err, o.write(r.results, stdout))
}

// measurements returns how many a round has.
func (o options) measurements() int {
	count := 0
	for _, p := range o.phases {
		count += len(p.relays(o.relays))
	}
	return count
}

// write writes the tables, and the files that the flags name.
func (o options) write(results *figures.Results, stdout io.Writer) error {
	err := results.WriteTables(stdout, relays.Module, base)
	for _, f := range []struct {
		path  string
		write func(io.Writer, string, string) error
	}{{o.json, results.WriteJSON}, {o.svg, results.WriteSVG}} {
		if f.path != "" {
			err = errors.Join(err, writeFile(f.path, f.write))
		}
	}
	return err
}

func writeFile(path string, write func(io.Writer, string, string) error) error {
	f, err := os.Create(path) //nolint:gosec // G304: the flag names it
	if err != nil {
		return err
	}
	return errors.Join(write(f, relays.Module, base), f.Close())
}
