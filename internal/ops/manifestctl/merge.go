package manifestctl

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/ops/manifest"
)

func mergeVerb() *cli.Command {
	return verb(cli.Command{
		Name: "merge", Args: "BASE LAYER...", Brief: "merge layers into a base, as IoT Hub does for a device",
		Detail: `BASE is a full deployment, and each LAYER a layered one that targets the same device; all
are manifests or templates. A layer's priority follows its name, as in site.json@20, or
stands in the file if az iot edge deployment show wrote it. Without priorities, the last
argument wins. A route for a module that no file defines is an error. The result is the
whole deployment that the device gets, as a manifest, or one of:

  --modules      the modules, and the file that each comes from
  --twin NAME    the desired properties of module NAME
  --explain      every value with the file that it comes from, and the files whose value it
                 overrides; with --twin NAME, of that module alone
`,
	}, defineMerge)
}

// shown selects what merge writes.
type shown struct {
	modules bool
	twin    string
	explain bool
}

func defineMerge(j *job, flags *flag.FlagSet) action {
	var show shown
	j.templateFlags(flags)
	j.outputFlag(flags)
	j.checkFlags(flags)
	flags.BoolVar(&j.json, "json", false, "write --modules and --explain as JSON, for programs")
	flags.BoolVar(&show.modules, "modules", false, "write the device's modules")
	flags.StringVar(&show.twin, "twin", "", "write the desired properties of module `NAME`")
	flags.BoolVar(&show.explain, "explain", false, "write the file that each value comes from")
	return func(_ context.Context, files []string) error {
		if show.modules && (show.explain || show.twin != "") {
			return cli.Usagef("--modules stands alone: it excludes --twin and --explain")
		}
		merged, err := j.merge(files)
		if err != nil {
			return err
		}
		return j.show(merged, show)
	}
}

// merge reads all files and merges them. It reports the errors of each file, and all
// problems of the result.
func (j *job) merge(files []string) (*manifest.Merged, error) {
	var deployments []manifest.Deployment
	var errs manifest.Problems
	for _, file := range files {
		d, err := parseLayer(file)
		if err != nil {
			return nil, err
		}
		m, problems := manifest.Load(j.source(d.file))
		if m != nil {
			problems = append(problems, j.check(m)...)
		}
		errs = append(errs, problems.Errors()...)
		deployments = append(deployments, manifest.Deployment{Manifest: m, Priority: d.priority})
	}
	if err := j.report(errs); err != nil {
		return nil, err
	}
	merged, problems := manifest.Merge(deployments[0], deployments[1:]...)
	if merged != nil {
		problems = append(problems, j.checkComplete(merged.Manifest)...)
	}
	return merged, j.report(problems)
}

// layerArg is an argument: a file and its priority, nil if it has none.
type layerArg struct {
	file     string
	priority *int
}

var prioritySuffix = regexp.MustCompile(`^(.+)@([0-9]+)$`)

func parseLayer(arg string) (layerArg, error) {
	parts := prioritySuffix.FindStringSubmatch(arg)
	if parts == nil {
		return layerArg{file: arg}, nil
	}
	n, err := strconv.ParseInt(parts[2], 10, 32)
	if err != nil {
		return layerArg{}, cli.Usagef("the priority of %.100q is too large", arg)
	}
	priority := int(n)
	return layerArg{parts[1], &priority}, nil
}

func (j *job) show(merged *manifest.Merged, show shown) error {
	if show.twin != "" && merged.Manifest.Twin(show.twin) == nil {
		return fmt.Errorf("no module %.100q has desired properties in this deployment; its modules are listed by --modules", show.twin)
	}
	switch {
	case show.explain && j.json:
		return j.resultJSON(merged.Explain(show.twin))
	case show.explain:
		return j.result([]byte(explained(merged.Explain(show.twin))))
	case show.modules && j.json:
		return j.resultJSON(merged.Modules())
	case show.modules:
		return j.result([]byte(listed(merged.Modules())))
	case show.twin != "":
		return j.result(merged.Manifest.Desired(show.twin))
	}
	return j.result(merged.Manifest.JSON())
}

func listed(modules []manifest.Module) string {
	rows := [][]string{{"MODULE", "IMAGE", "STATUS", "RESTART", "FROM"}}
	for _, m := range modules {
		rows = append(rows, []string{m.Name, m.Image, cmp.Or(m.Status, "-"), cmp.Or(m.RestartPolicy, "-"), origin(m.From, m.Over)})
	}
	return cli.Table(rows)
}

// explained returns a line for each value.
func explained(leaves []manifest.Leaf) string {
	rows := make([][]string, 0, len(leaves))
	for _, l := range leaves {
		rows = append(rows, []string{l.Module + "/" + l.Path, string(l.Value), origin(l.From, l.Over)})
	}
	return cli.Table(rows)
}

func origin(from string, over []string) string {
	if len(over) > 0 {
		from += ", over " + strings.Join(over, ", ")
	}
	return from
}
