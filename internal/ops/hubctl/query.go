package hubctl

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"

	"rtsptunnel/internal/base/cli"
)

func queryVerb() *cli.Command {
	return verb(cli.Command{
		Name: "query", Args: "QUERY", Brief: "run a query, as 'SELECT * FROM devices', and write the result",
		Detail: `Each item is one line of JSON; with --json, all are one array. The result of a real hub
may be some minutes old.
`,
	}, func(s *session, _ *flag.FlagSet) action { return s.query })
}

// query writes each item as it comes. If a later page fails, the array of --json stays
// open, so that a program cannot take it for the whole result.
func (s *session) query(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	n := 0
	for item, err := range hub.Query(ctx, s.Args[0]) {
		if err != nil {
			return err
		}
		if err := s.printItem(item, n); err != nil {
			return err
		}
		n++
	}
	switch {
	case !s.json:
		return nil
	case n == 0:
		return s.Print("[]\n")
	}
	return s.Print("\n]\n")
}

// printItem writes item number n, from zero, on a line.
func (s *session) printItem(item json.RawMessage, n int) error {
	var line bytes.Buffer
	switch {
	case s.json && n == 0:
		line.WriteString("[\n")
	case s.json:
		line.WriteString(",\n")
	}
	if err := json.Compact(&line, item); err != nil {
		return err
	}
	if !s.json {
		line.WriteString("\n")
	}
	return s.Print(line.String())
}
