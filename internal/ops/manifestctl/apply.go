package manifestctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/ops/manifest"
)

func applyVerb() *cli.Command {
	return verb(cli.Command{
		Name: "apply", Args: "FILE", Brief: "apply a manifest or a template to a device or a fleet, through the hub",
		Detail: `One of:

  --device ID       to one IoT Edge device, at once. Modules that are not in the manifest
                    are removed. Do not use it on devices that automatic deployments target.
                    The hub keeps no earlier content: to go back, apply the earlier manifest.
  --deployment ID   as an automatic deployment: within minutes the hub applies it to all
                    IoT Edge devices that meet --target-condition, and later to new ones; a
                    layer needs --layered. An id is in lower case.

A template is expanded first. The manifest is checked as by validate, and after an error
the hub is not asked. Nothing is written if the hub has it already. The content of an
existing deployment cannot be changed: make one with another id and a higher priority, and
remove the old one. Its other settings can be changed: the flags replace what the hub has.

A deployment is compared with the file and with the hub's other deployments. A conflict is
an error, and nothing is written without --force: a flag that contradicts the file's id,
priority or condition; a condition that no device meets; a priority that another deployment
of the same devices has; a local port that another deployment of the same devices gives to
another camera.
`,
		Notes: hubaccess.Help + "\n",
	}, defineApply)
}

// target says where a manifest goes.
type target struct {
	device     string
	deployment string
	layered    bool
	priority   int
	condition  string
	labels     pairs
	metrics    pairs
	dryRun     bool
	force      bool

	given func(flagName string) bool // whether the flag was on the command line
}

// pairs is the value of a flag NAME=VALUE that may be repeated.
type pairs map[string]string

func (p pairs) String() string { return "" }

// Set adds a pair.
func (p pairs) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return errors.New("want NAME=VALUE")
	}
	if _, twice := p[name]; twice {
		return fmt.Errorf("%.50q is given twice", name)
	}
	p[name] = value
	return nil
}

func defineApply(j *job, flags *flag.FlagSet) action {
	t := target{labels: pairs{}, metrics: pairs{}}
	j.templateFlags(flags)
	j.checkFlags(flags)
	j.access.Flags(flags)
	flags.BoolVar(&j.json, "json", false, "write what was done as JSON, for programs")
	flags.StringVar(&t.device, "device", "", "`ID` of the one device")
	flags.StringVar(&t.deployment, "deployment", "", "`ID` of the automatic deployment")
	flags.BoolVar(&t.layered, "layered", false, "FILE is a layer on top of full deployments of lower priority")
	flags.IntVar(&t.priority, "priority", 0, "`N`, 0 or more; the highest deployment that targets a device wins (the one in the file, if az wrote it)")
	flags.StringVar(&t.condition, "target-condition", "", "`CONDITION` that devices meet, as tags.site='a'; * is all, '' is none (the one in the file, if az wrote it)")
	flags.Var(t.labels, "label", "`NAME=VALUE` for people; may be repeated")
	flags.Var(t.metrics, "metric", "`NAME=QUERY` whose rows the hub counts; may be repeated")
	flags.BoolVar(&t.dryRun, "dry-run", false, "write what would change, and change nothing")
	flags.BoolVar(&t.force, "force", false, "write a deployment in spite of conflicts")
	return func(ctx context.Context, files []string) error {
		t.given = j.Given
		if err := t.check(); err != nil {
			return err
		}
		return j.apply(ctx, files[0], &t)
	}
}

// fleetFlags have no meaning for one device.
var fleetFlags = []string{"layered", "priority", "target-condition", "label", "metric", "force"}

func (t *target) check() error {
	switch {
	case (t.device == "") == (t.deployment == ""):
		return cli.Usagef("where to? Give one of --device and --deployment")
	case t.priority < 0:
		return cli.Usagef("--priority must be 0 or more")
	}
	for _, name := range fleetFlags {
		if t.device != "" && t.given(name) {
			return cli.Usagef("--%s is for --deployment, not for one device", name)
		}
	}
	return nil
}

// apply checks the file before the first request to the hub.
func (j *job) apply(ctx context.Context, file string, t *target) error {
	m, problems := manifest.Load(j.source(file))
	if m != nil {
		problems = append(problems, j.check(m)...)
	}
	if err := j.report(problems); err != nil {
		return err
	}
	if err := t.complete(m); err != nil {
		return err
	}
	client, err := j.access.Open(j.Getenv)
	if err != nil {
		return cli.Usage(err)
	}
	defer client.Close()
	var done outcome
	if t.device != "" {
		done, err = j.toDevice(ctx, client, m, t)
	} else {
		done, err = j.toFleet(ctx, client, m, t)
	}
	if err != nil {
		return err
	}
	done.Hub, done.DryRun = client.Host(), t.dryRun
	if j.json {
		return j.PrintJSON(done)
	}
	return j.Print(done.text())
}

// complete checks that the manifest fits the target, and takes the priority and the
// condition from the manifest if no flag gives them.
func (t *target) complete(m *manifest.Manifest) error {
	header := m.Header()
	switch {
	case t.device != "" && m.Layered():
		return fmt.Errorf("%s is a layer, which cannot be the whole deployment of a device; merge it into its base by tunnelctl manifest merge, or make it a deployment by --deployment ID --layered", m.File())
	case t.device != "":
		return nil
	case m.Layered() && !t.layered:
		return fmt.Errorf("%s is a layer, which needs a full deployment of lower priority on each device; give --layered if you mean that", m.File())
	case !m.Layered() && t.layered:
		return fmt.Errorf("%s is a full deployment; leave out --layered, or split properties.desired of $edgeAgent into parts", m.File())
	}
	if !t.given("priority") {
		if header.Priority == nil {
			return cli.Usagef("--priority is missing")
		}
		t.priority = *header.Priority
	}
	if !t.given("target-condition") {
		if header.TargetCondition == "" {
			return cli.Usagef("--target-condition is missing; '' targets no device, for a deployment that is not needed yet")
		}
		t.condition = header.TargetCondition
	}
	return nil
}

// outcome is what apply did or, in a dry run, would do.
type outcome struct {
	Hub        string `json:"hub"`
	Device     string `json:"device,omitempty"`
	Deployment string `json:"deployment,omitempty"`
	// Action is created, changed, applied or unchanged.
	Action string `json:"action"`
	DryRun bool   `json:"dryRun"`
	// Changes has no values, since they may be secrets.
	Changes []change `json:"changes"`
	// Targeted is how many devices meet the deployment's condition now.
	Targeted *int `json:"targeted,omitempty"`
	// Conflicts were overridden by --force, or did not matter, since nothing was written.
	Conflicts []string `json:"conflicts,omitempty"`

	watch string // how to watch the device or fleet get it
}

// change is one difference between the hub and the manifest.
type change struct {
	Place  string `json:"place"`
	Change string `json:"change"` // added, changed or removed
}

const (
	actionApplied   = "applied"
	actionChanged   = "changed"
	actionCreated   = "created"
	actionUnchanged = "unchanged"
)

func (o outcome) text() string {
	var b strings.Builder
	what := "device " + o.Device
	if o.Deployment != "" {
		what = "deployment " + o.Deployment
	}
	would := ""
	if o.DryRun {
		would = "would be "
	}
	switch o.Action {
	case actionUnchanged:
		fmt.Fprintf(&b, "%s at %s is up to date; nothing was written\n", what, o.Hub)
	case actionApplied:
		fmt.Fprintf(&b, "%sapplied to %s at %s\n", would, what, o.Hub)
	default:
		fmt.Fprintf(&b, "%s %s%s at %s\n", what, would, o.Action, o.Hub)
	}
	rows := make([][]string, 0, len(o.Changes))
	for _, c := range o.Changes {
		rows = append(rows, []string{"  " + c.Change, c.Place})
	}
	b.WriteString(cli.Table(rows))
	if o.Targeted != nil {
		fmt.Fprintf(&b, "devices that meet its condition now: %d\n", *o.Targeted)
	}
	if !o.DryRun {
		b.WriteString(o.watch)
	}
	return b.String()
}
