package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"rtsptunnel/internal/base/cli"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kitchen is a program with a verb of each kind.
func kitchen(act cli.Action) cli.Program {
	verb := func(name, args string) *cli.Command {
		return &cli.Command{Name: name, Args: args, Brief: name + " something", Define: func(flags *flag.FlagSet) cli.Action {
			flags.String("heat", "", "`DEGREES` to reach, between the one that is enough for a tea and the one that melts the pot itself")
			flags.Bool("json", false, "write JSON, for programs")
			return act
		}}
	}
	return cli.Program{
		Name: "kitchen", Brief: "make dinner",
		Commands: []*cli.Command{
			{
				Name: "oven", Brief: "use the oven", Notes: "The oven is hot.\n",
				Commands: []*cli.Command{verb("bake", "DISH SAUCE..."), {
					Name: "door", Brief: "move the door", Commands: []*cli.Command{verb("open", ""), verb("close", "")},
				}},
			},
			verb("serve", "DISH"),
			{Name: "fry", MovedTo: "stove fry"},
		},
		CheckArguments: func(args []string) error {
			if strings.Contains(strings.Join(args, " "), "poison") {
				return errors.New("no poison")
			}
			return nil
		},
		Advise: func(err error) string { return "Advice on: " + err.Error() + "\n" },
	}
}

// result is what one run came to.
type result struct {
	Code           int
	Stdout, Stderr string
}

func run(t *testing.T, act cli.Action, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	lookup := func(string) (string, bool) { return "", false }
	code := kitchen(act).Run(t.Context(), args, cli.IO{In: strings.NewReader("in"), Out: &out, Err: &errs, Lookup: lookup})
	return result{code, out.String(), errs.String()}
}

// never fails the test when a command runs that must not.
func never(t *testing.T) cli.Action {
	t.Helper()
	return func(_ context.Context, call *cli.Call) error {
		t.Errorf("ran with %q", call.Args)
		return nil
	}
}

func TestHelp(t *testing.T) {
	for args, want := range map[string]string{
		"--help": `Usage: kitchen COMMAND [flags]

Make dinner.

Commands:
  oven         use the oven
  serve DISH   serve something
  completion   write a shell's completion script
  version      write version, commit and platform

Exit codes: 0 done; 1 failed; 2 usage error: nothing was done.

kitchen COMMAND --help says more.
`,
		"oven -h": `Usage: kitchen oven COMMAND [flags]

Use the oven.

Commands:
  bake DISH SAUCE...   bake something
  door open            open something
  door close           close something

The oven is hot.

Exit codes: 0 done; 1 failed; 2 usage error: nothing was done.

kitchen oven COMMAND --help says more.
`,
		"oven bake x -help": `Usage: kitchen oven bake DISH SAUCE... [flags]

Bake something.

Flags, before or after the arguments:
  --heat DEGREES   DEGREES to reach, between the one that is enough for a tea and the one that melts
                   the pot itself
  --json           write JSON, for programs

The oven is hot.

Exit codes: 0 done; 1 failed; 2 usage error: nothing was done.
`,
	} {
		if d := cmp.Diff(result{0, want, ""}, run(t, never(t), strings.Fields(args)...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", args, d)
		}
	}
	for _, same := range [][2]string{
		{"help", "--help"}, {"help oven", "oven --help"}, {"help oven door", "oven door -h"}, {"oven help bake", "oven bake -h"}, {"help help", "-h"},
	} {
		got, want := run(t, never(t), strings.Fields(same[0])...), run(t, never(t), strings.Fields(same[1])...)
		if d := cmp.Diff(want, got); d != "" || got.Code != 0 {
			t.Errorf("%s is not %s:\n%s", same[0], same[1], d)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "no command given\nSee kitchen --help."},
		{"dance", "unknown command \"dance\"\nSee kitchen --help."},
		{"ovne bake", "unknown command \"ovne\", did you mean \"oven\"?\nSee kitchen --help."},
		{"door --help", "unknown command \"door\", did you mean \"oven door\"?\nSee kitchen --help."},
		{"help ovne", "unknown command \"ovne\", did you mean \"oven\"?\nSee kitchen help --help."},
		{"help oven bak", "unknown command \"bak\", did you mean \"bake\"?\nSee kitchen help --help."},
		{"oven", "oven needs a command\nSee kitchen oven --help."},
		{"oven bak --heat 1", "unknown command \"bak\", did you mean \"bake\"?\nSee kitchen oven --help."},
		{"oven --json bake", "unknown flag --json (flags come after the command)\nSee kitchen oven --help."},
		{"oven bake", "DISH is missing\nSee kitchen oven bake --help."},
		{"serve a b", "unexpected argument \"b\" (one with blanks in it needs quotes)\nSee kitchen serve --help."},
		{"oven door open x", "unexpected argument \"x\" (one with blanks in it needs quotes)\nSee kitchen oven door open --help."},
		{"serve a --nope", "unknown flag: --nope\nSee kitchen serve --help."},
		{"serve a -json", "unknown flag -json, did you mean --json?\nSee kitchen serve --help."},
		{"serve a -heat=3", "unknown flag -heat, did you mean --heat?\nSee kitchen serve --help."},
		{"serve -dish", "unknown flag -dish (an argument that begins with - goes after --)\nSee kitchen serve --help."},
		{"serve a --heat", "flag needs an argument: --heat\nSee kitchen serve --help."},
		{"fry eggs --json", "\"fry\" has moved to \"stove fry\"\nSee stove fry --help."},
		{"help fry", "\"fry\" has moved to \"stove fry\"\nSee stove fry --help."},
		{"serve poison", "no poison\nSee kitchen --help."},
	} {
		if d := cmp.Diff(result{2, "", "kitchen: " + c.want + "\n"}, run(t, never(t), strings.Fields(c.args)...)); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, d)
		}
	}
}

// Flags stand before, between and after the arguments; after -- there are none.
func TestCall(t *testing.T) {
	for _, c := range []struct {
		args  string
		given bool
		want  string
	}{
		{"oven bake pie", false, "pie"},
		{"oven bake --heat -3 pie cream", true, "pie cream"},
		{"oven bake pie --heat=3 cream --json", true, "pie cream"},
		{"oven bake pie -- --heat -x", false, "pie --heat -x"},
	} {
		got := run(t, func(_ context.Context, call *cli.Call) error {
			if call.Given("heat") != c.given {
				t.Errorf("%s: --heat is given: %v", c.args, call.Given("heat"))
			}
			in, err := io.ReadAll(call.In)
			return errors.Join(err, call.Print(strings.Join(call.Args, " ")+string(in)+call.Getenv("NONE")))
		}, strings.Fields(c.args)...)
		if d := cmp.Diff(result{0, c.want + "in", ""}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.args, d)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want result
	}{
		{errors.New("burnt"), result{1, "", "kitchen: burnt\nAdvice on: burnt\n"}},
		{cli.ErrReported, result{1, "", ""}},
		{cli.Usagef("too %s", "hot"), result{2, "", "kitchen: too hot\nSee kitchen serve --help.\n"}},
		{cli.Usage(io.EOF), result{2, "", "kitchen: EOF\nSee kitchen serve --help.\n"}},
	} {
		if d := cmp.Diff(c.want, run(t, func(context.Context, *cli.Call) error { return c.err }, "serve", "pie")); d != "" {
			t.Errorf("%v (-want +got):\n%s", c.err, d)
		}
	}
	if !errors.Is(cli.Usage(io.EOF), io.EOF) {
		t.Error("a usage error hides its cause")
	}
}

// A reader that is gone, or a full disk, is an error.
func TestOutput_fails(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help", "oven"}, {"serve", "--help"}, {"version"}, {"version", "--json"}, {"completion", "bash"}} {
		var errs bytes.Buffer
		code := kitchen(never(t)).Run(t.Context(), args, cli.IO{Out: full{}, Err: &errs})
		if code != 1 || !strings.HasPrefix(errs.String(), "kitchen: write to standard output: disk full\n") {
			t.Errorf("%v: exit code %d, stderr %s", args, code, &errs)
		}
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestVersion(t *testing.T) {
	got := run(t, never(t), "version")
	if got.Code != 0 || !strings.HasPrefix(got.Stdout, "kitchen dev, commit ") || strings.Count(got.Stdout, "\n") != 1 {
		t.Errorf("got %+v", got)
	}
	if d := cmp.Diff(got, run(t, never(t), "--version")); d != "" {
		t.Errorf("--version: %s", d)
	}
	var info map[string]string
	if err := json.Unmarshal([]byte(run(t, never(t), "version", "--json").Stdout), &info); err != nil || info["version"] != "dev" || info["go"] == "" {
		t.Errorf("version --json: %v, %v", info, err)
	}
}

func TestCompletion(t *testing.T) {
	for shell, word := range map[string]string{
		"bash": "complete -o default -F __start_kitchen kitchen", "zsh": "#compdef kitchen",
		"fish": "complete -c kitchen", "powershell": "Register-ArgumentCompleter -CommandName 'kitchen'",
	} {
		got := run(t, never(t), "completion", shell)
		if got.Code != 0 || got.Stderr != "" || !strings.Contains(got.Stdout, word) {
			t.Errorf("%s: exit code %d, stderr %s", shell, got.Code, got.Stderr)
		}
		if help := run(t, never(t), "completion", shell, "--help"); !strings.Contains(help.Stdout, "kitchen completion "+shell) {
			t.Errorf("help on %s: %s", shell, help.Stdout)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"o"}, "oven\tuse the oven\n:4\n"},
		{[]string{"oven", ""}, "bake\tbake something\ndoor\tmove the door\n:4\n"},
		{[]string{"serve", "--he"}, "--heat\tDEGREES to reach, between the one that is enough for a tea and the one that melts the pot itself\n--help\thelp for serve\n:4\n"},
		{[]string{"serve", ""}, ":4\n"}, // no names of files
	} {
		if got := run(t, never(t), append([]string{"__complete"}, c.args...)...); got.Stdout != c.want {
			t.Errorf("%q: %q, want %q", c.args, got.Stdout, c.want)
		}
	}
}
