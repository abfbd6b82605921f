package manifestctl

import (
	"context"
	"flag"

	"rtsptunnel/internal/ops/manifest"
)

var expandVerb = verb{
	name: "expand", args: "FILE", least: 1, most: 1, brief: "make a manifest from a template, and judge it",
	detail: `It does what iotedgedev does, for full and layered templates: ${NAME} is a variable of
the environment or, if it is not there, of the .env file; ${MODULES.folder} and
${MODULEDIR<path>}, with .platform or .debug after the name if need be, are images by
their module.json: the repository in lower case, and version[-CONTAINER_TAG]-platform.
createOptions become text in pieces of 512 characters, 8 at most. What is left of
placeholders, and whatever validate finds, is an error, and then there is no result.
`,
	define: defineExpand,
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
