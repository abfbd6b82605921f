package hubctl

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubclient"
)

func twinVerbs() []*cli.Command {
	return []*cli.Command{
		verb(cli.Command{Name: "get", Args: "DEVICE[/MODULE]", Brief: "write a twin as JSON"},
			func(j *job, _ *flag.FlagSet) action { return j.getTwin }),
		verb(cli.Command{Name: "set", Args: "DEVICE[/MODULE]", Brief: "change desired properties or tags", Detail: `The given sections are merged into the twin, where null deletes a property; with
--replace each one replaces its section. A FILE holds the section itself, as
{"interval":5}; "-" is standard input.
`}, defineTwinSet),
	}
}

func (j *job) getTwin(ctx context.Context) error {
	id, err := parseID(j.Args[0])
	if err != nil {
		return err
	}
	hub, err := j.hub()
	if err != nil {
		return err
	}
	twin, err := hub.Twin(ctx, id)
	if err != nil {
		return err
	}
	return j.PrintJSON(twin.Document)
}

func defineTwinSet(j *job, flags *flag.FlagSet) action {
	desired := flags.String("desired", "", "`FILE` with desired properties")
	tags := flags.String("tags", "", "`FILE` with tags")
	replace := flags.Bool("replace", false, "replace the whole section instead of merging into it")
	etag := flags.String("if-match", "", "change the twin only if its etag is `ETAG`")
	return func(ctx context.Context) error {
		id, err := parseID(j.Args[0])
		switch {
		case err != nil:
			return err
		case *desired == "" && *tags == "":
			return cli.Usagef("nothing to set: want --desired, --tags or both")
		case *desired == "-" && *tags == "-":
			return cli.Usagef("standard input can be read only once")
		}
		u := hubclient.TwinUpdate{Replace: *replace, ETag: *etag}
		if u.Desired, err = j.section("desired", *desired); err != nil {
			return err
		}
		if u.Tags, err = j.section("tags", *tags); err != nil {
			return err
		}
		return j.setTwin(ctx, id, u)
	}
}

// section reads a section of a twin. It returns nil if no file is named.
func (j *job) section(flagName, file string) (json.RawMessage, error) {
	if file == "" {
		return nil, nil
	}
	text, err := j.input(flagName, file)
	if err != nil {
		return nil, err
	}
	section, err := checkJSON(flagName, text)
	if err != nil {
		return nil, err
	}
	if section[0] != '{' {
		return nil, cli.Usagef("--%s is not a JSON object, as {\"interval\":5}", flagName)
	}
	return section, nil
}

func (j *job) setTwin(ctx context.Context, id hubclient.Identity, u hubclient.TwinUpdate) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	twin, err := hub.UpdateTwin(ctx, id, u)
	if err != nil {
		return err
	}
	if j.json {
		return j.PrintJSON(twin.Document)
	}
	var desired struct {
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(twin.Properties.Desired, &desired); err != nil {
		return fmt.Errorf("the hub's answer has no desired properties: %w", err)
	}
	return j.Print(fmt.Sprintf("changed the twin of %s: desired properties are at version %d, etag %s\n", id, desired.Version, twin.ETag))
}
