// Package manifestctl is tunnelctl manifest: an operator's verbs for deployment
// manifests. What is in a manifest, and what becomes of it, is package manifest's; how a
// hub is asked is hubclient's.
//
// The rules are:
//   - A result goes to standard output, or whole to the file that --output names, and
//     everything else to standard error. After an error there is no result.
//   - Exit codes are ok, failed (a file, or what is in it, will not do, or the hub
//     failed) and usage (nothing was read, or nothing was asked of the hub).
//   - No value of the environment or of an .env file is in any message, but for what a
//     template makes a name of.
package manifestctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"rtsptunnel/internal/hub/hubaccess"
)

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs one verb and returns the exit code: 0 after success, 1 if a manifest or a
// file will not do, or the hub failed, 2 if the arguments will not. ctx bounds what is
// asked of a hub. args are without tunnelctl and manifest; lookup is the environment, as
// os.LookupEnv.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer, lookup func(string) (string, bool)) int {
	s := &session{stdout: stdout, stderr: stderr, lookup: lookup}
	name, err := s.run(ctx, args)
	usage, isUsage := errors.AsType[*usageError](err)
	switch {
	case err == nil:
		return exitOK
	case isUsage:
		_, _ = fmt.Fprintf(stderr, "tunnelctl: %v\nSee %s --help.\n", usage, name)
		return exitUsage
	case !errors.Is(err, errTold):
		_, _ = fmt.Fprintf(stderr, "tunnelctl: %v\n%s", err, hubaccess.Advice(err))
	}
	return exitFailed
}

// errTold is a failure that the user has been told of already.
var errTold = errors.New("told already")

// usageError is a mistake in the arguments.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// verb is one thing that the command does.
type verb struct {
	name   string
	args   string // as usage has them
	least  int    // how many arguments there must be
	most   int    // how many there may be
	brief  string
	detail string
	// define adds the verb's flags, and returns what to do once they are parsed.
	define func(s *session, flags *flag.FlagSet) action
}

// action does what a verb is for; ctx bounds what it asks of a hub.
type action func(ctx context.Context, args []string) error

var verbs = []verb{expandVerb, validateVerb, mergeVerb, applyVerb}

const group = "tunnelctl manifest"

// run finds the verb and runs it. name is the command that has help on it.
func (s *session) run(ctx context.Context, args []string) (name string, err error) {
	if len(args) == 0 {
		return group, usagef("which of the commands of manifest?")
	}
	if err := hubaccess.CheckArguments(args); err != nil {
		return group, &usageError{err}
	}
	if isHelp(args[0]) || args[0] == "help" {
		return group, s.print(Usage())
	}
	for _, v := range verbs {
		if v.name == args[0] {
			return group + " " + v.name, s.runVerb(ctx, v, args[1:])
		}
	}
	return group, usagef("unknown command %.50q", "manifest "+args[0])
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func (s *session) runVerb(ctx context.Context, v verb, args []string) error {
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints errors and help
	do := v.define(s, flags)
	files, err := parse(flags, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return s.print(v.help(flags))
	case err != nil:
		return &usageError{err}
	case len(files) < v.least:
		return usagef("%s is missing", strings.Fields(v.args)[len(files)])
	case len(files) > v.most:
		return usagef("unexpected argument %.50q", files[v.most])
	}
	return do(ctx, files)
}

// parse reads flags before, between and after the files, up to "--".
func parse(flags *flag.FlagSet, args []string) (files []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		rest := flags.Args()
		if len(rest) == 0 {
			return files, nil
		}
		if ended := len(args) > len(rest) && args[len(args)-len(rest)-1] == "--"; ended {
			return append(files, rest...), nil
		}
		files, args = append(files, rest[0]), rest[1:]
	}
}
