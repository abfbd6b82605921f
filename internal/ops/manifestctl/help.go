package manifestctl

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Usage is the help on all verbs.
func Usage() string {
	return "Usage: " + group + " COMMAND [flags]\n\n" + table(func(w io.Writer) {
		for _, v := range verbs {
			_, _ = fmt.Fprintf(w, "  %s %s\t%s\n", v.name, v.args, v.brief)
		}
	}) + `
A manifest is a full or layered deployment of IoT Edge, for any modules, or a deployment
as az iot edge deployment show prints it; a template is what iotedgedev and VS Code
expand. Results go to standard output, messages to standard error. Exit codes: 0 done;
1 a file, or what is in it, will not do, and there is no result, or the hub failed; 2
the command will not do as it stands.

` + group + ` COMMAND --help says more.
`
}

// help is the whole help on a verb.
func (v verb) help(flags *flag.FlagSet) string {
	text := fmt.Sprintf("Usage: %s %s %s [flags]\n\n%s.\n\n%s\nFlags, which may stand before or after the files:\n",
		group, v.name, v.args, strings.ToUpper(v.brief[:1])+v.brief[1:], v.detail)
	return text + table(func(w io.Writer) {
		flags.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			_, _ = fmt.Fprintf(w, "  %s\t%s\n", strings.TrimSpace("--"+f.Name+" "+value), usage)
		})
	})
}

func table(write func(io.Writer)) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	write(w)
	_ = w.Flush() // a strings.Builder takes everything
	return text.String()
}
