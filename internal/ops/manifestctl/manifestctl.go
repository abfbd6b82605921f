// Package manifestctl is the command tunnelctl manifest: an operator's verbs for
// deployment manifests. Package manifest has the rules for manifests, and hubclient the
// requests to a hub.
//
// The rules are:
//   - A result goes to standard output, or into the file that --output names, which is
//     replaced as a whole; everything else goes to standard error. After an error there
//     is no result.
//   - No message repeats a value of the environment or of an .env file, unless a
//     template uses it as a name.
package manifestctl

import (
	"context"
	"flag"

	"rtsptunnel/internal/base/cli"
)

// Command is the group of all verbs.
func Command() *cli.Command {
	return &cli.Command{
		Name: "manifest", Brief: "make deployment manifests from templates, check, merge, apply and remove them",
		Detail: `A manifest is a full or layered deployment of IoT Edge, for any modules, or a deployment
as az iot edge deployment show prints it. A template is what iotedgedev and VS Code expand.
Results go to standard output, messages to standard error; after an error there is no
result.
`,
		Commands: []*cli.Command{expandVerb(), validateVerb(), mergeVerb(), applyVerb(), removeVerb()},
	}
}

// action does what a verb is for; ctx bounds its requests to a hub.
type action func(ctx context.Context, files []string) error

// verb completes a command. define adds its flags and returns what to do once they are
// parsed.
func verb(c cli.Command, define func(j *job, flags *flag.FlagSet) action) *cli.Command {
	c.Files = c.Args != ""
	c.Define = func(flags *flag.FlagSet) cli.Action {
		j := &job{}
		act := define(j, flags)
		return func(ctx context.Context, call *cli.Call) error {
			j.Call = call
			return act(ctx, call.Args)
		}
	}
	return &c
}
