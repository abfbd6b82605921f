package gatewayctl

import (
	"context"
	"flag"
	"slices"
	"strconv"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/gateway"
	"rtsptunnel/internal/gateway/config"
)

func checkCommand(environ []string) *cli.Command {
	return &cli.Command{
		Name: "check", Brief: "judge the configuration with its secrets, ports, certificates, name and hubs",
		Detail: `It does what validate does, reads the secrets, and then looks at the data folder, the ports,
the certificates, the name in publicURL, and logs in to the hubs. Run it where the gateway
runs, as its user. With --camera it then asks each hop to a camera, as open does. The exit
code is 1 if the gateway could not do its work.
`,
		Define: func(flags *flag.FlagSet) cli.Action {
			file := configFlag(flags)
			camera := flags.String("camera", "", "then open a tunnel to the camera with this `NAME`, hop by hop")
			var o opening
			o.flags(flags)
			asJSON := flags.Bool("json", false, "write JSON, for programs")
			return func(ctx context.Context, call *cli.Call) error {
				c, err := config.Load(config.Options{File: *file, Environ: environ})
				if err != nil {
					if *asJSON {
						return printJudgement(call, c, err)
					}
					return err
				}
				findings := warnings(c)
				findings = append(findings, gateway.Check(ctx, c)...)
				if *camera != "" {
					findings = append(findings, o.findings(ctx, c, *camera)...)
				}
				return printFindings(call, findings, *asJSON)
			}
		},
	}
}

// findings returns the hops to a camera as findings.
func (o *opening) findings(ctx context.Context, c *config.Config, camera string) []gateway.Finding {
	result, err := o.diagnose(ctx, c, camera)
	if err != nil {
		return []gateway.Finding{{What: camera, State: gateway.Failed, Text: err.Error()}}
	}
	var found []gateway.Finding
	for _, s := range result.Steps {
		row := hopRow(s)
		found = append(found, gateway.Finding{What: camera + " " + row[1], State: gateway.State(row[0]), Text: row[3], MS: int64(s.Millis)})
	}
	return found
}

// warnings returns the warnings of a configuration as findings.
func warnings(c *config.Config) []gateway.Finding {
	var found []gateway.Finding
	for _, w := range c.Warnings {
		found = append(found, gateway.Finding{What: "configuration", State: gateway.Warning, Text: w})
	}
	return append(found, gateway.Finding{
		What: "configuration", State: gateway.OK, Text: plural(len(c.Hubs), "hub") + ", " + plural(len(c.Cameras), "camera") + ", " + plural(len(c.Access.Tokens), "token"),
	})
}

// printFindings writes a line for each finding. Its error is ErrReported if one has failed.
func printFindings(call *cli.Call, findings []gateway.Finding, asJSON bool) error {
	var err error
	if asJSON {
		err = call.PrintJSON(map[string]any{"findings": findings})
	} else {
		rows := make([][]string, len(findings))
		for i, f := range findings {
			rows[i] = []string{string(f.State), f.What, strconv.FormatInt(f.MS, 10) + " ms", f.Text}
		}
		err = call.Print(cli.Table(rows))
	}
	if err == nil && slices.ContainsFunc(findings, func(f gateway.Finding) bool { return f.State == gateway.Failed }) {
		err = cli.ErrReported
	}
	return err
}
