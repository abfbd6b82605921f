package manifestctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"rtsptunnel/internal/hub/hubclient"
	"rtsptunnel/internal/ops/manifest"
)

// toFleet creates or changes an automatic deployment.
func (j *job) toFleet(ctx context.Context, client *hubclient.Client, m *manifest.Manifest, t *target) (outcome, error) {
	done := outcome{Deployment: t.deployment, Action: actionCreated, Changes: []change{}, watch: watchFleet(t.deployment)}
	want := hubclient.Configuration{
		ID: t.deployment, Content: m.Content(), TargetCondition: t.condition, Priority: t.priority,
		Labels: t.labels, Metrics: hubclient.Metrics{Queries: t.metrics},
	}
	have, exists, err := configuration(ctx, client, t.deployment)
	if err != nil {
		return outcome{}, err
	}
	if exists {
		if err := t.compare(have, &want, &done); err != nil {
			return outcome{}, err
		}
	}
	if err := checkQueries(ctx, client, want); err != nil {
		return outcome{}, err
	}
	if err := j.findConflicts(ctx, client, m, t, want, &done); err != nil {
		return outcome{}, err
	}
	// Nothing is at stake if nothing is written.
	if err := j.confirm(done.Conflicts, t.force || done.Action == actionUnchanged); err != nil {
		return outcome{}, err
	}
	if done.Action == actionUnchanged || t.dryRun {
		return done, nil
	}
	return done, write(ctx, client, want, exists)
}

// configuration returns a deployment. ok is false if there is none.
func configuration(ctx context.Context, client *hubclient.Client, id string) (c hubclient.Configuration, ok bool, err error) {
	c, err = client.Configuration(ctx, id)
	if e, refused := errors.AsType[*hubclient.Error](err); refused && e.Status == http.StatusNotFound {
		return c, false, nil
	}
	return c, err == nil, err
}

// compare completes want and done with what the hub has.
func (t *target) compare(have hubclient.Configuration, want *hubclient.Configuration, done *outcome) error {
	if !sameJSON(have.Content, want.Content) {
		return fmt.Errorf("deployment %s exists with another content, and the content of a deployment cannot be changed; choose another id, and take the old deployment back by tunnelctl manifest remove once the new one is in force", t.deployment)
	}
	want.Content, want.ETag, want.Created = have.Content, have.ETag, have.Created // as the hub wrote them: it may have 1 for 1.0
	done.Action = actionChanged
	if done.Changes = t.changes(have, want); len(done.Changes) == 0 {
		done.Action = actionUnchanged
	}
	return nil
}

// findConflicts completes done with the number of devices, and with what contradicts the
// file or the other deployments of the hub.
func (j *job) findConflicts(ctx context.Context, client *hubclient.Client, m *manifest.Manifest, t *target, want hubclient.Configuration, done *outcome) error {
	f, err := newFleet(ctx, client, want.TargetCondition)
	if err != nil {
		return err
	}
	content, problems := manifest.Parse(m.File(), want.Content) // without the file's header
	if err := problems.Err(); err != nil {
		return err
	}
	c := comparison{fleet: f, want: deployed{want, content}, tunnels: j.tunnels}
	found, err := c.conflicts(ctx)
	if err != nil {
		return err
	}
	done.Targeted = new(len(f.devices))
	done.Conflicts = append(t.contradictions(m), found...)
	return nil
}

// watchFleet returns commands for a shell, which expands dollars in double quotes.
func watchFleet(id string) string {
	query := fmt.Sprintf("SELECT deviceId FROM devices.modules WHERE moduleId = '%s' AND configurations.[[%s]].status = 'Applied'", edgeAgent, id)
	return fmt.Sprintf(`IoT Hub applies it to devices within minutes. To list the devices whose edge agent has it (none,
if it changes only twins of other modules):
  tunnelctl hub query "%s"
or az iot edge deployment show-metric --metric-id appliedCount --metric-type system --deployment-id '%s'
`, strings.ReplaceAll(query, "$", `\$`), strings.ReplaceAll(id, "'", `'\''`))
}

// changes returns the differences. Without the flag, labels and metrics stay as they are.
func (t *target) changes(have hubclient.Configuration, want *hubclient.Configuration) []change {
	if !t.given("label") {
		want.Labels = have.Labels
	}
	if !t.given("metric") {
		want.Metrics.Queries = have.Metrics.Queries
	}
	list := []change{}
	for _, place := range []struct {
		name string
		same bool
	}{
		{"priority", have.Priority == want.Priority},
		{"targetCondition", have.TargetCondition == want.TargetCondition},
		{"labels", maps.Equal(have.Labels, want.Labels)},
		{"metrics", maps.Equal(have.Metrics.Queries, want.Metrics.Queries)},
	} {
		if !place.same {
			list = append(list, change{place.name, "changed"})
		}
	}
	return list
}

// checkQueries asks the hub for errors in the condition and the metrics, before anything is
// written.
func checkQueries(ctx context.Context, client *hubclient.Client, want hubclient.Configuration) error {
	if strings.TrimSpace(want.TargetCondition) == "" && len(want.Metrics.Queries) == 0 {
		return nil
	}
	faults, err := client.TestQueries(ctx, want.TargetCondition, want.Metrics.Queries)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		flagName := "--metric " + name
		if name == "" {
			flagName = "--target-condition"
		}
		errs = append(errs, fmt.Errorf("%s: the hub says: %s", flagName, faults[name]))
	}
	return errors.Join(errs...)
}

// write sends the deployment and compares the answer with it: hubs are known to keep the
// old content without an error.
func write(ctx context.Context, client *hubclient.Client, want hubclient.Configuration, exists bool) error {
	send := client.CreateConfiguration
	if exists {
		send = client.UpdateConfiguration
	}
	made, err := send(ctx, want)
	if err != nil {
		return err
	}
	if !sameJSON(made.Content, want.Content) {
		return fmt.Errorf("the hub kept another content for deployment %s than it was sent; choose another id", want.ID)
	}
	return nil
}

// sameJSON reports whether two documents have the same values.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && len(differences("", x, y)) == 0
}
