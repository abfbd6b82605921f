// Package cli declares and runs the commands of an operator's program: verbs in groups,
// flags that may stand between the arguments, one help layout, suggestions for mistyped
// verbs, shell completion, and three exit codes.
//
// A program is a tree of Command values, and Program.Run runs one of them. A command
// declares its flags with Go's package flag and gets a Call, which has its arguments and
// the standard streams. Every program also has the commands version, completion and help.
//
// The rules are:
//   - Results go to standard output and everything else to standard error.
//   - Exit codes are 0 (done), 1 (failed) and 2 (usage error: nothing was done).
//   - A usage error names the command whose help explains it.
//
// The parser is cobra, and only this package imports it. kong declares commands well too,
// but has neither shell completion nor suggestions; with kong we would write ourselves
// what cobra has: completion scripts for four shells, the hidden command that answers
// them, and the edit distance of mistyped verbs. The price is one trap: a flag needs two
// dashes, so that -json is refused, with --json as the suggestion.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Exit codes of Program.Run.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Program is a command line program.
type Program struct {
	Name     string
	Brief    string // one line
	Detail   string // more about the program, whole lines; may be empty
	Commands []*Command
	// CheckArguments may refuse arguments before anything repeats them. It may be nil.
	CheckArguments func(args []string) error
	// Advise says what to do about an error, in whole lines, or nothing. It may be nil.
	Advise func(err error) string
}

// Command is a verb, or a group of commands.
type Command struct {
	Name  string // the word that is typed
	Args  string // placeholders of its arguments; one that ends in "..." stands for any number
	Needs string // flags that must be given, as usage shows them
	Brief string // one line, without a capital letter and a full stop
	// Detail is more for its own help, Notes for the end of that and of all help below it.
	// Both are whole lines and may be empty.
	Detail, Notes string
	Files         bool // its arguments are names of files; shells complete them

	// Define adds the flags of a verb, and returns what to do once they are parsed.
	Define func(flags *flag.FlagSet) Action
	// Commands makes it a group; Define is nil then.
	Commands []*Command
	// MovedTo is the command line that replaces this command. It is not listed, and
	// answers with a usage error that names its successor.
	MovedTo string
}

// Action does what a verb is for.
type Action func(ctx context.Context, call *Call) error

// IO connects a program with its surroundings.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Lookup   func(name string) (value string, ok bool) // the environment, as os.LookupEnv
}

// Usage makes err a usage error.
func Usage(err error) error { return &usageError{error: err} }

// Usagef is fmt.Errorf for usage errors.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// usageError is the caller's mistake.
type usageError struct {
	error
	see string // the command whose help explains it, if not the one that was called
}

func (e *usageError) Unwrap() error { return e.error }

// ErrReported is a failure that the command has reported on its own.
var ErrReported = errors.New("reported already")

// Run runs the command that args name and returns the exit code. args are without the
// program's name. ctx reaches the command's action.
func (p Program) Run(ctx context.Context, args []string, std IO) int {
	path, err := p.execute(ctx, args, std)
	usage, isUsage := errors.AsType[*usageError](err)
	switch {
	case err == nil:
		return exitOK
	case isUsage:
		if usage.see != "" {
			path = usage.see
		}
		_, _ = fmt.Fprintf(std.Err, "%s: %v\nSee %s --help.\n", p.Name, err, path)
		return exitUsage
	case errors.Is(err, ErrReported):
		return exitFailed
	}
	advice := ""
	if p.Advise != nil {
		advice = p.Advise(err)
	}
	_, _ = fmt.Fprintf(std.Err, "%s: %v\n%s", p.Name, err, advice)
	return exitFailed
}

// execute runs the command and returns its path, as it is typed.
func (p Program) execute(ctx context.Context, args []string, std IO) (path string, err error) {
	if p.CheckArguments != nil {
		if err := p.CheckArguments(args); err != nil {
			return p.Name, Usage(err)
		}
	}
	if len(args) > 0 && args[0] == "--version" {
		args = append([]string{"version"}, args[1:]...)
	}
	t := newTree(ctx, p, args, std)
	called, err := t.root.ExecuteC()
	return called.CommandPath(), errors.Join(err, t.helpErr)
}
