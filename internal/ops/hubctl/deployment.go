package hubctl

import (
	"context"
	"flag"
	"maps"
	"slices"
	"strconv"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubclient"
)

func deploymentVerbs() []*cli.Command {
	return []*cli.Command{
		verb(cli.Command{Name: "list", Brief: "list automatic deployments, and how many devices they reach"},
			func(j *job, _ *flag.FlagSet) action { return j.listDeployments }),
		verb(cli.Command{
			Name: "show", Args: "ID", Brief: "show an automatic deployment, and how many devices it reaches",
			Detail: "Its content is not shown: it may hold a registry's password.\n",
		}, func(j *job, _ *flag.FlagSet) action { return j.showDeployment }),
		verb(cli.Command{Name: "rm", Args: "ID", Brief: "remove an automatic deployment", Detail: `Its devices get the content of the other deployments that target them. A device that no
deployment targets any more keeps its modules.
`}, func(j *job, _ *flag.FlagSet) action { return j.removeDeployment }),
	}
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

func (j *job) listDeployments(ctx context.Context) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	list, err := hub.Configurations(ctx)
	if err != nil {
		return err
	}
	if j.json {
		shown := make([]shownDeployment, 0, len(list)) // [], not null, if empty
		for _, c := range list {
			shown = append(shown, newShown(c))
		}
		return j.PrintJSON(shown)
	}
	rows := [][]string{{"DEPLOYMENT", "PRIORITY", "TARGETED", "APPLIED", "TARGET CONDITION"}}
	for _, c := range list {
		results := c.SystemMetrics.Results
		rows = append(rows, []string{
			c.ID, strconv.Itoa(c.Priority), decimal(results["targetedCount"]), decimal(results["appliedCount"]), c.TargetCondition,
		})
	}
	return j.Print(cli.Table(rows))
}

func (j *job) showDeployment(ctx context.Context) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	c, err := hub.Configuration(ctx, j.Args[0])
	if err != nil {
		return err
	}
	if j.json {
		return j.PrintJSON(newShown(c))
	}
	rows := [][]string{
		{"deployment", c.ID},
		{"priority", strconv.Itoa(c.Priority)},
		{"condition", c.TargetCondition},
		{"created", c.Created},
		{"changed", c.Updated},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		rows = append(rows, []string{"label " + name, c.Labels[name]})
	}
	for _, metrics := range []hubclient.Metrics{c.SystemMetrics, c.Metrics} {
		for _, name := range slices.Sorted(maps.Keys(metrics.Results)) {
			rows = append(rows, []string{name, decimal(metrics.Results[name])})
		}
	}
	return j.Print(cli.Table(rows))
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

func (j *job) removeDeployment(ctx context.Context) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	if err := hub.DeleteConfiguration(ctx, j.Args[0], ""); err != nil {
		return err
	}
	if j.json {
		return nil
	}
	return j.Print("removed " + j.Args[0] + "\n")
}
