package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// This file parses .env files like python-dotenv, which iotedgedev uses. The rules are:
//   - each statement is NAME=VALUE, optionally after "export";
//   - a value in double quotes has the escapes of a shell's $'...', and one in single
//     quotes only \' and \\. Both may span lines;
//   - an unquoted value ends at a space followed by #, or at the end of the line;
//   - ${OTHER} and ${OTHER:-default} in a value are replaced from the environment, or
//     from earlier lines of the file.

var (
	dotenvName      = regexp.MustCompile(`^[ \t]*(?:export[ \t]+)?(?:'([^'\n]+)'|([^=#\s']+))[ \t]*`)
	dotenvDouble    = regexp.MustCompile(`^"((?:\\.|[^"\\])*)"`)
	dotenvSingle    = regexp.MustCompile(`^'((?:\\.|[^'\\])*)'`)
	dotenvRest      = regexp.MustCompile(`^[ \t]*(?:#[^\n]*)?(?:\n|$)`)
	dotenvComment   = regexp.MustCompile(`[ \t]+#.*`)
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
	text := strings.ReplaceAll(string(doc), "\r\n", "\n")
	left := maxFile
	for line := 1; text != ""; {
		statement, value, has, ok := r.statement(text)
		if !ok {
			r.fault(place{line: line}, "is not NAME=VALUE", "write NAME=VALUE, quote a value that contains quotes, or start the line with #")
			statement, _, _ = strings.Cut(text, "\n")
			statement += "\n"
		} else if has {
			name := dotenvName.FindStringSubmatch(statement)
			if value, ok = interpolate(value, values, lookup, left); !ok {
				r.fault(place{line: line}, fmt.Sprintf("has values that expand to more than %d MB", maxFile>>20), "shorten them")
				return values
			}
			values[name[1]+name[2]] = value
			left -= len(value)
		}
		line += strings.Count(statement, "\n")
		text = text[min(len(statement), len(text)):]
	}
	return values
}

// statement returns the first statement of text, up to the end of its line, and its
// value. has is false for a blank line, a comment or a name without a value. ok is false
// if the line is invalid.
func (r *report) statement(text string) (statement, value string, has, ok bool) {
	if blank := dotenvRest.FindString(text); blank != "" {
		return blank, "", false, true
	}
	end := len(dotenvName.FindString(text))
	if end == 0 {
		return "", "", false, false
	}
	if rest := dotenvRest.FindString(text[end:]); rest != "" || end == len(text) {
		return text[:end+len(rest)], "", false, true // a name without a value is ignored
	}
	if text[end] != '=' {
		return "", "", false, false
	}
	end++
	end += len(text[end:]) - len(strings.TrimLeft(text[end:], " \t"))
	rest := text[end:]
	switch {
	case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, `'`):
		pattern, escapes := dotenvDouble, doubleEscapes
		if rest[0] == '\'' {
			pattern, escapes = dotenvSingle, singleEscapes
		}
		quoted := pattern.FindStringSubmatch(rest)
		if quoted == nil {
			return "", "", false, false
		}
		value = escapes.Replace(quoted[1])
		end += len(quoted[0])
	default:
		bare, _, _ := strings.Cut(rest, "\n")
		value = strings.TrimRight(dotenvComment.ReplaceAllString(bare, ""), " \t")
		end += len(bare)
	}
	after := dotenvRest.FindString(text[end:])
	if after == "" && end < len(text) {
		return "", "", false, false
	}
	return text[:end+len(after)], value, true, true
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
