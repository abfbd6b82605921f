package manifestctl

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"rtsptunnel/internal/ops/manifest"
)

var mergeVerb = verb{
	name: "merge", args: "BASE LAYER...", least: 1, most: math.MaxInt, brief: "put layers onto a base, as IoT Hub does for a device",
	detail: `BASE is a full deployment, LAYER are layered ones that target the same device; each is a
manifest or a template. A layer's priority is written behind its name, as
site.json@20, or stands in the file if az iot edge deployment show wrote it; without
any, the order is that of the arguments, the last one on top. Written is the whole
deployment that the device gets, as a manifest, or one of:

  --modules      the modules, and which file each is from
  --twin NAME    the desired properties of module NAME
  --explain      every value with the file that it is from, and those it holds against;
                 with --twin NAME of that module alone
`,
	define: defineMerge,
}

// shown is what merge is to write.
type shown struct {
	modules bool
	twin    string
	explain bool
}

func defineMerge(s *session, flags *flag.FlagSet) action {
	var show shown
	s.templateFlags(flags)
	s.outputFlag(flags)
	s.judgeFlags(flags)
	flags.BoolVar(&s.json, "json", false, "write --modules and --explain as JSON, for programs")
	flags.BoolVar(&show.modules, "modules", false, "write the device's modules")
	flags.StringVar(&show.twin, "twin", "", "write the desired properties of module `NAME`")
	flags.BoolVar(&show.explain, "explain", false, "write which file each value is from")
	return func(_ context.Context, files []string) error {
		if show.modules && (show.explain || show.twin != "") {
			return usagef("--modules stands alone: it is not for --twin and --explain")
		}
		merged, err := s.merge(files)
		if err != nil {
			return err
		}
		return s.show(merged, show)
	}
}

// merge reads all files, and puts them together. It tells what is wrong with each, and
// with the result.
func (s *session) merge(files []string) (*manifest.Merged, error) {
	var deployments []manifest.Deployment
	var errs manifest.Problems
	for _, file := range files {
		d, err := withPriority(file)
		if err != nil {
			return nil, err
		}
		m, problems := manifest.Load(s.source(d.file))
		if m != nil {
			problems = append(problems, s.judge(m)...)
		}
		errs = append(errs, problems.Errors()...)
		deployments = append(deployments, manifest.Deployment{Manifest: m, Priority: d.priority})
	}
	if err := s.tell(errs); err != nil {
		return nil, err
	}
	merged, problems := manifest.Merge(deployments[0], deployments[1:]...)
	if merged != nil {
		problems = append(problems, s.judge(merged.Manifest)...)
	}
	return merged, s.tell(problems)
}

// named is an argument: a file and its priority, nil if it has none.
type named struct {
	file     string
	priority *int
}

var prioritySuffix = regexp.MustCompile(`^(.+)@([0-9]+)$`)

func withPriority(arg string) (named, error) {
	parts := prioritySuffix.FindStringSubmatch(arg)
	if parts == nil {
		return named{file: arg}, nil
	}
	n, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return named{}, usagef("the priority of %.100q is too large", arg)
	}
	priority := int(n)
	return named{parts[1], &priority}, nil
}

func (s *session) show(merged *manifest.Merged, show shown) error {
	if show.twin != "" && merged.Manifest.Twin(show.twin) == nil {
		return fmt.Errorf("no module %.100q has desired properties in this deployment; its modules are listed by --modules", show.twin)
	}
	switch {
	case show.explain && s.json:
		return s.printJSON(merged.Explain(show.twin))
	case show.explain:
		return s.result([]byte(explained(merged.Explain(show.twin))))
	case show.modules && s.json:
		return s.printJSON(merged.Modules())
	case show.modules:
		return s.result([]byte(listed(merged.Modules())))
	case show.twin != "":
		return s.result(merged.Manifest.Desired(show.twin))
	}
	return s.result(merged.Manifest.JSON())
}

func listed(modules []manifest.Module) string {
	return table(func(w io.Writer) {
		_, _ = fmt.Fprintln(w, "MODULE\tIMAGE\tSTATUS\tRESTART\tFROM")
		for _, m := range modules {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", m.Name, m.Image, dash(m.Status), dash(m.RestartPolicy), origin(m.From, m.Over))
		}
	})
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// explained has a line for each value.
func explained(leaves []manifest.Leaf) string {
	return table(func(w io.Writer) {
		for _, l := range leaves {
			_, _ = fmt.Fprintf(w, "%s/%s\t%s\t%s\n", l.Module, l.Path, l.Value, origin(l.From, l.Over))
		}
	})
}

func origin(from string, over []string) string {
	if len(over) > 0 {
		from += ", over " + strings.Join(over, ", ")
	}
	return from
}
