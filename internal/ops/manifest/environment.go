package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"rtsptunnel/internal/base/jsontree"
)

// environment provides the values of variables: from the process, else from the .env
// file, else iotedgedev's defaults.
type environment struct {
	lookup func(string) (string, bool)
	file   string // name of the .env file; empty if there is none
	values map[string]string
}

var defaultVariables = map[string]string{"DEFAULT_PLATFORM": "amd64", "MODULES_PATH": "modules"}

// get returns a variable's value. ok is false if it is not set.
func (e *environment) get(name string) (value string, ok bool) {
	if value, ok = e.lookup(name); ok {
		return value, true
	}
	if value, ok = e.values[name]; ok {
		return value, true
	}
	value, ok = defaultVariables[name]
	return value, ok
}

// setting returns a variable that configures the expansion, without space around it. If
// it is empty or not set, setting returns iotedgedev's default.
func (e *environment) setting(name string) string {
	value, _ := e.get(name)
	if value = strings.TrimSpace(value); value == "" {
		value = defaultVariables[name]
	}
	return value
}

// origin says where variables can be set, for remedies.
func (e *environment) origin() string {
	if e.file == "" {
		return "the environment"
	}
	return "the environment or " + e.file
}

// variable matches $NAME, whose name has ASCII letters, digits and underscores, and ${NAME},
// whose name ends at the first brace. iotedgedev expands the text of a template by Python's
// os.path.expandvars (iotedgedev, iotedgedev/utility.py), which takes any characters
// between the braces: dashes, dots, colons and blanks belong to the name. Here the name has
// only characters that a JSON string contains as they are, so that no reference reaches
// beyond its string. The same text may be an image placeholder: it is one if no variable
// has its name.
var variable = regexp.MustCompile(`\$(?:([A-Za-z0-9_]+)|\{([^}"\\\x00-\x1f]+)\})`)

// plainName matches the names that a problem calls a variable if it is not set. Other text
// between braces may be a misspelt image placeholder, or a default that is a secret.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// reservedWords look like variables, but have a meaning in manifests.
var reservedWords = []string{"$edgeAgent", "$edgeHub", "$upstream", "$schema"}

// expansion replaces variables in a document that need not be JSON before.
type expansion struct {
	env      *environment
	unusable map[string]string // why the value of a variable cannot be used, by name
}

// expand replaces the variables that are set and usable. Other ${NAME} stay. Outside of
// strings they are put in quotes, so that the result can be parsed and reportPlaceholders
// can report their places. expand stops when the result exceeds maxFile.
func (x *expansion) expand(doc []byte) []byte {
	var out bytes.Buffer
	inString := false
	unclosed := len(doc)
	for len(doc) > 0 && out.Len() <= maxFile {
		switch {
		case doc[0] == '"':
			inString = !inString
		case inString && doc[0] == '\\' && len(doc) > 1:
			out.WriteByte(doc[0])
			doc = doc[1:]
		case doc[0] == '$':
			var size int
			if size, unclosed = variableSize(doc, unclosed); size > 0 {
				out.WriteString(x.value(string(doc[:size]), inString))
				doc = doc[size:]
				continue
			}
		}
		out.WriteByte(doc[0])
		doc = doc[1:]
	}
	return out.Bytes()
}

// plainVariable matches $NAME at the start of a text.
var plainVariable = regexp.MustCompile(`^\$[A-Za-z0-9_]+`)

// variableSize returns how many bytes the variable at the start of doc has, or 0 if there
// is none. No brace closes a ${ before the last unclosed bytes of doc; variableSize returns
// that number for its next call, so that no part of a document is searched twice.
func variableSize(doc []byte, unclosed int) (size, nextUnclosed int) {
	switch {
	case !bytes.HasPrefix(doc, []byte("${")):
		return len(plainVariable.Find(doc)), unclosed
	case len(doc) > unclosed:
		return 0, unclosed
	}
	const start = len("${")
	end := bytes.IndexFunc(doc[start:], func(c rune) bool { return c < ' ' || c == '"' || c == '\\' || c == '}' })
	switch {
	case end < 0:
		return 0, 0
	case doc[start+end] != '}':
		return 0, len(doc) - start - end
	case end == 0:
		return 0, unclosed
	}
	return start + end + 1, unclosed
}

// value returns the replacement of a variable; text is the variable as written.
func (x *expansion) value(text string, inString bool) string {
	name, braces := variableName(text)
	if !braces && slices.Contains(reservedWords, text) {
		return text
	}
	value, ok := x.env.get(name)
	switch {
	case !ok:
	case !utf8.ValidString(value):
		x.unusable[name] = "has a value that is not in UTF-8"
	case inString && json.Valid([]byte(`"`+value+`"`)):
		return value
	case inString:
		x.unusable[name] = "has a value with a quote, a backslash or a line break, which would break the string around it"
	case json.Valid([]byte(value)):
		return string(compact(value))
	default:
		x.unusable[name] = "is used outside of quotes, but its value is not valid JSON"
	}
	if braces && !inString {
		return `"` + text + `"`
	}
	return text
}

// variableName returns the name in what variable matches, and whether it has braces.
func variableName(text string) (name string, braces bool) {
	if name, braces = strings.CutPrefix(text, "${"); braces {
		return name[:len(name)-1], true
	}
	return text[1:], false
}

func compact(value string) []byte {
	var out bytes.Buffer
	_ = json.Compact(&out, []byte(value)) // the caller has validated it
	return out.Bytes()
}

// reportPlaceholders reports every placeholder that is left in a document.
func (x *expansion) reportPlaceholders(r *report, root *jsontree.Value) {
	eachText(root, place{}, func(text string, at place) { x.reportPlaceholder(r, text, at) })
}

// eachText visits every string and every member's name in v.
func eachText(v *jsontree.Value, at place, visit func(text string, at place)) {
	switch v.Kind {
	case jsontree.String:
		visit(v.Text, at)
	case jsontree.Array:
		for i, item := range v.Items {
			eachText(item, at.below(item.Line, index(i)), visit)
		}
	case jsontree.Object:
		for _, m := range v.Members {
			below := at.below(m.Value.Line, m.Name)
			visit(m.Name, below)
			eachText(m.Value, below, visit)
		}
	}
}

// reportPlaceholder reports the placeholders in one string.
func (x *expansion) reportPlaceholder(r *report, text string, at place) {
	var reported string
	rest := variable.ReplaceAllStringFunc(text, func(match string) string {
		name, braces := variableName(match)
		problem, remedy := x.problem(name, braces)
		switch {
		case problem == "":
			return match
		case name != reported:
			r.fault(at, printable(name)+" "+problem, remedy)
			reported = name
		}
		return ""
	})
	if !strings.Contains(rest, "${") {
		return
	}
	if isImagePlaceholder(rest) {
		r.fault(at, "has a placeholder for an image where none is expanded", "use it only as the whole value of a module's settings/image, under modules; iotedgedev expands it only there")
		return
	}
	r.fault(at, "has an unknown placeholder", "use ${VARIABLE} with a variable that is set, ${MODULES.folder} or ${MODULEDIR<path>}, the latter two optionally with .platform or .debug")
}

// problem says why a reference to a variable is left, as the rest of a sentence about the
// variable. It returns nothing if $NAME may stay, or if the text between braces may be
// something else than a variable.
func (x *expansion) problem(name string, braces bool) (text, remedy string) {
	why, unusable := x.unusable[name]
	_, set := x.env.get(name)
	switch {
	case unusable:
		return why, "set another value in " + x.env.origin()
	case braces && set:
		return "is used in the value of another variable, where it is not expanded", "write its value there instead"
	case braces && plainName.MatchString(name):
		return "is not set", "set it in " + x.env.origin()
	}
	return "", ""
}
