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

// environment is where the values of variables are from: the process, then the .env
// file, then what iotedgedev takes if neither has them.
type environment struct {
	lookup func(string) (string, bool)
	file   string // the .env; empty if there is none
	values map[string]string
}

var defaultVariables = map[string]string{"DEFAULT_PLATFORM": "amd64", "MODULES_PATH": "modules"}

// get is a variable's value; not ok if nobody sets it.
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

// setting is a variable for this tool itself, without blanks around it, for which empty
// is as good as not set.
func (e *environment) setting(name string) string {
	value, _ := e.get(name)
	if value = strings.TrimSpace(value); value == "" {
		value = defaultVariables[name]
	}
	return value
}

// origin says where a variable is looked for.
func (e *environment) origin() string {
	if e.file == "" {
		return "the environment"
	}
	return "the environment or " + e.file
}

// variable is ${NAME} or $NAME. Anything else that begins with ${ is no variable.
var variable = regexp.MustCompile(`\$(?:([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})`)

// reservedWords are the words of manifests that look like variables.
var reservedWords = []string{"$edgeAgent", "$edgeHub", "$upstream", "$schema"}

// expansion puts the values of variables into a document that is not JSON before.
type expansion struct {
	env      *environment
	unusable map[string]string // why the value of a variable was not taken
}

// expand puts in the values of all variables that are set and fit. A ${NAME} that is
// not becomes a string of this text at the latest, so that it can be reported where it
// stands. It ends where the result becomes larger than maxFile.
func (x *expansion) expand(doc []byte) []byte {
	var out bytes.Buffer
	inString := false
	for len(doc) > 0 && out.Len() <= maxFile {
		switch {
		case doc[0] == '"':
			inString = !inString
		case inString && doc[0] == '\\' && len(doc) > 1:
			out.WriteByte(doc[0])
			doc = doc[1:]
		case doc[0] == '$':
			if match := variable.FindSubmatchIndex(doc); match != nil && match[0] == 0 {
				out.WriteString(x.value(string(doc[:match[1]]), inString))
				doc = doc[match[1]:]
				continue
			}
		}
		out.WriteByte(doc[0])
		doc = doc[1:]
	}
	return out.Bytes()
}

// value is what stands for the text of a variable.
func (x *expansion) value(text string, inString bool) string {
	name := strings.Trim(text, "${}")
	braces := strings.HasPrefix(text, "${")
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
		x.unusable[name] = "has a value with a quote, a backslash or a line break, which would end the string that it stands in"
	case json.Valid([]byte(value)):
		return string(compact(value))
	default:
		x.unusable[name] = "stands outside of quotes, and its value is no JSON"
	}
	if braces && !inString {
		return `"` + text + `"`
	}
	return text
}

func compact(value string) []byte {
	var out bytes.Buffer
	_ = json.Compact(&out, []byte(value)) // it is valid
	return out.Bytes()
}

// leftovers tells of every placeholder that is still in a document, and where.
func (x *expansion) reportPlaceholders(r *report, root *jsontree.Value) {
	eachText(root, place{}, func(text string, at place) { x.reportPlaceholder(r, text, at) })
}

// eachText visits every string in v and every name of a member.
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

// leftover tells of the placeholders in one string.
func (x *expansion) reportPlaceholder(r *report, text string, at place) {
	reported := ""
	for _, match := range variable.FindAllStringSubmatch(text, -1) {
		name := match[1] + match[2]
		why, unusable := x.unusable[name]
		switch {
		case name == reported:
		case unusable:
			r.fault(at, name+" "+why, "give it another value in "+x.env.origin())
			reported = name
		case match[2] != "":
			if _, set := x.env.get(name); set {
				r.fault(at, name+" stands in the value of another variable, where nobody expands it", "write what it stands for there")
			} else {
				r.fault(at, name+" is not set", "set it in "+x.env.origin())
			}
			reported = name
		}
	}
	rest := variable.ReplaceAllString(text, "")
	if !strings.Contains(rest, "${") {
		return
	}
	if isImagePlaceholder(rest) {
		r.fault(at, "has a placeholder for an image where none is expanded", "write it as the whole of a module's settings/image, under modules; iotedgedev expands it there alone")
		return
	}
	r.fault(at, "has a placeholder that nobody knows", "the known ones are ${VARIABLE}, ${MODULES.folder}, ${MODULEDIR<path>}, the latter two with .platform or .debug if need be")
}
