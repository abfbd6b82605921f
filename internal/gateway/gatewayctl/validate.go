package gatewayctl

import (
	"context"
	"errors"
	"flag"
	"strconv"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/base/health"
	"rtsptunnel/internal/gateway/config"
)

func validateCommand(environ []string) *cli.Command {
	return &cli.Command{
		Name: "validate", Args: "FILE...", Files: true, Brief: "judge configuration files, without their secrets and without the network",
		Detail: `Without FILE, it judges the file in TUNNELGATEWAY_CONFIG, or the environment. The variables
of the environment replace values of the file, as they do when the gateway runs.
`,
		Define: func(flags *flag.FlagSet) cli.Action {
			file := configFlag(flags)
			asJSON := flags.Bool("json", false, "write JSON, for programs")
			return func(_ context.Context, call *cli.Call) error {
				files := call.Args
				if len(files) == 0 {
					files = []string{*file}
				}
				var failed error
				for _, f := range files {
					if err := validate(call, f, environ, *asJSON); err != nil {
						failed = errors.Join(failed, err)
					}
				}
				return failed
			}
		},
	}
}

func validate(call *cli.Call, file string, environ []string, asJSON bool) error {
	c, err := config.Load(config.Options{File: file, Environ: environ, WithoutSecrets: true})
	if asJSON {
		return printJudgement(call, c, err)
	}
	if err != nil {
		return err
	}
	for _, line := range c.Warnings {
		if err := call.Print("warning: " + line + "\n"); err != nil {
			return err
		}
	}
	return call.Print(summary(file, c) + "\n")
}

// judgement is the JSON of validate.
type judgement struct {
	Valid    bool           `json:"valid"`
	Faults   []config.Fault `json:"faults,omitempty"`
	Warnings []string       `json:"warnings,omitempty"`
}

func printJudgement(call *cli.Call, c *config.Config, err error) error {
	j := judgement{Valid: err == nil}
	if bad, ok := errors.AsType[*config.Error](err); ok {
		j.Faults = bad.Faults
	}
	if c != nil {
		j.Warnings = c.Warnings
	}
	if err := call.PrintJSON(j); err != nil {
		return err
	}
	if !j.Valid {
		return cli.ErrReported
	}
	return nil
}

func summary(file string, c *config.Config) string {
	if file == "" {
		file = "the configuration"
	}
	return file + " is valid: " + plural(len(c.Hubs), "hub") + ", " + plural(len(c.Cameras), "camera") + ", " + plural(len(c.Access.Tokens), "token")
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

func schemaCommand() *cli.Command {
	return &cli.Command{
		Name: "schema", Brief: "write the JSON Schema of the configuration file, for editors",
		Define: func(*flag.FlagSet) cli.Action {
			return func(_ context.Context, call *cli.Call) error { return call.Print(config.Schema) }
		},
	}
}

func healthcheckCommand(environ []string) *cli.Command {
	return &cli.Command{
		Name: "healthcheck", Brief: "ask the gateway on this machine whether it is alive, for containers",
		Define: func(flags *flag.FlagSet) cli.Action {
			file := configFlag(flags)
			return func(ctx context.Context, _ *cli.Call) error {
				c, err := config.Load(config.Options{File: *file, Environ: environ, WithoutSecrets: true})
				if err != nil {
					return err
				}
				return health.Ask(ctx, c.Listen.Private.Address)
			}
		},
	}
}

func configFlag(flags *flag.FlagSet) *string {
	return flags.String("config", "", "the configuration `FILE`, instead of the one in TUNNELGATEWAY_CONFIG")
}
