package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// This file parses .env files as python-dotenv does, which iotedgedev uses
// (theskumar/python-dotenv, src/dotenv/parser.py, main.py and variables.py). The rules are:
//   - each statement is NAME=VALUE, optionally after "export";
//   - a value in double quotes has the escapes of a shell's $'...', and one in single
//     quotes only \' and \\. Both may span lines;
//   - an unquoted value ends at a blank followed by #, or at the end of the line;
//   - a name without = has no value: it is not set, and an earlier value of it is gone;
//   - a statement that cannot be parsed is skipped to the end of the line where parsing
//     stopped, with a warning; the statements after it count;
//   - ${OTHER} and ${OTHER:-default} in a value are replaced from the environment, or
//     from earlier statements.
//
// A file that is not in UTF-8 is an error here. iotedgedev continues without it, and so
// leaves all its variables unexpanded (iotedgedev, iotedgedev/envvars.py).

// dotenvBlank matches what Python counts as blank, except line breaks.
const dotenvBlank = `[\t\v\f\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]`

var (
	dotenvBetween   = regexp.MustCompile(`^(?:` + dotenvBlank + `|\n)*`)
	dotenvExport    = regexp.MustCompile(`^(?:export` + dotenvBlank + `+)?`)
	dotenvName      = regexp.MustCompile(`^(?:'([^']+)'|([^=#\n'` + dotenvBlank[1:] + `[^=#\n` + dotenvBlank[1:] + `*))` + dotenvBlank + `*`)
	dotenvEquals    = regexp.MustCompile(`^=(` + dotenvBlank + `*)`)
	dotenvDouble    = regexp.MustCompile(`^"((?s:\\.|[^"\\])*)"`)
	dotenvSingle    = regexp.MustCompile(`^'((?s:\\.|[^'\\])*)'`)
	dotenvBare      = regexp.MustCompile(`^[^\n]*`)
	dotenvTrailing  = regexp.MustCompile(dotenvBlank + `+(?:#.*)?$`)
	dotenvRest      = regexp.MustCompile(`^` + dotenvBlank + `*(?:#[^\n]*)?(?:\n|$)`)
	dotenvReference = regexp.MustCompile(`\$\{([^}:]*)(?::-([^}]*))?\}`)
)

var (
	doubleEscapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`, `\a`, "\a", `\b`, "\b", `\f`, "\f", `\n`, "\n", `\r`, "\r", `\t`, "\t", `\v`, "\v")
	singleEscapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`)
)

// dotenv parses an .env file. Where a value refers to a name, lookup, which is the
// environment, takes precedence over the file.
func (r *report) dotenv(doc []byte, lookup func(string) (string, bool)) map[string]string {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	values := make(map[string]string)
	if !utf8.Valid(doc) || bytes.IndexByte(doc, 0) >= 0 {
		r.fault(place{}, "is not in UTF-8", "save it as UTF-8")
		return values
	}
	d := &dotenvReader{text: strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(doc)), line: 1}
	left := maxFile
	for d.take(dotenvBetween); d.text != ""; d.take(dotenvBetween) {
		at := place{line: d.line}
		name, value, ok := d.statement()
		switch {
		case !ok:
			d.take(dotenvBare)
			r.warn(at, "is not NAME=VALUE, and is skipped, as iotedgedev does", "write NAME=VALUE, quote a value that contains quotes, or start the line with #")
		case value == nil:
			delete(values, name)
		default:
			text, fits := interpolate(*value, values, lookup, left)
			if !fits {
				r.fault(at, fmt.Sprintf("has values that expand to more than %d MB", maxFile>>20), "shorten them")
				return values
			}
			values[name] = text
			left -= len(text)
		}
	}
	return values
}

// dotenvReader parses a file whose lines end with a line feed.
type dotenvReader struct {
	text string // the rest of the file
	line int    // of its first byte
}

// take removes what a pattern matches at the beginning of the rest. It returns the
// pattern's groups, or nil if the pattern does not match.
func (d *dotenvReader) take(pattern *regexp.Regexp) []string {
	groups := pattern.FindStringSubmatch(d.text)
	if groups != nil {
		d.line += strings.Count(groups[0], "\n")
		d.text = d.text[len(groups[0]):]
	}
	return groups
}

// statement removes the next statement, up to the end of its line. name is empty for a
// comment, and value is nil if the statement has none. If the statement is invalid, ok is
// false and the rest begins where parsing stopped.
func (d *dotenvReader) statement() (name string, value *string, ok bool) {
	d.take(dotenvExport)
	if !strings.HasPrefix(d.text, "#") {
		key := d.take(dotenvName)
		if key == nil {
			return "", nil, false
		}
		name = key[1] + key[2]
	}
	if equals := d.take(dotenvEquals); equals != nil {
		text, ok := d.value(equals[1] != "")
		if !ok {
			return "", nil, false
		}
		value = &text
	}
	return name, value, d.take(dotenvRest) != nil
}

// value removes a value. spaced says that a blank precedes it, so that # begins a comment.
func (d *dotenvReader) value(spaced bool) (text string, ok bool) {
	pattern, escapes := dotenvDouble, doubleEscapes
	switch {
	case spaced && strings.HasPrefix(d.text, "#"):
		return "", true
	case strings.HasPrefix(d.text, `'`):
		pattern, escapes = dotenvSingle, singleEscapes
	case !strings.HasPrefix(d.text, `"`):
		return dotenvTrailing.ReplaceAllString(d.take(dotenvBare)[0], ""), true
	}
	quoted := d.take(pattern)
	if quoted == nil {
		return "", false
	}
	return escapes.Replace(quoted[1]), true
}

// interpolate replaces references to other variables in a value. ok is false if the
// result is longer than most bytes.
func interpolate(value string, defined map[string]string, lookup func(string) (string, bool), most int) (text string, ok bool) {
	var out strings.Builder
	end := 0
	for _, at := range dotenvReference.FindAllStringSubmatchIndex(value, -1) {
		out.WriteString(value[end:at[0]])
		end = at[1]
		out.WriteString(resolveReference(dotenvReference.FindStringSubmatch(value[at[0]:end]), defined, lookup))
		if out.Len() > most {
			return "", false
		}
	}
	out.WriteString(value[end:])
	return out.String(), out.Len() <= most
}

// resolveReference returns the replacement of ${NAME:-default}; parts are the groups of
// dotenvReference.
func resolveReference(parts []string, defined map[string]string, lookup func(string) (string, bool)) string {
	if v, ok := lookup(parts[1]); ok {
		return v
	}
	if v, ok := defined[parts[1]]; ok {
		return v
	}
	return parts[2]
}
