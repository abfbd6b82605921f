package cli

import (
	"flag"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// width is the longest line of help, in characters, where the text can be broken.
const width = 100

const exitCodes = "Exit codes: 0 done; 1 failed; 2 usage error: nothing was done.\n"

// help is the whole help on a command.
func (t *tree) help(c *cobra.Command) string {
	d := t.declared[c]
	text := usageLine(c.CommandPath(), d) + "\n" + strings.ToUpper(d.Brief[:1]) + d.Brief[1:] + ".\n" + paragraph(d.Detail)
	if d.Define == nil {
		text += "\nCommands:\n" + columns(d.list(c.HasParent())) + t.notes(c) + "\n" + exitCodes
		return text + "\n" + c.CommandPath() + " COMMAND --help says more.\n"
	}
	if flags := flagList(t.flags[c]); len(flags) > 0 {
		where := "\nFlags:\n"
		if d.Args != "" {
			where = "\nFlags, before or after the arguments:\n"
		}
		text += where + columns(flags)
	}
	return text + t.notes(c) + "\n" + exitCodes
}

func usageLine(path string, d *Command) string {
	words := []string{"Usage:", path}
	if d.Define == nil {
		words = append(words, "COMMAND")
	}
	words = append(words, strings.Fields(d.Needs)...)
	words = append(words, strings.Fields(d.Args)...)
	return strings.Join(append(words, "[flags]"), " ") + "\n"
}

// notes are a command's own and those of the groups that it is in.
func (t *tree) notes(c *cobra.Command) string {
	var text strings.Builder
	for ; c != nil; c = c.Parent() {
		text.WriteString(paragraph(t.declared[c].Notes))
	}
	return text.String()
}

// paragraph puts an empty line before a text.
func paragraph(text string) string {
	if text == "" {
		return ""
	}
	return "\n" + text
}

// list has a line for each command of a group. deep lists the verbs of its groups instead
// of the groups.
func (d *Command) list(deep bool) (rows [][2]string) {
	for _, c := range d.Commands {
		switch {
		case c.MovedTo != "":
		case c.Define == nil && deep:
			for _, row := range c.list(deep) {
				rows = append(rows, [2]string{c.Name + " " + row[0], row[1]})
			}
		default:
			words := strings.Fields(c.Name + " " + c.Needs + " " + c.Args)
			rows = append(rows, [2]string{strings.Join(words, " "), c.Brief})
		}
	}
	return rows
}

// flagList has a line for each flag.
func flagList(flags *flag.FlagSet) (rows [][2]string) {
	flags.VisitAll(func(f *flag.Flag) {
		placeholder, usage := flag.UnquoteUsage(f)
		rows = append(rows, [2]string{strings.TrimSpace("--" + f.Name + " " + placeholder), usage})
	})
	return rows
}

// columns lines up two columns, indented, and breaks the second one.
func columns(rows [][2]string) string {
	const indent, gap = 2, 3
	first := 0
	for _, row := range rows {
		first = max(first, utf8.RuneCountInString(row[0]))
	}
	var text strings.Builder
	for _, row := range rows {
		left := row[0]
		for _, line := range wrap(row[1], width-indent-first-gap) {
			fill := strings.Repeat(" ", first+gap-utf8.RuneCountInString(left))
			text.WriteString(strings.Repeat(" ", indent) + left + fill + line + "\n")
			left = ""
		}
	}
	return text.String()
}

// wrap breaks a text at its blanks. It has at least one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// print writes to standard output.
func (t *tree) print(text string) error { return write(t.std.Out, text) }
