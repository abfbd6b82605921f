package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tree has the commands of one run of a program, in cobra's form.
type tree struct {
	name     string // of the program
	std      IO
	args     []string
	root     *cobra.Command
	declared map[*cobra.Command]*Command
	flags    map[*cobra.Command]*flag.FlagSet // of verbs
	helpErr  error                            // of writing help; cobra's function returns none
}

func newTree(ctx context.Context, p Program, args []string, std IO) *tree {
	t := &tree{name: p.Name, std: std, args: args, declared: map[*cobra.Command]*Command{}, flags: map[*cobra.Command]*flag.FlagSet{}}
	top := &Command{Name: p.Name, Brief: p.Brief, Detail: p.Detail, Commands: slices.Concat(p.Commands,
		[]*Command{t.completionCommand(), versionCommand(p.Name)})}
	t.root = t.add(ctx, top)
	t.root.SilenceErrors, t.root.SilenceUsage = true, true // Run prints both
	t.root.CompletionOptions.DisableDefaultCmd = true      // ours has our layout
	t.root.SetHelpCommand(&cobra.Command{
		Use: "help", Short: "write help on a command", DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return t.helpOn(t.root, args) },
	})
	t.root.SetHelpFunc(func(c *cobra.Command, _ []string) { t.helpErr = t.print(t.help(c)) })
	t.root.SetFlagErrorFunc(t.flagError)
	t.root.SetIn(std.In)
	t.root.SetOut(std.Out)
	t.root.SetErr(std.Err)
	t.root.SetArgs(append([]string{}, args...)) // not nil, which means os.Args
	return t
}

// add makes cobra's command for c, and those below it.
func (t *tree) add(ctx context.Context, c *Command) *cobra.Command {
	made := &cobra.Command{Use: c.Name, Short: c.Brief, Hidden: c.MovedTo != "", SuggestionsMinimumDistance: 2}
	t.declared[made] = c
	switch {
	case c.MovedTo != "":
		made.DisableFlagParsing = true
		made.RunE = func(*cobra.Command, []string) error { return c.moved() }
	case c.Define == nil:
		// Flag parsing is off, since an unknown verb must be reported before its flags.
		made.DisableFlagParsing = true
		made.Args = cobra.ArbitraryArgs
		made.RunE = t.runGroup
		for _, below := range c.Commands {
			made.AddCommand(t.add(ctx, below))
		}
	default:
		t.addVerb(ctx, made, c)
	}
	return made
}

// addVerb gives a verb its flags and its action.
func (t *tree) addVerb(ctx context.Context, made *cobra.Command, c *Command) {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Run prints errors and help
	act := c.Define(flags)
	made.Flags().AddGoFlagSet(flags)
	made.Flags().VisitAll(func(f *pflag.Flag) { _, f.Usage = flag.UnquoteUsage(flags.Lookup(f.Name)) })
	t.flags[made] = flags
	made.Args = func(_ *cobra.Command, args []string) error { return c.count(args) }
	made.RunE = func(called *cobra.Command, args []string) error {
		return act(ctx, &Call{IO: t.std, Args: args, flags: called.Flags()})
	}
	if !c.Files {
		made.ValidArgsFunction = cobra.NoFileCompletions
	}
}

func (c *Command) moved() error {
	return &usageError{error: fmt.Errorf("%q has moved to %q", c.Name, c.MovedTo), see: c.MovedTo}
}

// count checks the number of arguments.
func (c *Command) count(args []string) error {
	want := strings.Fields(c.Args)
	most := len(want)
	if most > 0 && strings.HasSuffix(want[most-1], "...") {
		want = want[:most-1]
		most = max(len(args), len(want))
	}
	switch {
	case len(args) < len(want):
		return Usagef("%s is missing", want[len(args)])
	case len(args) > most:
		return Usagef("unexpected argument %.50q (one with blanks in it needs quotes)", args[most])
	}
	return nil
}

// runGroup answers a command line that ends at a group: with help, or with what is
// missing or unknown.
func (t *tree) runGroup(group *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 && !group.HasParent():
		return Usagef("no command given")
	case len(args) == 0:
		return Usagef("%s needs a command", group.Name())
	case isHelp(args[0]):
		return pflag.ErrHelp
	case args[0] == "help":
		return t.helpOn(group, args[1:])
	case strings.HasPrefix(args[0], "-"):
		return Usagef("unknown flag %.50s (flags come after the command)", args[0])
	}
	return Usagef("unknown command %.50q%s", args[0], didYouMean(suggestions(group, args[0])))
}

// helpOn writes help on a command that is below a group.
func (t *tree) helpOn(group *cobra.Command, words []string) error {
	found, rest, err := group.Find(words)
	if err != nil {
		return Usage(err)
	}
	d, ours := t.declared[found]
	switch {
	case !ours: // help on help
		found = t.root
	case d.MovedTo != "":
		return d.moved()
	case d.Define == nil && len(rest) > 0 && !isHelp(rest[0]):
		return t.runGroup(found, rest)
	}
	return t.print(t.help(found))
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// suggestions are the commands of a group that a mistyped word may mean or, if there is
// none, the commands further below that have this name.
func suggestions(group *cobra.Command, word string) []string {
	if near := group.SuggestionsFor(word); len(near) > 0 {
		return near
	}
	var found []string
	var search func(c *cobra.Command, path string)
	search = func(c *cobra.Command, path string) {
		for _, below := range c.Commands() {
			name := path + below.Name()
			if below.Name() == word && below.IsAvailableCommand() {
				found = append(found, name)
			}
			search(below, name+" ")
		}
	}
	search(group, "")
	return found
}

func didYouMean(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return `, did you mean "` + strings.Join(words, `" or "`) + `"?`
}

// flagError explains flags with one dash, which cobra reads as several flags of one
// letter.
func (t *tree) flagError(c *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok || unknown.GetSpecifiedShortnames() == "" {
		return Usage(err)
	}
	// -hostname is -h and the unknown -ostname for cobra.
	i := slices.IndexFunc(t.args, func(arg string) bool {
		return strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "--") && strings.HasSuffix(arg, unknown.GetSpecifiedShortnames())
	})
	if i < 0 {
		return Usage(err)
	}
	name, _, _ := strings.Cut(t.args[i][1:], "=")
	switch {
	case name == "help":
		return pflag.ErrHelp
	case c.Flags().Lookup(name) != nil:
		return Usagef("unknown flag -%.50s, did you mean --%.50s?", name, name)
	}
	return Usagef("unknown flag -%.50s (an argument that begins with - goes after --)", name)
}
