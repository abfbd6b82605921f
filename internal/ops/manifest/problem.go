package manifest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong, or looks so.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"` // in that file, from 1; 0 if nobody knows
	Path    string `json:"path,omitempty"` // names from the root down, divided by slashes; empty is the file
	Text    string `json:"problem"`
	Remedy  string `json:"remedy"`
	Warning bool   `json:"-"`
}

// String is FILE:LINE: PATH: what is wrong; what to do. A warning says so before PATH.
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

// Problems are in the order in which they were found, which is about that of the
// document.
type Problems []Problem

// Errors are those that are more than warnings.
func (ps Problems) Errors() Problems { return ps.only(false) }

// Warnings are those that keep nobody from going on.
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

// Err is nil if there are warnings at most; otherwise its text has all errors, one a
// line.
func (ps Problems) Err() error {
	if errs := ps.Errors(); len(errs) > 0 {
		return &Error{errs}
	}
	return nil
}

// Error is that a manifest will not do.
type Error struct{ Problems Problems }

// Error is one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// place is where in a document something stands. The zero place is the whole file.
type place struct {
	line int
	path []string
}

// of is the place of something below.
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

// maxName bounds how much of a name in a document is told, in bytes.
const maxName = 100

func join(path []string) string {
	names := make([]string, len(path))
	for i, name := range path {
		names[i] = printable(name)
	}
	return strings.Join(names, "/")
}

// printable is a name as a terminal may show it.
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
