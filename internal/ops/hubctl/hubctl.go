// Package hubctl is what the command hubemulator does besides serving: an operator's
// verbs for the registry, deployments, twins, direct methods and queries of an IoT Hub.
// All go through hubclient, so that a real hub and the emulator are served alike.
//
// A line belongs here when it reads arguments, or writes for a person or a script.
// What the hub is asked, and how, is hubclient's.
//
// The rules are:
//   - The owner's connection string comes from the environment or a file, never from
//     an argument: arguments are seen by every user of the machine, and shells keep
//     them.
//   - No key is written, except as the connection string that was asked for.
//   - Results go to standard output and everything else to standard error. Exit codes
//     are ok, failed (the hub, or the way to it) and usage (nothing was asked of the
//     hub).
package hubctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"rtsptunnel/internal/hub/hubaccess"
)

// Exit codes of Main.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main runs one verb and returns the exit code: 0 after success, 1 if the hub or the
// way to it failed, 2 if the arguments, or what they or the environment name, will not
// do. args are without the program's name.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	s := &session{stdin: stdin, stdout: stdout, getenv: getenv}
	defer s.close()
	name, err := s.run(ctx, args)
	if err == nil {
		return exitOK
	}
	usage, isUsage := errors.AsType[*usageError](err)
	switch {
	case isUsage:
		_, _ = fmt.Fprintf(stderr, "hubemulator: %v\nSee %s --help.\n", usage, name)
		return exitUsage
	default:
		_, _ = fmt.Fprintf(stderr, "hubemulator: %v\n%s", err, hubaccess.Advice(err))
		return exitFailed
	}
}

// run finds the verb and runs it. name is the command that has help on it.
func (s *session) run(ctx context.Context, args []string) (name string, err error) {
	if len(args) == 0 {
		return "hubemulator", usagef("no command given")
	}
	if err := hubaccess.CheckArguments(args); err != nil {
		return "hubemulator", usagef("%w. A payload, twin\nor tags with a key in it go by a file too.", err)
	}
	v, rest, ok := find(args)
	if !ok {
		return s.runGroup(args)
	}
	name = "hubemulator " + v.name
	flags, action := s.prepare(v)
	s.args, err = parse(flags, rest)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return name, s.print(v.help(flags))
	case err != nil:
		return name, &usageError{err}
	}
	if err := v.count(s.args); err != nil {
		return name, err
	}
	return name, action(ctx)
}

// runGroup answers what is no verb: help on a group of them, or a mistake.
func (s *session) runGroup(args []string) (name string, err error) {
	help, ok := groupHelp(args[0])
	if !ok {
		return "hubemulator", usagef("unknown command %q", args[0])
	}
	name = "hubemulator " + args[0]
	if len(args) == 1 {
		return name, usagef("which of its commands?")
	}
	if isHelp(args[1]) {
		return name, s.print(help)
	}
	return name, usagef("unknown command %q", args[0]+" "+args[1])
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// usageError is the caller's mistake; nothing was asked of the hub.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}
