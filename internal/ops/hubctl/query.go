package hubctl

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
)

var queryRun = verb{
	name: "query", args: "QUERY", brief: "run a query, as 'SELECT * FROM devices', and write what it finds",
	detail: `Each item is one line of JSON; with --json, all are one array. What a real hub finds may
be some minutes old.
`,
	define: func(s *session, _ *flag.FlagSet) action { return s.query },
}

// query writes each item as it comes. If a later page fails, the array of --json
// stays open, so that nobody takes it for the whole.
func (s *session) query(ctx context.Context) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	n := 0
	for item, err := range hub.Query(ctx, s.args[0]) {
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
		return s.print("[]\n")
	}
	return s.print("\n]\n")
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
	return s.print(line.String())
}
