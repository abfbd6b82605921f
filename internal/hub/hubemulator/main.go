package hubemulator

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/store"
)

// Exit codes of Main.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

const usage = `Usage: hubemulator serve --state DIR [flags]

Runs an IoT Hub, an edge hub and a workload API for tests, until SIGTERM or
SIGINT. Writes KEY='VALUE' lines for a shell to standard output, then a line
that says "ready"; logs go to standard error.

Flags:
  --hostname NAME          the hub's name in tokens, user names and its
                           certificate (localhost)
  --gateway-hostname NAME  the edge device's name, one more in the certificate
  --https HOST:PORT        where services connect, and devices and modules by
                           WebSocket (127.0.0.1:8443)
  --mqtt HOST:PORT         where devices and modules connect (127.0.0.1:8883)
  --workload HOST:PORT     where the workload API listens over plain HTTP too,
                           besides DIR/workload.sock (nowhere)
  --throttle               limit rates as IoT Hub does at tier S1 with one unit
  --state DIR              directory for keys, devices and twins (state.json) and
                           the workload socket; made if missing, taken up again
                           if there (required)
  --owner-key-file FILE    the key of HUB_CONNECTION_STRING, base64; without it
                           one is made at the first start and kept in DIR
  --module DEVICE/MODULE   a module to make; may be given several times. The
                           workload API serves the modules of the first one's
                           device (edge1)
`

// Main is the command: it runs until ctx is done and returns the exit code: 0
// after a normal end, 1 after an error, 2 for arguments it does not
// understand. args are without the program's name, and begin with serve.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parseArgs(args)
	if errors.Is(err, flag.ErrHelp) {
		return exitCode(write(stdout, usage), stderr)
	}
	if err != nil {
		return exitCode(errors.Join(err, errUsage), stderr)
	}
	c.options.Log = zerolog.New(stderr).With().Timestamp().Logger()
	return exitCode(c.run(ctx, stdout), stderr)
}

// errUsage marks errors that are the caller's.
var errUsage = errors.New("see hubemulator serve --help")

func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	if _, writeErr := fmt.Fprintf(stderr, "hubemulator: %v\n", err); writeErr != nil {
		return exitError
	}
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitError
}

// command is a parsed command line.
type command struct {
	options Options
	modules [][2]string // device, module
}

func parseArgs(args []string) (command, error) {
	var c command
	flags := flag.NewFlagSet("hubemulator serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // Main prints errors and help
	flags.StringVar(&c.options.HostName, "hostname", defaultHostName, "")
	flags.StringVar(&c.options.GatewayName, "gateway-hostname", "", "")
	flags.StringVar(&c.options.HTTPS, "https", "127.0.0.1:8443", "")
	flags.StringVar(&c.options.MQTT, "mqtt", "127.0.0.1:8883", "")
	flags.StringVar(&c.options.WorkloadHTTP, "workload", "", "")
	flags.BoolVar(&c.options.Throttle, "throttle", false, "")
	flags.StringVar(&c.options.Dir, "state", "", "")
	flags.StringVar(&c.options.OwnerKeyFile, "owner-key-file", "", "")
	flags.Func("module", "", c.addModule)

	if len(args) == 0 || args[0] != "serve" {
		return command{}, errors.New("the first argument must be serve")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return command{}, err
	}
	if flags.NArg() > 0 {
		return command{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if c.options.Dir == "" {
		return command{}, errors.New("--state is missing")
	}
	return c, nil
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

func (c command) run(ctx context.Context, stdout io.Writer) (err error) {
	hub, err := Start(c.options) //nolint:contextcheck // a hub lives until Close, not as long as a context
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hub.Close()) }()
	for _, m := range c.modules {
		if _, err := hub.AddModule(m[0], m[1]); err != nil {
			if errors.Is(err, store.ErrInvalidID) {
				err = errors.Join(err, errUsage)
			}
			return err
		}
	}
	if err := announce(stdout, hub); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// announce says how to reach the hub, in lines a shell can read.
func announce(w io.Writer, hub *Hub) error {
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
	text.WriteString("ready\n")
	return write(w, text.String())
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func write(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}
