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

func defineExpand(j *job, flags *flag.FlagSet) action {
	j.templateFlags(flags)
	j.outputFlag(flags)
	j.checkFlags(flags)
	return func(_ context.Context, files []string) error {
		m, problems := manifest.Expand(j.source(files[0]))
		if m != nil {
			problems = append(problems, j.check(m)...)
		}
		if err := j.report(problems); err != nil {
			return err
		}
		return j.result(m.JSON())
	}
}
