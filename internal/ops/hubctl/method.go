package hubctl

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"time"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubclient"
)

// Limits of a method call ("Understand and invoke direct methods from IoT Hub").
const (
	minResponse = 5 * time.Second
	maxResponse = 5 * time.Minute
	maxConnect  = 5 * time.Minute
)

func methodCall() *cli.Command {
	return verb(cli.Command{
		Name: "call", Args: "DEVICE[/MODULE] NAME", Brief: "call a direct method and write its status and payload",
		Detail: `The exit code is 0 if there is an answer, whatever its status: the device chooses the
status. It is the first line of the output or, with --json, the member status.
`,
	}, defineMethodCall)
}

func defineMethodCall(s *session, flags *flag.FlagSet) action {
	payload := flags.String("payload", "", "what to call it with, `JSON` (null)")
	file := flags.String("payload-file", "", "`FILE` with the payload; - is standard input")
	m := hubclient.Method{ResponseTimeout: 30 * time.Second, ConnectTimeout: 10 * time.Second}
	flags.Func("timeout", "wait for the answer for `DURATION`, 5s to 5m (30s)", seconds(&m.ResponseTimeout, minResponse, maxResponse))
	flags.Func("connect-timeout", "wait for one that is offline for `DURATION`, 0s to 5m (10s)", seconds(&m.ConnectTimeout, 0, maxConnect))
	return func(ctx context.Context) error {
		id, err := parseID(s.Args[0])
		if err != nil {
			return err
		}
		m.Name = s.Args[1]
		if m.Payload, err = s.payload(*payload, *file); err != nil {
			return err
		}
		return s.callMethod(ctx, id, m)
	}
}

// seconds reads a duration of whole seconds.
func seconds(target *time.Duration, least, most time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d != d.Truncate(time.Second) || d < least || d > most {
			return fmt.Errorf("want whole seconds from %s to %s, as 30s", least, most)
		}
		*target = d
		return nil
	}
}

func (s *session) payload(text, file string) (json.RawMessage, error) {
	switch {
	case text != "" && file != "":
		return nil, cli.Usagef("--payload and --payload-file exclude each other")
	case text != "":
		return checkJSON("payload", []byte(text))
	case file == "":
		return nil, nil
	}
	b, err := s.input("payload-file", file)
	if err != nil {
		return nil, err
	}
	return checkJSON("payload-file", b)
}

func (s *session) callMethod(ctx context.Context, id hubclient.Identity, m hubclient.Method) error {
	hub, err := s.hub()
	if err != nil {
		return err
	}
	status, payload, err := hub.Invoke(ctx, id, m)
	if err != nil {
		return err
	}
	if s.json {
		return s.PrintJSON(struct {
			Status  int             `json:"status"`
			Payload json.RawMessage `json:"payload"`
		}{status, payload})
	}
	if err := s.Print(fmt.Sprintf("status %d\n", status)); err != nil {
		return err
	}
	return s.PrintJSON(payload)
}
