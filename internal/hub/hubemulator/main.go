package hubemulator

import (
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// Command is hubemulator serve. It runs until ctx is done.
func Command() *cli.Command {
	return &cli.Command{
		Name: "serve", Needs: "--state DIR", Brief: "run a hub on this machine",
		Detail: `It runs an IoT Hub, an edge hub and a workload API for tests, until SIGTERM or SIGINT. It
writes KEY='VALUE' lines for a shell to standard output, then a line that says "ready"; logs
go to standard error.
`,
		Define: define,
	}
}

// command is a parsed command line.
type command struct {
	options Options
	modules [][2]string // device, module
}

func define(flags *flag.FlagSet) cli.Action {
	var c command
	flags.StringVar(&c.options.HostName, "hostname", defaultHostName, "the hub's `NAME` in tokens, user names and its certificate (localhost)")
	flags.StringVar(&c.options.GatewayName, "gateway-hostname", "", "`NAME` of the edge device, added to the names in the certificate")
	flags.StringVar(&c.options.HTTPS, "https", "127.0.0.1:8443", "`HOST:PORT` for services, and for devices and modules by WebSocket (127.0.0.1:8443)")
	flags.StringVar(&c.options.MQTT, "mqtt", "127.0.0.1:8883", "`HOST:PORT` for devices and modules (127.0.0.1:8883)")
	flags.StringVar(&c.options.WorkloadHTTP, "workload", "", "`HOST:PORT` for the workload API over plain HTTP, besides DIR/workload.sock (none)")
	flags.BoolVar(&c.options.Throttle, "throttle", false, "limit rates as IoT Hub does at tier S1 with one unit")
	flags.StringVar(&c.options.Dir, "state", "", "`DIR` for keys, devices and twins (state.json) and the workload socket; created if it is missing, and loaded if it has a state (required)")
	flags.StringVar(&c.options.OwnerKeyFile, "owner-key-file", "", "`FILE` with the key of HUB_CONNECTION_STRING, base64; without it the first start creates one in DIR")
	flags.Func("module", "`DEVICE/MODULE` to create; may be repeated. The workload API serves the modules of the first one's device (edge1)", c.addModule)
	return func(ctx context.Context, call *cli.Call) error {
		if c.options.Dir == "" {
			return cli.Usagef("--state is missing")
		}
		c.options.Log = zerolog.New(call.Err).With().Timestamp().Logger()
		return c.run(ctx, call)
	}
}

func (c *command) addModule(value string) error {
	device, module, ok := strings.Cut(value, "/")
	if !ok || device == "" || module == "" {
		return errors.New("want DEVICE/MODULE")
	}
	if len(c.modules) == 0 {
		c.options.EdgeDevice = device
	}
	c.modules = append(c.modules, [2]string{device, module})
	return nil
}

func (c command) run(ctx context.Context, call *cli.Call) (err error) {
	hub, err := Start(c.options) //nolint:contextcheck // a hub lives until Close, not as long as a context
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Close()) }()
	for _, m := range c.modules {
		if _, err := hub.AddModule(m[0], m[1]); err != nil {
			if errors.Is(err, store.ErrInvalidID) {
				err = cli.Usage(err)
			}
			return err
		}
	}
	if err := call.Print(announcement(hub)); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// announcement says how to reach the hub, in lines that a shell can read.
func announcement(hub *Hub) string {
	lines := [][2]string{
		{"HUB_CONNECTION_STRING", hub.OwnerConnectionString()},
		{"CA_FILE", hub.CAFile()},
		{"WORKLOAD_URI", hub.WorkloadURI()},
	}
	if uri := hub.WorkloadHTTPURI(); uri != "" {
		lines = append(lines, [2]string{"WORKLOAD_HTTP_URI", uri})
	}
	lines = append(lines, [2]string{"HTTPS", hub.HTTPSAddr()}, [2]string{"MQTT", hub.MQTTAddr()})
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line[0] + "=" + shellQuote(line[1]) + "\n")
	}
	return text.String() + "ready\n"
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
