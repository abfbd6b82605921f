package hubctl

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/hub/hubclient"
)

var deploymentList = verb{
	name: "deployment list", brief: "list automatic deployments, and how many devices they reach",
	define: func(s *session, _ *flag.FlagSet) action { return s.listDeployments },
}

var deploymentShow = verb{
	name: "deployment show", args: "ID", brief: "show an automatic deployment, and how many devices it reaches",
	detail: `Its content is not shown: a registry's password may be in it.
`,
	define: func(s *session, _ *flag.FlagSet) action { return s.showDeployment },
}

var deploymentRemove = verb{
	name: "deployment rm", args: "ID", brief: "remove an automatic deployment",
	detail: `Devices take what the others that target them say; those that none targets any more
keep what they have.
`,
	define: func(s *session, _ *flag.FlagSet) action { return s.removeDeployment },
}

// shownDeployment is a deployment without its content, which may hold secrets.
type shownDeployment struct {
	ID              string             `json:"id"`
	Priority        int                `json:"priority"`
	TargetCondition string             `json:"targetCondition"`
	Labels          map[string]string  `json:"labels,omitempty"`
	Created         string             `json:"createdTimeUtc"`
	Updated         string             `json:"lastUpdatedTimeUtc"`
	ETag            string             `json:"etag"`
	SystemMetrics   hubclient.Metrics  `json:"systemMetrics"`
	Metrics         *hubclient.Metrics `json:"metrics,omitempty"`
}

func newShown(c hubclient.Configuration) shownDeployment {
	shown := shownDeployment{
		ID: c.ID, Priority: c.Priority, TargetCondition: c.TargetCondition, Labels: c.Labels,
		Created: c.Created, Updated: c.Updated, ETag: c.ETag, SystemMetrics: c.SystemMetrics,
	}
	if len(c.Metrics.Queries) > 0 {
		shown.Metrics = &c.Metrics
	}
	return shown
}

func (s *session) listDeployments(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	list, err := hub.Configurations(ctx)
	if err != nil {
		return err
	}
	if s.json {
		shown := make([]shownDeployment, 0, len(list)) // [] and not null if empty
		for _, c := range list {
			shown = append(shown, newShown(c))
		}
		return s.printJSON(shown)
	}
	return s.print(table(func(w io.Writer) {
		_, _ = fmt.Fprintln(w, "DEPLOYMENT\tPRIORITY\tTARGETED\tAPPLIED\tTARGET CONDITION")
		for _, c := range list {
			results := c.SystemMetrics.Results
			_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\n", c.ID, c.Priority, results["targetedCount"], results["appliedCount"], c.TargetCondition)
		}
	}))
}

func (s *session) showDeployment(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	c, err := hub.Configuration(ctx, s.args[0])
	if err != nil {
		return err
	}
	if s.json {
		return s.printJSON(newShown(c))
	}
	lines := [][2]string{
		{"deployment", c.ID},
		{"priority", strconv.Itoa(c.Priority)},
		{"condition", c.TargetCondition},
		{"created", c.Created},
		{"changed", c.Updated},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		lines = append(lines, [2]string{"label " + name, c.Labels[name]})
	}
	for _, metrics := range []hubclient.Metrics{c.SystemMetrics, c.Metrics} {
		for _, name := range slices.Sorted(maps.Keys(metrics.Results)) {
			lines = append(lines, [2]string{name, strconv.FormatInt(metrics.Results[name], 10)})
		}
	}
	return s.print(table(func(w io.Writer) {
		for _, line := range lines {
			_, _ = fmt.Fprintln(w, strings.Join(line[:], "\t"))
		}
	}))
}

func (s *session) removeDeployment(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	if err := hub.DeleteConfiguration(ctx, s.args[0], ""); err != nil {
		return err
	}
	if s.json {
		return nil
	}
	return s.print("removed " + s.args[0] + "\n")
}
