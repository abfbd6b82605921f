package cli

import (
	"context"
	"flag"
	"io"
	"strings"

	"rtsptunnel/internal/base/buildinfo"
)

// versionCommand writes version, commit and platform of the program.
func versionCommand(program string) *Command {
	return &Command{Name: "version", Brief: "write version, commit and platform", Define: func(flags *flag.FlagSet) Action {
		asJSON := flags.Bool("json", false, "write JSON, for programs")
		return func(_ context.Context, call *Call) error {
			info := buildinfo.Read(program)
			if *asJSON {
				return call.PrintJSON(info)
			}
			return call.Print(info.String() + "\n")
		}
	}}
}

// completionCommand writes a script for each shell. The script asks the program, by a
// hidden command of cobra's, each time that the user presses the tab key.
func (t *tree) completionCommand() *Command {
	group := &Command{Name: "completion", Brief: "write a shell's completion script"}
	for _, shell := range []struct {
		name, install string
		generate      func(io.Writer) error
	}{
		{"bash", "source <(PROGRAM completion bash)   # needs the package bash-completion", func(w io.Writer) error { return t.root.GenBashCompletionV2(w, true) }},
		{"zsh", `PROGRAM completion zsh >"${fpath[1]}/_PROGRAM"`, func(w io.Writer) error { return t.root.GenZshCompletion(w) }},
		{"fish", "PROGRAM completion fish >~/.config/fish/completions/PROGRAM.fish", func(w io.Writer) error { return t.root.GenFishCompletion(w, true) }},
		{"powershell", "PROGRAM completion powershell | Out-String | Invoke-Expression", func(w io.Writer) error { return t.root.GenPowerShellCompletionWithDesc(w) }},
	} {
		group.Commands = append(group.Commands, &Command{
			Name: shell.name, Brief: "write the script for " + shell.name,
			Detail: "To use it:\n\n  " + strings.ReplaceAll(shell.install, "PROGRAM", t.name) + "\n",
			Define: func(*flag.FlagSet) Action {
				return func(_ context.Context, call *Call) error {
					var script strings.Builder
					if err := shell.generate(&script); err != nil {
						return err
					}
					return call.Print(script.String())
				}
			},
		})
	}
	return group
}
