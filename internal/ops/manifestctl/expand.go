package manifestctl

import (
	"context"
	"flag"

	"rtsptunnel/internal/base/cli"
	"rtsptunnel/internal/ops/manifest"
)

func expandVerb() *cli.Command {
	return verb(cli.Command{
		Name: "expand", Args: "FILE", Brief: "make a manifest from a template, and check it",
		Detail: `It does what iotedgedev does, for full and layered templates. ${NAME} is a variable of
the environment or, if the environment lacks it, of the .env file. ${MODULES.folder} and
${MODULEDIR<path>} are images as their module.json describes them: the repository in lower
case, and version[-CONTAINER_TAG]-platform; .platform or .debug may follow the name.
createOptions become text in pieces of 512 characters, 8 at most. A placeholder that is
left is an error, as is each error that validate finds; then there is no result.
`,
	}, defineExpand)
}

func defineExpand(s *session, flags *flag.FlagSet) action {
	s.templateFlags(flags)
	s.outputFlag(flags)
	s.judgeFlags(flags)
	return func(_ context.Context, files []string) error {
		m, problems := manifest.Expand(s.source(files[0]))
		if m != nil {
			problems = append(problems, s.judge(m)...)
		}
		if err := s.tell(problems); err != nil {
			return err
		}
		return s.result(m.JSON())
	}
}
