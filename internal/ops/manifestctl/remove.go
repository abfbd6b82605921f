package manifestctl

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubaccess"
	"rtsptunnel/internal/hub/hubclient"
)

func removeVerb() *cli.Command {
	return verb(cli.Command{
		Name: "remove", Needs: "--deployment ID", Brief: "take an automatic deployment back",
		Detail: `The hub deletes the deployment, and within minutes its devices get the content of the other
deployments that target them. A device that no other full deployment targets keeps the
modules and the properties that it has; they are listed. To stop modules, first create a
full deployment without them for the same devices.

What apply --device did cannot be taken back: the hub keeps no earlier content of a device.
Apply the earlier manifest instead. tunnelctl hub deployment rm ID deletes a deployment
without looking at its devices first.
`,
		Notes: hubaccess.Help + "\n",
	}, defineRemove)
}

func defineRemove(j *job, flags *flag.FlagSet) action {
	var id string
	var dryRun bool
	j.access.Flags(flags)
	flags.StringVar(&id, "deployment", "", "`ID` of the automatic deployment")
	flags.BoolVar(&dryRun, "dry-run", false, "write which devices would keep their modules, and remove nothing")
	flags.BoolVar(&j.json, "json", false, "write what was done as JSON, for programs")
	return func(ctx context.Context, _ []string) error {
		if id == "" {
			return cli.Usagef("which deployment? Give --deployment ID")
		}
		return j.remove(ctx, id, dryRun)
	}
}

// removal is what remove did or, in a dry run, would do.
type removal struct {
	Hub        string `json:"hub"`
	Deployment string `json:"deployment"`
	Action     string `json:"action"` // removed
	DryRun     bool   `json:"dryRun"`
	// Targeted is how many devices met the deployment's condition.
	Targeted int `json:"targeted"`
	// Kept are the devices that keep their modules and properties.
	Kept []string `json:"kept"`
}

// remove deletes a deployment, after it has found the devices that no other full
// deployment targets.
func (j *job) remove(ctx context.Context, id string, dryRun bool) error {
	client, err := j.access.Open(j.Getenv)
	if err != nil {
		return cli.Usage(err)
	}
	defer client.Close()
	have, exists, err := configuration(ctx, client, id)
	switch {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("there is no deployment %s at %s; tunnelctl hub deployment list lists them", id, client.Host())
	case edgeContent(have) == nil:
		return fmt.Errorf("%s is a configuration of devices or modules, not a deployment for IoT Edge; tunnelctl hub deployment rm deletes it", id)
	}
	f, err := newFleet(ctx, client, have.TargetCondition)
	if err != nil {
		return err
	}
	j.progress("deployment %s targets %s", id, deviceNames(f.devices))
	kept, err := j.keeping(ctx, f, id)
	if err != nil {
		return err
	}
	if !dryRun {
		j.progress("removing deployment %s", id)
		if err := remove(ctx, client, have); err != nil {
			return err
		}
	}
	done := removal{Hub: client.Host(), Deployment: id, Action: "removed", DryRun: dryRun, Targeted: len(f.devices), Kept: kept}
	if j.json {
		return j.PrintJSON(done)
	}
	return j.Print(done.text())
}

// progress writes a line about work that may take a while to standard error, unless a
// program reads the result.
func (j *job) progress(format string, args ...any) {
	if !j.json {
		_, _ = io.WriteString(j.Err, fmt.Sprintf(format, args...)+"\n")
	}
}

// keeping returns the devices that no other full deployment targets. The hub changes
// nothing on them (MicrosoftDocs/azure-docs, articles/iot-edge/how-to-deploy-cli-at-scale.md,
// delete a deployment).
func (j *job) keeping(ctx context.Context, f *fleet, id string) ([]string, error) {
	others, err := otherDeployments(ctx, f.client, id)
	if err != nil {
		return nil, err
	}
	full := slices.DeleteFunc(others, func(other deployed) bool { return other.manifest.Layered() })
	j.progress("comparing it with the other full deployments: %d", len(full))
	if err := f.exclude(ctx, full); err != nil {
		return nil, err
	}
	covered := map[string]bool{}
	for _, other := range full {
		devices, err := f.thatMeet(ctx, other.TargetCondition)
		if err != nil {
			return nil, compareError(other, err)
		}
		for _, device := range devices {
			covered[device] = true
		}
	}
	kept := []string{} // not null in JSON
	for _, device := range f.devices {
		if !covered[device] {
			kept = append(kept, device)
		}
	}
	return kept, nil
}

// remove deletes a deployment if it still is what its devices were looked up for.
func remove(ctx context.Context, client *hubclient.Client, have hubclient.Configuration) error {
	err := client.DeleteConfiguration(ctx, have.ID, have.ETag)
	if e, ok := errors.AsType[*hubclient.Error](err); ok && e.Status == http.StatusPreconditionFailed {
		return fmt.Errorf("deployment %s was changed in the meantime and was not removed; try again", have.ID)
	}
	return err
}

func (r removal) text() string {
	var b strings.Builder
	would := ""
	if r.DryRun {
		would = "would be "
	}
	fmt.Fprintf(&b, "deployment %s %sremoved at %s\n", r.Deployment, would, r.Hub)
	fmt.Fprintf(&b, "devices that it targeted: %d\n", r.Targeted)
	if changed := r.Targeted - len(r.Kept); changed > 0 {
		fmt.Fprintf(&b, "devices that another full deployment targets, and that have its content within minutes: %d\n", changed)
	}
	if len(r.Kept) > 0 {
		fmt.Fprintf(&b, "devices that keep their modules and properties, since no other full deployment targets them: %d\n", len(r.Kept))
	}
	for _, device := range r.Kept {
		fmt.Fprintf(&b, "  %s\n", device)
	}
	return b.String()
}
