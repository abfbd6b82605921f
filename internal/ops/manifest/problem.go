package manifest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one error or warning.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // in that file, from 1; 0 if unknown
	Path    string `json:"path,omitempty"` // names from the root down, separated by slashes; empty for the whole file
	Text    string `json:"problem"`
	Remedy  string `json:"remedy"`
	Warning bool   `json:"-"`
}

// String returns FILE:LINE: PATH: the problem; what to do. A warning has "warning: "
// before PATH.
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	text := p.Text
	if p.Remedy != "" {
		text += "; " + p.Remedy
	}
	if p.Warning {
		place += ": warning"
	}
	for _, part := range []string{p.Path, text} {
		if part != "" {
			place += ": " + part
		}
	}
	return place
}

// Problems lists problems in the order of their discovery, which is roughly the order of
// the document.
type Problems []Problem

// Errors returns the problems that are not warnings.
func (ps Problems) Errors() Problems { return ps.only(false) }

// Warnings returns the warnings. They do not affect the result.
func (ps Problems) Warnings() Problems { return ps.only(true) }

func (ps Problems) only(warnings bool) Problems {
	var some Problems
	for _, p := range ps {
		if p.Warning == warnings {
			some = append(some, p)
		}
	}
	return some
}

// Err returns an *Error with all errors, or nil if there are none besides warnings.
func (ps Problems) Err() error {
	if errs := ps.Errors(); len(errs) > 0 {
		return &Error{errs}
	}
	return nil
}

// Error lists the problems that make a manifest unusable.
type Error struct{ Problems Problems }

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// place is a location in a document. The zero place is the whole file.
type place struct {
	line int
	path []string
}

// below returns the place of a descendant.
func (at place) below(line int, names ...string) place {
	return place{line, slices.Concat(at.path, names)}
}

// report collects the problems of one file.
type report struct {
	file string
	list Problems
}

func (r *report) fault(at place, text, remedy string) {
	r.list = append(r.list, Problem{File: r.file, Line: at.line, Path: join(at.path), Text: text, Remedy: remedy})
}

func (r *report) warn(at place, text, remedy string) {
	r.list = append(r.list, Problem{File: r.file, Line: at.line, Path: join(at.path), Text: text, Remedy: remedy, Warning: true})
}

// maxName is how many bytes of a name in a document a problem repeats.
const maxName = 100

func join(path []string) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = printable(name)
	}
	return strings.Join(names, "/")
}

// printable shortens a name and replaces characters that a terminal could interpret.
func printable(name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
