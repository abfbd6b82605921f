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
	}, func(j *job, _ *flag.FlagSet) action { return j.query })
}

// query writes each item as it comes. If a later page fails, the array of --json stays
// open, so that a program cannot take it for the whole result.
func (j *job) query(ctx context.Context) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	n := 0
	for item, err := range hub.Query(ctx, j.Args[0]) {
		if err != nil {
			return err
		}
		if err := j.printItem(item, n); err != nil {
			return err
		}
		n++
	}
	switch {
	case !j.json:
		return nil
	case n == 0:
		return j.Print("[]\n")
	}
	return j.Print("\n]\n")
}

// printItem writes item n, counted from zero, on one line.
func (j *job) printItem(item json.RawMessage, n int) error {
	var line bytes.Buffer
	switch {
	case j.json && n == 0:
		line.WriteString("[\n")
	case j.json:
		line.WriteString(",\n")
	}
	if err := json.Compact(&line, item); err != nil {
		return err
	}
	if !j.json {
		line.WriteString("\n")
	}
	return j.Print(line.String())
}
