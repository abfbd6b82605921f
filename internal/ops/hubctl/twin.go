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
			func(s *session, _ *flag.FlagSet) action { return s.getTwin }),
		verb(cli.Command{Name: "set", Args: "DEVICE[/MODULE]", Brief: "change desired properties or tags", Detail: `The given sections are merged into the twin, where null deletes a property; with
--replace each one replaces its section. A FILE holds the section itself, as
{"interval":5}; "-" is standard input.
`}, defineTwinSet),
	}
}

func (s *session) getTwin(ctx context.Context) error {
	id, err := parseID(s.Args[0])
	if err != nil {
		return err
	}
	hub, err := s.hub()
	if err != nil {
		return err
	}
	twin, err := hub.Twin(ctx, id)
	if err != nil {
		return err
	}
	return s.PrintJSON(twin.Document)
}

func defineTwinSet(s *session, flags *flag.FlagSet) action {
	desired := flags.String("desired", "", "`FILE` with desired properties")
	tags := flags.String("tags", "", "`FILE` with tags")
	replace := flags.Bool("replace", false, "put what is given in the place of the whole section")
	etag := flags.String("if-match", "", "change nothing unless the twin's etag is `ETAG`")
	return func(ctx context.Context) error {
		id, err := parseID(s.Args[0])
		switch {
		case err != nil:
			return err
		case *desired == "" && *tags == "":
			return cli.Usagef("nothing to set: want --desired, --tags or both")
		case *desired == "-" && *tags == "-":
			return cli.Usagef("standard input is there only once")
		}
		u := hubclient.TwinUpdate{Replace: *replace, ETag: *etag}
		if u.Desired, err = s.section("desired", *desired); err != nil {
			return err
		}
		if u.Tags, err = s.section("tags", *tags); err != nil {
			return err
		}
		return s.setTwin(ctx, id, u)
	}
}

// section reads a section of a twin; nil if no file is named.
func (s *session) section(flagName, file string) (json.RawMessage, error) {
	if file == "" {
		return nil, nil
	}
	text, err := s.input(flagName, file)
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

func (s *session) setTwin(ctx context.Context, id hubclient.Identity, u hubclient.TwinUpdate) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	twin, err := hub.UpdateTwin(ctx, id, u)
	if err != nil {
		return err
	}
	if s.json {
		return s.PrintJSON(twin.Document)
	}
	var desired struct {
		Version int64 `json:"$version"`
	}
	if err := json.Unmarshal(twin.Properties.Desired, &desired); err != nil {
		return fmt.Errorf("the hub's answer has no desired properties: %w", err)
	}
	return s.Print(fmt.Sprintf("changed the twin of %s: desired properties are at version %d, etag %s\n", id, desired.Version, twin.ETag))
}
