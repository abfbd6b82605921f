package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Fault is one thing that makes a configuration invalid. It repeats no value.
type Fault struct {
	File   string `json:"file,omitempty"` // empty for the environment
	Line   int    `json:"line,omitempty"` // from 1; 0 if it is not known
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"` // the key, as in cameras.edge1/front.localPort, or a variable
	Text   string `json:"text"`
}

// String returns file:line:column: path: text, without the parts that are not known.
func (f Fault) String() string {
	where := f.File
	if f.Line > 0 {
		where += ":" + strconv.Itoa(f.Line)
	}
	if f.Column > 0 {
		where += ":" + strconv.Itoa(f.Column)
	}
	parts := []string{where, f.Path, f.Text}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Error has the faults of a configuration, by line: at least one.
type Error struct{ Faults []Fault }

// maxFaults is how many faults an error prints.
const maxFaults = 20

// Error returns a line for each fault.
func (e *Error) Error() string {
	var lines []string
	for i, f := range e.Faults {
		if i == maxFaults {
			lines = append(lines, fmt.Sprintf("and %d more", len(e.Faults)-i))
			break
		}
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}

// newError returns an *Error with the sorted faults, or nil if there are none.
func newError(faults []Fault) error {
	if len(faults) == 0 {
		return nil
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Path, b.Path))
	})
	return &Error{slices.Compact(faults)}
}

// dotted returns a path for people. Numbers are indexes of a sequence.
func dotted(path []string) string {
	var text strings.Builder
	for _, part := range path {
		switch _, err := strconv.Atoi(part); {
		case err == nil && text.Len() > 0:
			text.WriteString("[" + part + "]")
			continue
		case text.Len() > 0:
			text.WriteByte('.')
		}
		text.WriteString(printable(part))
	}
	return text.String()
}

// printable cuts and quotes a key that would spoil the line of a fault.
func printable(key string) string {
	const most = 80
	cut := strings.ToValidUTF8(key[:min(len(key), most)], "")
	if strings.ContainsFunc(cut, func(r rune) bool { return r <= ' ' || !strconv.IsPrint(r) }) || cut == "" {
		cut = strconv.Quote(cut)
	}
	if len(key) > most {
		cut += "..."
	}
	return cut
}
