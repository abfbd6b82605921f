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

func defineMethodCall(j *job, flags *flag.FlagSet) action {
	payload := flags.String("payload", "", "payload of the call, `JSON` (null)")
	file := flags.String("payload-file", "", "`FILE` with the payload; - is standard input")
	m := hubclient.Method{ResponseTimeout: 30 * time.Second, ConnectTimeout: 10 * time.Second}
	flags.Func("timeout", "wait `DURATION` for the answer, 5s to 5m (30s)", wholeSeconds(&m.ResponseTimeout, minResponse, maxResponse))
	flags.Func("connect-timeout", "wait `DURATION` for a module or device that is offline, 0s to 5m (10s)", wholeSeconds(&m.ConnectTimeout, 0, maxConnect))
	return func(ctx context.Context) error {
		id, err := parseID(j.Args[0])
		if err != nil {
			return err
		}
		m.Name = j.Args[1]
		if m.Payload, err = j.payload(*payload, *file); err != nil {
			return err
		}
		return j.callMethod(ctx, id, m)
	}
}

// wholeSeconds parses a flag's value into target.
func wholeSeconds(target *time.Duration, least, most time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d != d.Truncate(time.Second) || d < least || d > most {
			return fmt.Errorf("want whole seconds from %s to %s, as 30s", least, most)
		}
		*target = d
		return nil
	}
}

func (j *job) payload(text, file string) (json.RawMessage, error) {
	switch {
	case text != "" && file != "":
		return nil, cli.Usagef("--payload and --payload-file exclude each other")
	case text != "":
		return checkJSON("payload", []byte(text))
	case file == "":
		return nil, nil
	}
	b, err := j.input("payload-file", file)
	if err != nil {
		return nil, err
	}
	return checkJSON("payload-file", b)
}

func (j *job) callMethod(ctx context.Context, id hubclient.Identity, m hubclient.Method) error {
	hub, err := j.hub()
	if err != nil {
		return err
	}
	status, payload, err := hub.Invoke(ctx, id, m)
	if err != nil {
		return err
	}
	if j.json {
		return j.PrintJSON(struct {
			Status  int             `json:"status"`
			Payload json.RawMessage `json:"payload"`
		}{status, payload})
	}
	if err := j.Print(fmt.Sprintf("status %d\n", status)); err != nil {
		return err
	}
	return j.PrintJSON(payload)
}
