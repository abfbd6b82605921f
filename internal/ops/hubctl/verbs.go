package hubctl

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"rtsptunnel/internal/hub/hubaccess"
)

// verb is one thing the command does.
type verb struct {
	name   string // as it is typed: "device add"
	args   string // as usage has them, one word each; all are required
	brief  string // one line
	detail string // more for its own help; may be empty
	// define adds the verb's flags, and returns what to do once they are parsed.
	define func(s *session, flags *flag.FlagSet) action
}

// action does what a verb is for. The arguments are in the session, as many as the
// verb wants.
type action func(context.Context) error

var verbs = []verb{
	deviceAdd, deviceList, deviceShow, deviceRemove,
	moduleAdd, moduleList, moduleShow, moduleRemove,
	deploymentList, deploymentShow, deploymentRemove,
	twinGet, twinSet, methodCall, queryRun,
}

// find returns the verb that args begin with, and what comes after it.
func find(args []string) (v verb, rest []string, ok bool) {
	for _, v := range verbs {
		words := strings.Fields(v.name)
		if len(args) >= len(words) && slices.Equal(args[:len(words)], words) {
			return v, args[len(words):], true
		}
	}
	return verb{}, nil, false
}

// Usage lists the verbs, a line each, and says where they get their connection.
func Usage() string { return list(verbs) + "\n" + environment }

const environment = hubaccess.Help + ` Exit codes: 0 done; 1 the hub, or the way to
it, failed; 2 the command will not do as it stands, and nothing was asked of the hub.
`

// groupHelp is the help on all verbs that begin with a word; not ok if none does.
func groupHelp(group string) (help string, ok bool) {
	var members []verb
	for _, v := range verbs {
		if strings.HasPrefix(v.name, group+" ") {
			members = append(members, v)
		}
	}
	usage := "Usage: hubemulator " + group + " COMMAND [flags]\n\n"
	return usage + list(members) + "\nhubemulator " + group + " COMMAND --help says more.\n", len(members) > 0
}

func list(verbs []verb) string {
	return table(func(w io.Writer) {
		for _, v := range verbs {
			_, _ = fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace(v.name+" "+v.args), v.brief)
		}
	})
}

// help is the whole help on the verb.
func (v verb) help(flags *flag.FlagSet) string {
	text := "Usage: hubemulator " + v.name + " "
	if v.args != "" {
		text += v.args + " "
	}
	text += "[flags]\n\n" + strings.ToUpper(v.brief[:1]) + v.brief[1:] + ".\n"
	if v.detail != "" {
		text += "\n" + v.detail
	}
	text += "\nFlags, which may stand before or after the arguments:\n" + table(func(w io.Writer) {
		flags.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			_, _ = fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace("--"+f.Name+" "+value), usage)
		})
	})
	return text + "\n" + environment
}

// table lines up what write writes, cells ended by tabs.
func table(write func(io.Writer)) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	write(w)
	_ = w.Flush() // a strings.Builder takes everything
	return text.String()
}

// count checks that there are as many arguments as the verb wants.
func (v verb) count(args []string) error {
	want := strings.Fields(v.args)
	switch {
	case len(args) < len(want):
		return usagef("%s is missing", want[len(args)])
	case len(args) > len(want):
		return usagef("unexpected argument %q (one with blanks in it needs quotes)", args[len(want)])
	}
	return nil
}

// parse reads flags that may stand before, between and after the arguments, which it
// returns. Everything after "--" is an argument. The standard library stops at the
// first argument; this goes on behind it.
func parse(flags *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		left := flags.Args()
		read := len(args) - len(left)
		if len(left) == 0 || read > 0 && args[read-1] == "--" {
			return append(rest, left...), nil
		}
		rest = append(rest, left[0])
		args = left[1:]
	}
}
