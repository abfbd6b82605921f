package manifestctl

import (
	"context"
	"flag"
	"fmt"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/ops/manifest"
)

func validateVerb() *cli.Command {
	return verb(cli.Command{
		Name: "validate", Args: "FILE", Brief: "check a manifest or a template, full or layered",
		Detail: `A template is expanded first; the expansion is not written. Each finding is a line on
standard error: FILE:LINE, the word warning if it is one, the path in the document, the
fault, and the remedy. A twin of rtsptunnel is checked against its schema. A route for a
module that FILE lacks is a warning, because a layer may define the module.
`,
	}, defineValidate)
}

// verdict is the result of validate, as JSON.
type verdict struct {
	File     string            `json:"file"`
	Valid    bool              `json:"valid"`
	Errors   manifest.Problems `json:"errors"`
	Warnings manifest.Problems `json:"warnings"`
}

func defineValidate(j *job, flags *flag.FlagSet) action {
	j.templateFlags(flags)
	j.checkFlags(flags)
	flags.BoolVar(&j.json, "json", false, "write the findings to standard output as JSON, for programs")
	complete := flags.Bool("complete", false, "FILE is all that a device gets, without layers: a route for a module that it lacks is an error")
	return func(_ context.Context, files []string) error {
		check := j.check
		if *complete {
			check = j.checkComplete
		}
		m, problems := manifest.Load(j.source(files[0]))
		if m != nil {
			problems = append(problems, check(m)...)
		}
		if j.json {
			return j.reportJSON(files[0], problems)
		}
		if err := j.report(problems); err != nil {
			return err
		}
		kind := "a full deployment"
		if m.Layered() {
			kind = "a layer"
		}
		return j.Print(fmt.Sprintf("%s: valid, %s, warnings: %d\n", files[0], kind, len(problems)))
	}
}

func (j *job) reportJSON(file string, problems manifest.Problems) error {
	v := verdict{file, problems.Err() == nil && (!j.strict || len(problems) == 0), problems.Errors(), problems.Warnings()}
	if v.Errors == nil {
		v.Errors = manifest.Problems{} // not null
	}
	if v.Warnings == nil {
		v.Warnings = manifest.Problems{}
	}
	if err := j.PrintJSON(v); err != nil {
		return err
	}
	if !v.Valid {
		return cli.ErrReported
	}
	return nil
}
