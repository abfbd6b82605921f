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
fault, and the remedy. A twin of rtsptunnel is checked against its schema.
`,
	}, defineValidate)
}

// verdict is what validate finds, as JSON.
type verdict struct {
	File     string            `json:"file"`
	Valid    bool              `json:"valid"`
	Errors   manifest.Problems `json:"errors"`
	Warnings manifest.Problems `json:"warnings"`
}

func defineValidate(s *session, flags *flag.FlagSet) action {
	s.templateFlags(flags)
	s.judgeFlags(flags)
	flags.BoolVar(&s.json, "json", false, "write the findings to standard output as JSON, for programs")
	return func(_ context.Context, files []string) error {
		m, problems := manifest.Load(s.source(files[0]))
		if m != nil {
			problems = append(problems, s.judge(m)...)
		}
		if s.json {
			return s.tellJSON(files[0], problems)
		}
		if err := s.tell(problems); err != nil {
			return err
		}
		kind := "a full deployment"
		if m.Layered() {
			kind = "a layer"
		}
		return s.Print(fmt.Sprintf("%s: valid, %s, warnings: %d\n", files[0], kind, len(problems)))
	}
}

func (s *session) tellJSON(file string, problems manifest.Problems) error {
	v := verdict{file, problems.Err() == nil && (!s.strict || len(problems) == 0), problems.Errors(), problems.Warnings()}
	if v.Errors == nil {
		v.Errors = manifest.Problems{} // not null
	}
	if v.Warnings == nil {
		v.Warnings = manifest.Problems{}
	}
	if err := s.PrintJSON(v); err != nil {
		return err
	}
	if !v.Valid {
		return cli.ErrReported
	}
	return nil
}
